"""Parts of the local Azure as tests and benchmarks run them by themselves: the Batch service in a thread, workers as
processes beside a database and an identity endpoint, and TLS on 127.0.0.1. Only `tests/` and `benchmarks/` import it.
"""
