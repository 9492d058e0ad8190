"""One submission from its beginning to its end: workers, the clock beside them, signals, the proof, the result."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol

from ..errors import Forbidden, JobsError, ServiceError, Unreachable, UsageError
from ..exits import Exit
from ..ids import IdSet
from .checkpoint import Checkpoint
from .chunks import cut
from .intake import Intake
from .lane import Lane, NoCredential
from .proof import prove
from .shapes import MOST_WORKERS, Options, Progress, Result, Tell
from .workers import Crew, Halted

TICK: Final = 0.25
TELL: Final = 1.0  # seconds between two reports of progress, and between two syncs of the checkpoint
WINDOW: Final = 10.0  # seconds the rate is of


class Stopped(JobsError):
    """Somebody stopped the submission."""

    exit = Exit.INTERRUPTED


class HasLane(Protocol):
    def lane(self, *, timeout: float) -> Lane: ...


def submit_tasks(
    batch: HasLane,
    job_id: str,
    definitions: Iterable[Mapping[str, Any]],
    options: Options | None = None,
    progress: Tell | None = None,
) -> Result:
    """Add every task of the stream to an existing job. The result says where each one is; nothing is raised for what
    the service does. Raises `UsageError` when the checkpoint does not allow it, before anything is sent.

    With `handle_signals` SIGINT and SIGTERM end it in good order: `stopped` is then a `Stopped`.
    """
    options = options or Options()
    if not 1 <= options.workers <= MOST_WORKERS:
        raise UsageError(f"expected 1 to {MOST_WORKERS} workers, got {options.workers}")
    if options.resume:
        if options.checkpoint is None:
            raise UsageError("there is no checkpoint to resume from")
        checkpoint = Checkpoint.resume(options.checkpoint, job_id=job_id, fingerprint=options.fingerprint)
    else:
        checkpoint = Checkpoint.start(options.checkpoint, job_id=job_id, fingerprint=options.fingerprint)
    seen = IdSet()
    result: Result | None = None
    try:
        lane = batch.lane(timeout=options.request_timeout)
        stream = iter(definitions)
        result = asyncio.run(_run(lane, job_id, stream, seen, options, checkpoint, progress or (lambda _: None)))
        return result
    finally:
        checkpoint.close(remove=result is not None and result.complete)
        seen.close()


async def _run(
    lane: Lane,
    job_id: str,
    definitions: Iterator[Mapping[str, Any]],
    seen: IdSet,
    options: Options,
    checkpoint: Checkpoint,
    progress: Tell,
) -> Result:
    async with lane:
        intake = Intake(cut(definitions, seen), checkpoint)
        crew = Crew(lane=lane, job_id=job_id, intake=intake, options=options, checkpoint=checkpoint)
        hurry = asyncio.Event()
        with _signals(crew, hurry, options.handle_signals):
            beside = asyncio.create_task(_beside(crew, progress))
            try:
                await _work(crew, hurry)
                if not crew.stop.is_set():
                    await _prove(crew, seen)
            finally:
                beside.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await beside
        result = crew.result
        if result.stopped is not None:
            crew.abandon()
            result.unsent += _rest(seen, definitions, crew, options)
        return result


async def _work(crew: Crew, hurry: asyncio.Event) -> None:
    """Until the workers are done; after a stop they have some seconds to hear answers that are under way."""
    if crew.options.resume:
        await crew.catch_up()
    workers = [asyncio.create_task(crew.work()) for _ in range(crew.options.workers)]
    stopping = asyncio.create_task(crew.stop.wait())
    rushing = asyncio.create_task(hurry.wait())
    everyone = asyncio.gather(*workers)
    try:
        await asyncio.wait({everyone, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not everyone.done():
            await asyncio.wait({everyone, rushing}, timeout=crew.options.grace, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*workers, stopping, rushing):
            task.cancel()
        outcomes = await asyncio.gather(*workers, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await everyone
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome  # a defect of ours


async def _prove(crew: Crew, seen: IdSet) -> None:
    try:
        await prove(crew, seen)
    except Halted:
        pass
    except NoCredential as error:
        crew.halt(Forbidden(str(error)))
    except ServiceError as error:
        what = f"all tasks were sent, but that the service has them could not be proved: {error}"
        crew.halt(type(error)(what, error.code))


async def _beside(crew: Crew, progress: Tell) -> None:
    """Progress, syncing the checkpoint, and the end of patience."""
    history: deque[tuple[float, int]] = deque()
    told = 0.0
    while True:
        await asyncio.sleep(TICK)
        now = time.monotonic()
        failing = now - (crew.failing_since or now)
        if failing > crew.options.patience and not crew.stop.is_set():
            crew.halt(
                Unreachable(
                    f"job {crew.job_id}: no verdict on any task for {failing:.0f} seconds "
                    f"({crew.note or crew.trouble}). "
                    "Check the network and the service's state, and resume"
                )
            )
        if now - told >= TELL:
            told = now
            await asyncio.to_thread(crew.checkpoint.sync)
            settled = crew.result.accepted + crew.result.failed
            history.append((now, settled))
            while now - history[0][0] > WINDOW:
                history.popleft()
            since, before = history[0]
            rate = (settled - before) / (now - since) if now > since else 0.0
            total = crew.options.total
            left = (total - settled) / rate if total is not None and rate > 0 else None
            progress(Progress(settled=settled, total=total, rate=rate, seconds_left=left, note=crew.note))
            crew.note = ""


def _rest(seen: IdSet, definitions: Iterator[Mapping[str, Any]], crew: Crew, options: Options) -> int:
    """Tasks that were never taken from the stream, or taken and not put into a chunk."""
    if options.total is not None:
        return max(0, options.total - crew.intake.taken)
    begun = seen.count - crew.intake.taken
    try:
        return begun + sum(1 for _ in definitions)
    except Exception:
        return begun  # the stream itself is why it ended


@contextlib.contextmanager
def _signals(crew: Crew, hurry: asyncio.Event, wanted: bool) -> Iterator[None]:
    """The first signal ends the submission in good order, the second does not wait for answers."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        if crew.stop.is_set():
            hurry.set()
        crew.halt(Stopped(f"stopped by {number.name}"))

    installed: list[signal.Signals] = []
    if wanted:
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(ValueError, RuntimeError):  # not the main thread
                loop.add_signal_handler(number, stop, number)
                installed.append(number)
    try:
        yield
    finally:
        for number in installed:
            loop.remove_signal_handler(number)
