"""One child process of the supervisor, as data."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Child:
    """A program to keep running. `ready` returns once the service answers; times are seconds.

    `stop_signal` is also what the kernel sends it when the supervisor is killed: a program that saves on SIGTERM then
    still saves.
    """

    name: str
    argv: Sequence[str]
    ready: Callable[[], Awaitable[None]]
    env: Mapping[str, str] = field(default_factory=dict)
    ready_seconds: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    grace_seconds: float = 10.0
