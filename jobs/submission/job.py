"""The job around the tasks: made, or taken over when it is there already; checked; and left to end by itself.

Every call is as patient as sending tasks is (`Options.patience`): an answer that was lost, a service that is busy or
away for a minute, costs time and nothing else. A job carries the submission's identity in its metadata, so that the job
which a lost answer made is known again, and another one under its id is not taken for it.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from ..clock import Clock
from ..errors import Conflict, Forbidden, NotFound, Refused, ServiceError, Throttled, Unreachable
from ..ids import Presence
from .checkpoint import Checkpoint
from .chunk_source import ChunkSource
from .chunks import cut
from .options import Options
from .run import listed
from .spool import Spool, SpooledIds
from .submitter import Halted, Submitter
from .transport import Account, NoCredential
from .verdicts import difference

T = TypeVar("T")
SUBMISSION: Final = "submission"  # the name of the metadata with the submission's identity
FIRST_PAUSE: Final = 1.0  # seconds; doubled
LONGEST_PAUSE: Final = 15.0
SAMPLES: Final = 16  # tasks of a job that is complete already which are compared


class Batch(Account, Protocol):
    """What is needed of the service beside sending tasks."""

    def pool_state(self, pool_id: str) -> str: ...
    def create_job(self, definition: Mapping[str, Any]) -> None: ...
    def job_definition(self, job_id: str) -> dict[str, Any]: ...
    def end_when_done(self, job_id: str) -> None: ...


@dataclass(frozen=True)
class FoundJob:
    """A job as the service shows it."""

    wire: Mapping[str, Any]

    @property
    def state(self) -> str:
        return str(self.wire.get("state") or "active").casefold()

    @property
    def created(self) -> str:
        return str(self.wire.get("creationTime") or "")

    @property
    def submission(self) -> str:
        """The identity of the submission that made it; empty when none of ours did."""
        return next((str(one["value"]) for one in self.wire.get("metadata") or () if one["name"] == SUBMISSION), "")

    @property
    def ends_by_itself(self) -> bool:
        return str(self.wire.get("onAllTasksComplete") or "").casefold() == "terminatejob"

    def differs(self, definition: Mapping[str, Any]) -> str:
        """Where its settings are not these, as `poolInfo.poolId`; empty when they are. The service leaves out what is
        empty, and adds defaults."""
        theirs = dict(self.wire) | {"metadata": _without_identity(self.wire.get("metadata"))}
        ours = dict(definition) | {"metadata": _without_identity(definition.get("metadata"))}
        return difference(ours, theirs)


@dataclass(frozen=True)
class Contents:
    """What a job has of the input's tasks. `different`: one that is defined otherwise, and where."""

    present: int
    absent: int
    others: int
    different: str = ""


