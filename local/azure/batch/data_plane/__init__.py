"""The data plane's HTTP side: from a request on an account's port to an operation and back.

`server` holds the order of the steps; `routes` lists all operations; `schema`, `bodies`, `query` and `filters` check
what comes in, `wire` writes what goes out. `call` is one request as the functions in `operations/` see it.
"""
