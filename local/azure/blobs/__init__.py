"""Storage accounts: ARM's Microsoft.Storage types and the blob endpoint.

Owns who may do what with blobs. Azurite (npm, one process, loopback http) keeps them and checks nobody's role: the
proxy here authenticates and authorises, then signs the request with a key that only it and Azurite know.
"""
