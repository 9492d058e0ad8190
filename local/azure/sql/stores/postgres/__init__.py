"""PostgreSQL behind the stand-in: a private cluster in the local Azure's home, spoken to over its Unix socket.

Imports go one way: client -> types, errors -> backend; cluster and dialect stand beside them.
"""
