"""The docker-worker: what runs inside a Batch task's container.

Owns reaching SQL Server with the node's managed identity, stopping cleanly on a signal, and exit codes that say what is
wrong. Does not know Batch's API or any Azure resource: everything it needs comes from the environment (`settings.py`).
"""

VERSION = "0.1.0"
