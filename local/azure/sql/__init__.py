"""A stand-in for SQL Server: its wire protocol (TDS 7.1-8.0) with TLS and Entra tokens, over PostgreSQL.

Owns databases, their users and the protocol; proves the way to a database (name, TLS, identity, rights, transactions),
not T-SQL's semantics: statements run on another store through sqlglot's T-SQL dialect, and what that cannot do is
refused by name. A process of its own: `python -m local.azure.sql`.

Imports go one way: errors, reader, values, tokens, wire -> login, rpc -> translation, security -> stores -> directory,
rights, transactions -> execution -> session -> server.
"""
