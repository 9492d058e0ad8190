"""The azure-native stand-in: one generic translation of Pulumi resources to ARM requests.

`resources` is the table of what it knows; `translate` and `answers` are pure (inputs to request, response to outputs);
`arm_client` and `operations` talk to ARM; `config` says which cloud; `provider` puts them behind Pulumi's protocol.
It reaches a cloud only through azure-native's own settings, so that the real plugin could take its place.
"""
