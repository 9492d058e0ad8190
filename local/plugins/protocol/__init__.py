"""The protocol side of a provider plugin: decoding, error mapping, the process. It knows no resource.

`servicer` speaks gRPC and calls a `Provider` (`provider.py`); `process` owns the port line, signals and the parent
watch.
"""
