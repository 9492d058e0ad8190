"""How a database refuses every login, and how the worker ends then."""

from __future__ import annotations

# fault of every login, exit code, words
REFUSALS = [
    ("login-failed", 77, "refused identity"),
    ("no-database", 69, "cannot be opened on"),
    ("token-expired", 75, "refused the token of identity"),
    ("failover", 75, "cannot serve"),
]
