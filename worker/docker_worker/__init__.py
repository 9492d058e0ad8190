"""The docker-worker: what runs inside a Batch task's container.

Owns reaching SQL Server with the node's managed identity, leased work items and their handlers, stopping cleanly on a
signal, and exit codes that say what is wrong. Does not know Batch's API or any Azure resource: everything it needs
comes from the environment (`settings.py`). The names below are what a handler imports.
"""

from .handlers import DONE, MORE, Item
from .sql.transaction import Transaction

VERSION = "0.3.0"

__all__ = ["DONE", "MORE", "VERSION", "Item", "Transaction"]
