"""The driver on a thread of its own, and a bound for every wait on it.

Two facts ask for that. A signal that reaches a thread inside the Microsoft ODBC driver ends its poll() and with it the
connection, so the driver's thread has the stop signals blocked; and a handler's thread must not, because every process
that it starts would inherit the mask and could not be terminated. And the driver has no way to cancel a call from
outside: its query timeout does not cover COMMIT, a login, or a server that stopped answering. So whoever calls waits a
stated time; then the connection's socket is shut down, which ends the call in the driver at once, and if even that does
not help the thread is left behind and never used again.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotDone
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, Protocol, TypeVar

from ..signals import start_without_signals

T = TypeVar("T")

ATTENTION_SECONDS: Final = 2
"""After its own query timeout the driver cancels at the server and waits for the answer to that."""

CLOSE_SECONDS: Final = 2.0
_DESCRIPTORS: Final = Path("/proc/self/fd")
SHUT_SECONDS: Final = 1.0  # for a call to end after its socket was shut down


class Connection(Protocol):
    """What the driver's connection has (DB-API)."""

    def cursor(self) -> Any: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


class NoAnswer(Exception):
    """A call did not end within its bound. The connection is gone; what it did on the server is not known."""


class OtherProcess(RuntimeError):
    """A process that a handler forked used its parent's connection."""


class Link:
    """One connection. Its calls run one after another on its thread, whichever thread asks."""

    def __init__(self, bound: float) -> None:
        self.bound = bound
        self._owner = os.getpid()
        self._lost = False
        self._calls: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._connection: Connection | None = None
        self._sockets: dict[int, str] = {}
        start_without_signals(threading.Thread(target=self._serve, name="driver", daemon=True))

    @classmethod
    def open(cls, log_in: Callable[[], Connection], *, seconds: float, bound: float) -> Link:
        """A connection within `seconds`; later calls have `bound` each. Raises NoAnswer, and what `log_in` raises."""
        link, before = cls(bound), set(_sockets().items())
        try:
            link._connection = link._call(log_in, seconds, before)
        except BaseException:
            link._calls.put(None)
            raise
        link._sockets = dict(set(_sockets().items()) - before)
        return link

    def run(self, work: Callable[[Connection], T]) -> T:
        """`work(connection)` on the driver's thread. Raises NoAnswer when it does not end within the bound."""
        return self._call(lambda: work(self._live()), self.bound)

    def commit(self) -> None:
        self.run(lambda connection: connection.commit())

    def rollback(self) -> None:
        self.run(lambda connection: connection.rollback())

    def close(self) -> None:
        """Let the connection go: politely while it answers, else by its socket."""
        if not self._lost:
            with contextlib.suppress(Exception):  # a broken connection cannot even be closed
                self._call(lambda: self._live().close(), CLOSE_SECONDS)
        self._lost = True
        self._calls.put(None)

    @property
    def closed(self) -> bool:
        """Whether somebody closed the driver's connection itself."""
        return self._lost or bool(getattr(self._connection, "closed", False))

    def _live(self) -> Connection:
        assert self._connection is not None, "open() comes first"
        return self._connection

    def _call(self, work: Callable[[], T], seconds: float, before: set[tuple[int, str]] | None = None) -> T:
        if os.getpid() != self._owner:
            raise OtherProcess(
                "the database belongs to the worker's process; a process that a handler started has none"
            )
        if self._lost:
            raise NoAnswer("the connection was given up before")
        answer: Future[T] = Future()
        self._calls.put((work, answer))
        try:
            return answer.result(seconds)
        except NotDone:
            if answer.done():
                raise  # the work's own
        self._lost = True
        _shut(dict(set(_sockets().items()) - before) if before is not None else self._sockets)
        with contextlib.suppress(BaseException):
            answer.result(SHUT_SECONDS)
        self._calls.put(None)
        raise NoAnswer(f"no answer within {seconds:g} s")

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            work, answer = call
            try:
                answer.set_result(work())
            except BaseException as error:  # handed to the caller
                answer.set_exception(error)
            del work, answer, call
        self._connection = None  # so that what is left of it ends here, and on no other thread


def _sockets() -> dict[int, str]:
    """This process's sockets: descriptor and identity. Empty where there is no /proc."""
    return dict(_open_sockets())


def _open_sockets() -> Iterator[tuple[int, str]]:
    with contextlib.suppress(OSError):
        for name in _DESCRIPTORS.iterdir():
            with contextlib.suppress(OSError):
                target = str(name.readlink())
                if target.startswith("socket:"):
                    yield int(name.name), target


def _shut(sockets: dict[int, str]) -> None:
    """Shut the TCP connections among these down, where the descriptor still is that socket."""
    for number, identity in sockets.items():
        with contextlib.suppress(OSError):
            if str((_DESCRIPTORS / str(number)).readlink()) != identity:
                continue
            with socket.socket(fileno=os.dup(number)) as ours:
                if ours.family in (socket.AF_INET, socket.AF_INET6):
                    ours.shutdown(socket.SHUT_RDWR)
