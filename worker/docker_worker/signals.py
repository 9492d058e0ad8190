"""Stopping on SIGTERM, SIGINT or SIGHUP, and on the node's notice that it goes away.

A Python handler that runs while the main thread is inside the Microsoft ODBC driver interrupts the driver's poll(): the
connection dies with "Communication link failure". Deferring with siginterrupt() keeps it alive but delays the handler
until the query ends. So the main thread only waits, a signal handler does nothing but set an event, the work runs in a
second thread, and the driver in a third that has the signals blocked (`driver.py`).

The work's thread has nothing blocked. What a team's handler starts there inherits its mask, and a child with SIGTERM
blocked cannot be terminated: `timeout 1 ...`, `Popen.terminate()` and pools of processes would wait for ever. A child
that is forked without exec (multiprocessing) has our signal handlers, too, and gets the old ones back at once.
As PID 1 (no `--init`) the kernel ignores SIGTERM and SIGHUP unless a handler is installed; ours is: both ways work.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final, Generic, TypeVar

from .log import Log

T = TypeVar("T")

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
GRACE_SECONDS: Final = 8.0  # below the 10 s after which `docker stop` kills


class Stop:
    """Set once a signal asked to stop; `number` is the first one. A second signal gives up waiting."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.reason = ""
        self.asked = threading.Event()
        self.at_once = threading.Event()

    def handle(self, number: int, _frame: FrameType | None = None) -> None:
        """The signal handler: keeps the number, sets an event, nothing else."""
        if self.number is None:
            self.number = number
            self.reason = signal.Signals(number).name
            self.asked.set()
        else:
            self.at_once.set()

    def notice(self, kind: str) -> None:
        """The node goes away: as if SIGTERM had come, but never the second signal."""
        if self.number is None:
            self.number = signal.SIGTERM
            self.reason = f"the node's notice ({kind})"
            self.asked.set()


@contextmanager
def listening() -> Iterator[Stop]:
    """Install the handlers for the block, then put the old ones back. Whoever started us may have blocked signals."""
    stop = Stop()
    blocked = signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
    _before.update({number: signal.signal(number, stop.handle) for number in STOP_SIGNALS})
    try:
        yield stop
    finally:
        _restore()
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


_before: Final[dict[int, Any]] = {}  # what stood there before `listening`, for its end and for forked children


def _restore() -> None:
    for number, handler in _before.items():
        signal.signal(number, handler)
    _before.clear()


class _Fork(threading.local):
    """A fork by this thread: the signals are blocked meanwhile. One that reached the child before its handlers are the
    old ones would be noted by ours, and then forgotten."""

    mask: set[Any] | None = None

    def before(self) -> None:
        self.mask = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)

    def after_in_parent(self) -> None:
        if self.mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self.mask)

    def after_in_child(self) -> None:
        _restore()
        self.after_in_parent()


_fork: Final = _Fork()
os.register_at_fork(before=_fork.before, after_in_parent=_fork.after_in_parent, after_in_child=_fork.after_in_child)


def start_without_signals(thread: threading.Thread) -> None:
    """Start a thread with the stop signals blocked from its first instruction: it inherits its maker's mask."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Work(threading.Thread, Generic[T]):
    """`run` in a thread of its own; `result` after it ended, or `error`."""

    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__(name="work", daemon=True)
        self._work = work
        self.ended = threading.Event()
        self.result: T | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:  # handed to the main thread, which decides
            self.error = error
        finally:
            self.ended.set()


def finish(work: Work[T], stop: Stop, *, grace: float = GRACE_SECONDS) -> bool:
    """Wait for the work; after a signal at most `grace` seconds, after a second one no longer. True when it ended.

    The waits are short because a handler only runs when the main thread's wait returns to the interpreter.
    """
    deadline: float | None = None
    while not work.ended.wait(0.1):
        if stop.at_once.is_set():
            return False
        if stop.asked.is_set():
            deadline = deadline or time.monotonic() + grace
            if time.monotonic() >= deadline:
                return False
    return True


# Azure tells a spot VM by the instance metadata service
# (learn.microsoft.com/azure/virtual-machines/linux/scheduled-events): at least 30 s before for `Preempt`, best effort.
# Whether a Batch pool's nodes get it is not documented: so nothing relies on it. It blocks only its own daemon thread.
POLL_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 60.0  # between two asks where the endpoint does not answer
ASK_SECONDS: Final = 10.0
EVENTS: Final = "/metadata/scheduledevents?api-version=2020-07-01"
INSTANCE: Final = "/metadata/instance?api-version=2021-02-01"
# What ends this machine's processes. `Freeze` only pauses them.
ENDING: Final = frozenset({"Preempt", "Terminate", "Reboot", "Redeploy"})

Ask = Callable[[str], Any]


def asker(address: str) -> Ask:
    """Asks the metadata service at this address, never through a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(path: str) -> Any:
        request = urllib.request.Request(address.rstrip("/") + path, headers={"Metadata": "true"})  # noqa: S310
        with opener.open(request, timeout=ASK_SECONDS) as answer:
            return json.load(answer)

    return ask


def ending(events: Any, machine: str) -> str | None:
    """The kind of the first event that ends this machine. Events name every machine of the scale set."""
    for event in events.get("Events", ()):
        if event.get("EventType") in ENDING and machine in event.get("Resources", ()):
            return str(event["EventType"])
    return None


def watch(ask: Ask, stop: Stop, log: Log, *, every: float = POLL_SECONDS) -> None:
    """Ask until a stop; a notice is one."""
    machine, pause = "", every
    while not stop.asked.wait(pause):
        try:
            machine = machine or str(ask(INSTANCE)["compute"]["name"])
            kind = ending(ask(EVENTS), machine)
            pause = every
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # nobody there, or somebody else
            pause = min(LONGEST_SECONDS, pause * 2)
            continue
        if kind is not None:
            log("node_goes_away", kind=kind, machine=machine)
            stop.notice(kind)


def watch_notices(address: str, stop: Stop, log: Log) -> None:
    """Watch in the background."""
    threading.Thread(target=watch, args=(asker(address), stop, log), name="notices", daemon=True).start()
