"""One submission from its beginning to its end: workers, the clock beside them, signals, the proof, the result."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ..errors import Forbidden, JobsError, ServiceError, Unreachable, UsageError
from ..exits import Exit
from ..ids import IdSet
from ..signals import ENDING
from .checkpoint import Checkpoint
from .chunk_source import ChunkSource
from .chunks import Ids, cut
from .daemon import in_daemon_thread
from .options import MOST_WORKERS, Options, Progress, Result, Tell
from .spool import SerialisedTask, Spool, SpooledIds
from .submitter import Halted, Submitter
from .transport import Account, NoCredential, Transport
from .verification import prove

TICK: Final = 0.25
TELL: Final = 1.0  # seconds between two reports of progress, and between two syncs of the checkpoint
WINDOW: Final = 10.0  # seconds the rate is of
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(JobsError):
    """Somebody stopped the submission."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(f"stopped by {number.name}")
        self.exit = ENDING.get(number, Exit.INTERRUPTED)


def submit_tasks(
    batch: Account,
    job_id: str,
    tasks: Iterable[Mapping[str, Any]] | Spool,
    options: Options | None = None,
    progress: Tell | None = None,
) -> Result:
    """Add every task to an existing job. The result says where each one is; nothing is raised for what the service
    does. Raises `UsageError` when the checkpoint does not allow it, before anything is sent.

    With `handle_signals` SIGINT, SIGTERM and SIGHUP end it in good order: `stopped` is then a `Stopped`. What
    `progress` raises is ignored: the display is no part of the work.
    """
    options = options or Options()
    if not 1 <= options.workers <= MOST_WORKERS:
        raise UsageError(f"expected 1 to {MOST_WORKERS} workers, got {options.workers}")
    seen: Ids = SpooledIds(tasks) if isinstance(tasks, Spool) else IdSet()
    result: Result | None = None
    with _checkpoint(options, job_id) as checkpoint:
        try:
            transport = batch.transport(timeout=options.request_timeout)
            run = _run(transport, job_id, iter(tasks), seen, options, checkpoint, progress or (lambda _: None))
            result = asyncio.run(run)
            return result
        finally:
            if checkpoint is not options.checkpoint:
                checkpoint.close(remove=result is not None and result.complete)
            seen.close()


@contextlib.contextmanager
def _checkpoint(options: Options, job_id: str) -> Iterator[Checkpoint]:
    """The caller's, or one of our own at the path."""
    given = options.checkpoint
    if isinstance(given, Checkpoint):
        yield given
    elif not options.resume:
        yield Checkpoint.start(given, job_id=job_id, fingerprint=options.fingerprint)
    elif isinstance(given, Path):
        yield Checkpoint.resume(given, job_id=job_id, fingerprint=options.fingerprint)
    else:
        raise UsageError("there is no checkpoint to resume from")


async def _run(
    transport: Transport,
    job_id: str,
    tasks: Iterator[Mapping[str, Any] | SerialisedTask],
    seen: Ids,
    options: Options,
    checkpoint: Checkpoint,
    progress: Tell,
) -> Result:
    async with transport:
        source = ChunkSource(cut(tasks, seen), checkpoint)
        submitter = Submitter(transport=transport, job_id=job_id, source=source, options=options, checkpoint=checkpoint)
        hurry = asyncio.Event()
        with _signals(submitter, hurry, options.handle_signals):
            beside = asyncio.create_task(_beside(submitter, progress))
            try:
                if options.resume:
                    await _until_stopped(submitter, submitter.catch_up())
                await _work(submitter, hurry)
                if not submitter.stop.is_set():
                    await _until_stopped(submitter, _prove(submitter, seen))
            finally:
                beside.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await beside
        result = submitter.result
        if result.stopped is not None:
            submitter.abandon()
            total = options.total if options.total is not None else _length(seen, tasks, source)
            result.unsent = max(0, total - result.accepted - result.failed)
            result.uncertain = min(result.uncertain, result.unsent)
        return result


