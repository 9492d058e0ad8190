"""Where a session meets faults on purpose (`platform/faults.py`): each login, statement, commit."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

from local.azure.platform.faults import COMMIT, COMMITTED, LOGIN, STATEMENT, Faults, Rule
from local.azure.sql.errors import (
    TOKEN_EXPIRED,
    TOKEN_LOGIN,
    CannotOpenDatabase,
    ConnectionClosed,
    DeadlockVictim,
    LoginFailed,
    SqlError,
    Unavailable,
)

Wait = Callable[[float], None]
sql_fault = functools.partial(Rule, "sql")


class SessionFaults:
    """The hooks of sessions: each raises a SqlError to refuse, ConnectionClosed to drop the connection, or returns."""

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = faults or Faults()

    def at_login(self, database: str) -> None:
        """Before a login is answered."""
        self._meet(LOGIN, database, database)

    def at_batch(self, text: str, database: str, wait: Wait) -> None:
        """Before a batch runs."""
        self._meet(STATEMENT, text, database, wait)

    def at_commit(self, database: str) -> None:
        """Before a transaction is committed."""
        self._meet(COMMIT, "COMMIT", database)

    def after_commit(self, database: str) -> None:
        """Called after a transaction was committed, before the answer is sent."""
        self._meet(COMMITTED, "COMMIT", database)

    def _meet(self, stage: str, text: str, database: str, wait: Wait | None = None) -> None:
        for fault in self._faults.meet("sql", stage, text):
            if fault.kind == "slow":
                if wait is not None:
                    wait(fault.seconds)
            elif fault.kind in ("slow-commit", "late-answer"):
                time.sleep(fault.seconds)
            elif fault.kind == "mute":
                time.sleep(fault.seconds)
                raise ConnectionClosed(f"fault {fault.kind}")
            elif fault.kind == "error":
                raise SqlError(fault.message, number=fault.number)
            elif fault.kind == "login-failed":
                raise LoginFailed(TOKEN_LOGIN)
            elif fault.kind == "token-expired":
                raise LoginFailed(TOKEN_EXPIRED)
            elif fault.kind == "no-database":
                raise CannotOpenDatabase(database)
            elif fault.kind == "failover":
                raise Unavailable(database)
            elif fault.kind == "deadlock":
                raise DeadlockVictim
            else:
                raise ConnectionClosed(f"fault {fault.kind}")
