"""The records that cross this package's border: what a submission is given, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..errors import JobsError
from .checkpoint import Checkpoint
from .verdicts import Verdict

MOST_WORKERS: Final = 100  # Batch's documentation: stay below 100 requests at a time
PATIENCE: Final = 600.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Options:
    """`total`: how many tasks the stream has, when known (for the time left, and to say how many were not sent).

    `checkpoint`: one that the caller opened and closes, or the path of one that is removed when all is well.
    """

    total: int | None = None
    workers: int = 32
    checkpoint: Checkpoint | Path | None = None
    resume: bool = False
    fingerprint: str = ""  # of the job; a checkpoint of another one is refused
    patience: float = PATIENCE  # seconds of failures without one verdict until a task or the service is given up
    request_timeout: float = 60.0
    grace: float = 3.0  # seconds that requests under way have after a signal
    proof_patience: float = 180.0  # seconds the service has to list what it accepted: its counts lag
    handle_signals: bool = True


@dataclass(frozen=True, kw_only=True)
class Progress:
    settled: int
    total: int | None
    rate: float  # tasks a second, of the last ten seconds
    seconds_left: float | None
    note: str = ""  # why it is slow or waits, when it does


@dataclass(kw_only=True)
class Result:
    """Where every task of the input is: accepted + failed + unsent = the input's length.

    `existed` of the accepted were there already. `failed` were refused, each with a reason. `unsent` were not sent, or
    sent and neither confirmed nor found in the job; `uncertain` of them may be in it (only after an early end).
    `failures` has a verdict for every refused task, and for those of the unsent that were tried.
    """

    accepted: int = 0
    existed: int = 0
    failed: int = 0
    unsent: int = 0
    uncertain: int = 0
    proved: bool = False
    failures: list[Verdict] = field(default_factory=list)
    stopped: JobsError | None = None  # why it ended early
    requests: int = 0
    throttled: int = 0

    @property
    def complete(self) -> bool:
        return self.proved and self.stopped is None and not (self.failed or self.unsent)


Tell = Callable[[Progress], None]