async def _work(submitter: Submitter, hurry: asyncio.Event) -> None:
    """Until the workers are done; after a stop they have some seconds to hear answers that are under way."""
    workers = [asyncio.create_task(submitter.work()) for _ in range(submitter.options.workers)]
    stopping = asyncio.create_task(submitter.stop.wait())
    rushing = asyncio.create_task(hurry.wait())
    everyone = asyncio.gather(*workers)
    try:
        await asyncio.wait({everyone, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not everyone.done():
            grace = submitter.options.grace
            await asyncio.wait({everyone, rushing}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (*workers, stopping, rushing):
            task.cancel()
        outcomes = await asyncio.gather(*workers, return_exceptions=True)
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await everyone
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome  # a defect of ours


async def _until_stopped(submitter: Submitter, work: Coroutine[Any, Any, None]) -> None:
    """Questions only: a stop does not wait for their answers."""
    task, stopping = asyncio.create_task(work), asyncio.create_task(submitter.stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in (task, stopping):
            one.cancel()
        outcome, _ = await asyncio.gather(task, stopping, return_exceptions=True)
    if isinstance(outcome, Exception):
        raise outcome


async def _prove(submitter: Submitter, seen: Ids) -> None:
    try:
        await prove(submitter, seen)
    except Halted:
        pass
    except NoCredential as error:
        submitter.halt(Forbidden(str(error)))
    except ServiceError as error:
        what = f"all tasks were sent, but that the service has them could not be proved: {error}"
        submitter.halt(type(error)(what, error.code))


async def _beside(submitter: Submitter, progress: Tell) -> None:
    """The clock, progress, syncing the checkpoint, and the end of patience."""
    history: deque[tuple[float, int]] = deque()
    told = 0.0
    while True:
        await asyncio.sleep(TICK)
        submitter.tick()
        now = time.monotonic()
        if submitter.failing_for > submitter.options.patience and not submitter.stop.is_set():
            submitter.halt(
                Unreachable(
                    f"job {submitter.job_id}: no verdict on any task for {submitter.failing_for:.0f} seconds "
                    f"({submitter.note or submitter.trouble}). "
                    "Check the network and the service's state, and resume; --patience waits longer"
                )
            )
        if now - told >= TELL:
            told = now
            await in_daemon_thread(submitter.checkpoint.sync)
            settled = submitter.result.accepted + submitter.result.failed
            history.append((now, settled))
            while now - history[0][0] > WINDOW:
                history.popleft()
            since, before = history[0]
            rate = (settled - before) / (now - since) if now > since else 0.0
            total = submitter.options.total
            left = (total - settled) / rate if total is not None and rate > 0 else None
            note = submitter.note
            if (fault := submitter.checkpoint.fault) is not None:
                note = f"{submitter.checkpoint.path} cannot be written: {fault.strerror}; tried again. {note}".strip()
            with contextlib.suppress(Exception):
                progress(Progress(settled=settled, total=total, rate=rate, seconds_left=left, note=note))
            submitter.note = ""


def _length(seen: Ids, tasks: Iterator[Any], source: ChunkSource) -> int:
    """How many tasks the stream has, whoever took them from it."""
    taken = max(seen.count, source.tasks)
    try:
        return taken + sum(1 for _ in tasks)
    except Exception:
        return taken  # the stream itself is why it ended


@contextlib.contextmanager
def _signals(submitter: Submitter, hurry: asyncio.Event, wanted: bool) -> Iterator[None]:
    """The first signal ends the submission in good order, the second does not wait for answers."""
    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        if submitter.stop.is_set():
            hurry.set()
        submitter.halt(Stopped(number))

    before: dict[signal.Signals, Any] = {}
    for number in SIGNALS if wanted else ():
        handler = signal.getsignal(number)
        if handler is signal.SIG_IGN and number is signal.SIGHUP:  # nohup
            continue
        with contextlib.suppress(ValueError, RuntimeError):  # not the main thread
            loop.add_signal_handler(number, stop, number)
            before[number] = handler
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
