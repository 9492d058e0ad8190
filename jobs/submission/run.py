"""One submission from its beginning to its end: workers, the clock beside them, signals, the proof, the result.

Counting against the service before anything is called submitted. Its counts lag (recorded: two minutes), lists less.

A few tasks are listed; many are counted, and listed when the counts do not come to agree. A list tells which are
missing: those are reported, and the checkpoint forgets that they were settled, so that `--resume` sends them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from ..errors import Forbidden, JobsError, NotFound, ServiceError, Unreachable, UsageError
from ..exits import Exit
from ..ids import IdSet, Presence
from ..signals import ENDING
from .checkpoint import Checkpoint
from .chunk_source import ChunkSource
from .chunks import Ids, cut
from .options import MOST_WORKERS, Options, Progress, Result, Tell
from .spool import SerialisedTask, Spool, SpooledIds
from .submitter import Halted, Submitter
from .transport import Account, NoCredential, Transport, in_daemon_thread
from .verdicts import Verdict

NOT_LISTED: Final = 1000  # tasks that a list lacks which are named; all are sent again with `--resume`
LISTED: Final = 2000  # tasks up to which a list is cheaper than waiting for a count
COUNTING: Final = 12.0  # seconds the counts have to agree before a list is made
LATE: Final = 5.0  # seconds for tasks without a verdict to appear in a list
FIRST_PAUSE: Final = 0.2


@dataclass
class Absent:
    """What a list did not have, and should: tasks with a good verdict, with the chunks they are in."""

    count: int = 0
    examples: list[str] = field(default_factory=list)
    chunks: set[int] = field(default_factory=set)
    unsettled: set[str] = field(default_factory=set)  # tasks without a verdict, not there either


async def prove(submitter: Submitter, seen: Ids) -> None:
    """Settle `submitter.result`: proved, or what is missing. Raises `Halted`, `ServiceError`."""
    result = submitter.result
    if result.accepted > LISTED and not submitter.unsettled and await _counts_agree(submitter):
        result.proved = True
        return
    began, pause = submitter.awake, FIRST_PAUSE
    while True:
        absent = await _absent(submitter, seen)
        waited = submitter.awake - began
        if absent.count == 0 and (not absent.unsettled or waited > LATE):
            break
        if waited > submitter.options.proof_patience:
            break
        submitter.note = f"waiting until the service lists what it accepted: {absent.count} are not there yet"
        await submitter.pause(pause)
        pause = min(10.0, pause * 2)
    found = len(submitter.unsettled) - len(absent.unsettled)
    result.accepted += found - absent.count
    result.unsent += absent.count - found
    result.uncertain = 0
    result.failures = [v for v in result.failures if v.status != "unsent" or v.task_id.lower() in absent.unsettled]
    for task_id in absent.examples:
        result.failures.append(
            Verdict(
                task_id=task_id, status="unsent", code="NotListed", message="accepted, but the job does not have it"
            )
        )
    for seq in absent.chunks:
        submitter.checkpoint.take_back(seq)
    result.proved = absent.count == 0


async def _counts_agree(submitter: Submitter) -> bool:
    deadline, pause = submitter.awake + min(COUNTING, submitter.options.proof_patience), FIRST_PAUSE
    while True:
        reply = await submitter.get(f"/jobs/{submitter.job_id}/taskcounts", {})
        try:
            counts = json.loads(reply.body)["taskCounts"]
            found = sum(int(counts.get(state) or 0) for state in ("active", "running", "completed"))
        except (ValueError, KeyError, TypeError, AttributeError):
            found = -1
        if found == submitter.result.accepted:
            return True
        if found > submitter.result.accepted or submitter.awake > deadline:
            return False
        submitter.note = f"the service counts {max(found, 0)} of {submitter.result.accepted} so far"
        await submitter.pause(pause)
        pause = min(3.0, pause * 1.5)


async def _absent(submitter: Submitter, seen: Ids) -> Absent:
    """List the job's ids, and go through ours."""
    there, _ = await listed(submitter)
    absent, seq, end = Absent(), 0, submitter.source.counts[0] if submitter.source.counts else 0
    for place, task_id in enumerate(seen):
        while place >= end and seq + 1 < len(submitter.source.counts):
            seq += 1
            end += submitter.source.counts[seq]
        if task_id in there:
            continue
        if task_id in submitter.unsettled:
            absent.unsettled.add(task_id)
        elif task_id not in submitter.refused:
            absent.count += 1
            absent.chunks.add(seq)
            if len(absent.examples) < NOT_LISTED:
                absent.examples.append(task_id)
    return absent


async def listed(submitter: Submitter) -> tuple[Presence, int]:
    """The ids of the job's tasks, and how many there are. Raises `ServiceError`, `Halted`."""
    there, count = Presence(), 0
    query = {"$select": "id", "maxresults": "1000"}
    while True:
        reply = await submitter.get(f"/jobs/{submitter.job_id}/tasks", query)
        if reply.status == 404:
            raise NotFound(
                f"job {submitter.job_id} is gone",
                cause="it was deleted after its tasks were sent",
                next_step="submit the file again",
                code="JobNotFound",
            )
        try:
            page = json.loads(reply.body)
            for task in page["value"]:
                there.note(task["id"])
                count += 1
            following = page.get("odata.nextLink")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ServiceError(
                f"job {submitter.job_id}: its list of tasks cannot be read: {error!r}", next_step="go on with --resume"
            ) from error
        if not following:
            break
        # Only the query is taken from the answer: a link to somewhere else would be sent our token.
        query = {name: value for name, value in parse_qsl(urlsplit(following).query) if name != "api-version"}
    return there, count


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
        raise UsageError(f"expected 1 to {MOST_WORKERS} workers, got {options.workers}", next_step="correct --workers")
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
        raise UsageError("there is no checkpoint to resume from", next_step="submit without --resume")


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
        what = f"all tasks were sent, but that the service has them could not be proved: {error.fact}"
        submitter.halt(type(error)(what, cause=error.cause, next_step=error.next_step, code=error.code))


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
                    f"job {submitter.job_id}: no verdict on any task for {submitter.failing_for:.0f} seconds",
                    cause=submitter.note or submitter.trouble,
                    next_step="check the network and the service's state, and resume; --patience waits longer",
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
