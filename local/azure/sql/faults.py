"""Faults on purpose, for tests of clients: what a session asks before each login, statement and commit.

A running server is told by its control socket, `<sockets>/sql-faults` (mode 0600, in a folder of mode 0700):

    with Control(paths).injected(Fault("deadlock", match="work_items")) as fault: ...
    python -m local.azure.sql.faults deadlock --times 2

The answer comes once the fault is in force. Faults live in the process: a restart has none, `clear` removes them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

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
from local.paths import Paths

LOGIN, STATEMENT, COMMIT, COMMITTED = "login", "statement", "commit", "committed"
# What each kind does, and where.
KINDS: Final[dict[str, tuple[str, ...]]] = {
    "login-failed": (LOGIN,),  # 18456
    "token-expired": (LOGIN,),  # 18456, in Azure SQL's words for an old token
    "no-database": (LOGIN,),  # 4060
    "failover": (LOGIN, STATEMENT, COMMIT),  # 40613, and the connection ends
    "deadlock": (STATEMENT,),  # 1205, and the transaction is undone
    "cut": (STATEMENT,),  # the connection ends before the statement runs
    "cut-before-commit": (COMMIT,),  # nothing is kept, and the client is not told
    "cut-after-commit": (COMMITTED,),  # everything is kept, and the client is not told
    "slow": (STATEMENT,),  # the statement waits `seconds` first
    "slow-commit": (COMMIT,),  # the commit takes `seconds`, and takes effect also when the client is gone
    "late-answer": (COMMITTED,),  # everything is kept, and the client is told `seconds` later
    "mute": (LOGIN, STATEMENT),  # no answer for `seconds`, not even to a cancellation; then the connection ends
    "error": (LOGIN, STATEMENT, COMMIT),  # error `number` with the text `message`, and the transaction stays as it is
}
_CONTROL_SECONDS: Final = 10.0
Wait = Callable[[float], None]


class ControlRefused(Exception):
    """The server does not take this, or does not run."""


@dataclass(frozen=True)
class Fault:
    """`times` 0: until cleared. `match`: only statements (for logins: databases) with this pattern in them."""

    kind: str
    times: int = 1
    match: str = ""
    seconds: float = 0.0
    probability: float = 1.0  # of each chance, drawn from `seed`
    seed: int = 0
    number: int = 50000
    message: str = "a fault on purpose"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ControlRefused(f"{self.kind!r} is no kind of fault; there are {', '.join(KINDS)}")
        if self.times < 0 or self.seconds < 0 or not 0 <= self.probability <= 1:
            raise ControlRefused(f"times and seconds are at least 0, probability is from 0 to 1: {self}")
        try:
            re.compile(self.match)
        except re.error as error:
            raise ControlRefused(f"match is no regular expression: {self.match!r} ({error})") from error


@dataclass
class _Set:
    fault: Fault
    fired: int = 0
    dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.fault.seed)  # noqa: S311  chance, not a secret

    def takes(self, stage: str, text: str) -> bool:
        """Whether it happens now; counts it."""
        fault = self.fault
        if stage not in KINDS[fault.kind] or (fault.times and self.fired >= fault.times):
            return False
        if not re.search(fault.match, text, re.IGNORECASE) or self.dice.random() >= fault.probability:
            return False
        self.fired += 1
        return True


class Faults:
    """The faults in force. Its hooks raise a SqlError to refuse, ConnectionClosed to drop the connection, or return."""

    def __init__(self) -> None:
        self._lock, self._last = threading.Lock(), 0
        self._set: dict[int, _Set] = {}

    def set(self, fault: Fault) -> int:
        """Put a fault in force; its number."""
        with self._lock:
            self._last += 1
            self._set[self._last] = _Set(fault)
            return self._last

    def clear(self, number: int | None = None) -> None:
        """Remove one, or all."""
        with self._lock:
            if number is None:
                self._set.clear()
            else:
                self._set.pop(number, None)

    def state(self) -> dict[int, dict[str, Any]]:
        """What is in force and how often each fired."""
        with self._lock:
            return {number: {**asdict(one.fault), "fired": one.fired} for number, one in self._set.items()}

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
        """After a transaction was committed, before the client is told."""
        self._meet(COMMITTED, "COMMIT", database)

    def _meet(self, stage: str, text: str, database: str, wait: Wait | None = None) -> None:
        if not self._set:
            return
        with self._lock:
            met = [one.fault for one in self._set.values() if one.takes(stage, text)]
        for fault in met:
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


class Listener:
    """`with Listener(paths, faults):` the control socket of a server: one JSON line asks, one answers."""

    def __init__(self, paths: Paths, faults: Faults) -> None:
        self._path, self._faults = _address(paths), faults

    def __enter__(self) -> Listener:
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self._path))
        self._path.chmod(0o600)
        self._socket.listen()
        threading.Thread(target=self._serve, name="sql faults", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(_CONTROL_SECONDS)
                with connection.makefile("rw") as stream:
                    stream.write(json.dumps(self._answer(stream.readline())) + "\n")

    def _answer(self, line: str) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            if asked["do"] == "set":
                return {"number": self._faults.set(Fault(**asked["fault"]))}
            if asked["do"] == "clear":
                self._faults.clear(asked.get("number"))
            return {"faults": self._faults.state()}
        except (ValueError, KeyError, TypeError, ControlRefused) as error:
            return {"error": str(error)}


class Control:
    """Sets faults of the running server of a home."""

    def __init__(self, paths: Paths) -> None:
        self._path = _address(paths)

    def set(self, fault: Fault) -> int:
        """Put a fault in force; its number."""
        return self._ask({"do": "set", "fault": asdict(fault)})["number"]

    def clear(self, number: int | None = None) -> None:
        """Remove one, or all."""
        self._ask({"do": "clear", "number": number})

    def state(self) -> dict[str, dict[str, Any]]:
        """What is in force, by number, and how often each fired."""
        return self._ask({"do": "list"})["faults"]

    def fired(self, number: int) -> int:
        """How often a fault happened (0 for one that is cleared)."""
        return self.state().get(str(number), {}).get("fired", 0)

    @contextlib.contextmanager
    def injected(self, fault: Fault) -> Iterator[int]:
        """The fault, for the length of a block."""
        number = self.set(fault)
        try:
            yield number
        finally:
            self.clear(number)

    def _ask(self, what: dict[str, Any]) -> dict[str, Any]:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_CONTROL_SECONDS)
                connection.connect(str(self._path))
                with connection.makefile("rw") as stream:
                    stream.write(json.dumps(what) + "\n")
                    stream.flush()
                    answer = json.loads(stream.readline())
        except (OSError, ValueError) as error:
            raise ControlRefused(
                f"the SQL server's control socket {self._path} does not answer: {error}; "
                "the server does not run. Start it: python -m local start"
            ) from error
        if "error" in answer:
            raise ControlRefused(answer["error"])
        return answer


def _address(paths: Paths) -> Path:
    return paths.sockets / "sql-faults"


def main(arguments: list[str] | None = None) -> int:
    """`python -m local.azure.sql.faults KIND | list | clear`."""
    parser = argparse.ArgumentParser(prog="python -m local.azure.sql.faults", description="Set, list and clear faults.")
    parser.add_argument("what", choices=[*KINDS, "list", "clear"])
    parser.add_argument("--times", type=int, default=1, help="how often (0: until cleared; default 1)")
    parser.add_argument("--match", default="", help="only statements with this pattern in them")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long slow ones and `mute` take (default 5)")
    parser.add_argument("--number", type=int, default=50000, help="the number of `error` (default 50000)")
    parser.add_argument("--message", default="a fault on purpose", help="the text of `error`")
    given = parser.parse_args(arguments)
    control = Control(Paths.default())
    try:
        if given.what == "clear":
            control.clear()
        elif given.what != "list":
            seconds = given.seconds if given.what in ("slow", "slow-commit", "late-answer", "mute") else 0.0
            fault = Fault(given.what, given.times, given.match, seconds, number=given.number, message=given.message)
            control.set(fault)
        for number, fault in control.state().items():
            print(number, json.dumps(fault))
    except ControlRefused as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
