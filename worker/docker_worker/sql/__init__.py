"""The way to SQL Server: the driver on its own thread, connections, transactions, and what an error means."""
