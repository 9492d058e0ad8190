"""Where statements run: the protocol of a store of databases, SQLite and PostgreSQL behind it, and the choice."""
