"""Where statements run: databases of a PostgreSQL of our own, and the records that sessions exchange with it."""