@dataclass(frozen=True)
class JobCalls:
    """The calls about one job, each repeated within `patience` seconds. `tell` hears why it takes long."""

    batch: Batch
    clock: Clock
    patience: float
    tell: Callable[[str], None]

    def check_pool(self, pool_id: str) -> None:
        """Raises `NotFound` or `Conflict` when no job can be made on it."""
        try:
            state = self._patiently(lambda: self.batch.pool_state(pool_id))
        except NotFound as error:
            raise NotFound(
                f"pool {pool_id} does not exist in this account",
                next_step="correct job.pool, or run up again",
                code=error.code,
            ) from error
        if state != "active":
            raise Conflict(f"pool {pool_id} is {state}; it takes no jobs", next_step="wait, or use another pool")

    def find(self, job_id: str) -> FoundJob | None:
        """None when there is none."""
        try:
            return FoundJob(self._patiently(lambda: self.batch.job_definition(job_id)))
        except NotFound:
            return None

    def create(self, definition: Mapping[str, Any], identity: str) -> FoundJob | None:
        """Make it. The job as it is then; None when the service does not show it. Raises `Conflict` (JobExists) when
        there is one under its id that this submission did not make."""
        metadata = [*(definition.get("metadata") or ()), {"name": SUBMISSION, "value": identity}]
        try:
            self._patiently(lambda: self.batch.create_job({**definition, "metadata": metadata}))
        except Conflict as error:
            found = self.find(definition["id"]) if error.code == "JobExists" else None
            if found is None or found.submission != identity:
                raise
            return found  # the answer to an earlier try was lost
        return self.find(definition["id"])

    def let_end(self, job_id: str) -> None:
        """The job ends with its last task. One that has, since an earlier try did it, is no error."""
        try:
            self._patiently(lambda: self.batch.end_when_done(job_id))
        except Conflict:
            found = self.find(job_id)
            if found is None or not found.ends_by_itself:
                raise

    def _patiently(self, call: Callable[[], T]) -> T:
        waited, pause = 0.0, FIRST_PAUSE
        while True:
            try:
                return call()
            except ServiceError as error:
                if not passes(error) or waited >= self.patience:
                    raise
                asked = error.retry_after if isinstance(error, Throttled) else None
                seconds = max(asked or 0.0, pause * random.uniform(0.5, 1.0))  # noqa: S311 - not for secrets
                self.tell(f"{error.fact}; trying again for {self.patience - waited:.0f} s more")
            self.clock.sleep(min(seconds, max(self.patience - waited, 0.1)))
            waited, pause = waited + seconds, min(LONGEST_PAUSE, pause * 2)


def contents(batch: Account, job_id: str, spool: Spool, options: Options) -> Contents:
    """Compare a job's tasks with the input's: all by their ids, some by their definitions. Sends nothing.

    Raises `ServiceError`.
    """
    return asyncio.run(_contents(batch, job_id, spool, options))


async def _contents(batch: Account, job_id: str, spool: Spool, options: Options) -> Contents:
    async with batch.transport(timeout=options.request_timeout) as transport:
        source = ChunkSource(cut(iter(spool), SpooledIds(spool)), Checkpoint(None))
        submitter = Submitter(
            transport=transport, job_id=job_id, source=source, options=options, checkpoint=Checkpoint(None)
        )
        ticking = asyncio.create_task(_tick(submitter))
        try:
            there, count = await listed(submitter)
            present = sum(task.id in there for task in spool)
            different = await _first_difference(submitter, there, spool)
        except NoCredential as error:
            raise Forbidden(str(error)) from error
        except Halted as error:
            raise ServiceError(f"job {job_id}: its tasks could not be read", next_step="go on with --resume") from error
        finally:
            ticking.cancel()
            with suppress(asyncio.CancelledError):
                await ticking
    return Contents(present, spool.count - present, max(0, count - present), different)


async def _first_difference(submitter: Submitter, there: Presence, spool: Spool) -> str:
    every = max(1, spool.count // SAMPLES)
    for place, task in enumerate(spool):
        if place % every or task.id not in there:
            continue
        chunk = next(cut([task], SpooledIds(spool)))
        if found := await submitter.difference_of(chunk, 0):
            return f"task {task.id}: its {found} is another"
    return ""


async def _tick(submitter: Submitter) -> None:
    while True:
        await asyncio.sleep(0.25)
        submitter.tick()


def passes(error: ServiceError) -> bool:
    """Whether it may be another answer in a minute. An answer without a code of the service's is somebody else's."""
    if isinstance(error, Throttled | Unreachable) or type(error) is ServiceError:
        return True
    return isinstance(error, Conflict | Refused) and not error.code


def _without_identity(metadata: Any) -> list[Any]:
    return [one for one in metadata or () if one.get("name") != SUBMISSION]


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and SIGHUP are what SIGINT is: `KeyboardInterrupt`, also in a call that waits for the network."""

    def interrupt(number: int, _: object) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before: dict[int, Any] = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            with suppress(ValueError):  # not the main thread
                before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
