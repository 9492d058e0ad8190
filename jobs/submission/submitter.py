"""The submitter: workers that take chunks and send them until every task has a verdict, or the submission ends.

A request that fails does not hold up its worker: the chunk is set aside for a moment, and the worker takes another one.
So errors that come now and then cost the requests that they spoil, and not the time of a worker.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import random
import time
from typing import Final

from ..errors import Conflict, Forbidden, JobsError, Refused, ServiceError, Unreachable
from ..ids import Presence
from .checkpoint import Checkpoint
from .chunk_source import ChunkSource
from .chunks import Chunk, ChunkAttempt
from .options import Options, Result
from .pace import Pacer
from .transport import NoAnswer, NoCredential, Reply, Transport
from .verdicts import EXISTS, NO_VERDICT, Act, Judgement, Verdict, act_on, difference, judge, why_stopped

FIRST_PAUSE: Final = 0.2  # seconds, after a failure while most requests fail; doubled with each
SPORADIC_PAUSE: Final = 0.02  # seconds, after the second failure in a row while most requests succeed
LONGEST_PAUSE: Final = 8.0
HEALTHY: Final = 0.5  # share of the last requests that had an answer of the service's
ASIDE: Final = 16 << 20  # bytes of bodies set aside, above which no new chunk is taken
RENEWALS: Final = 3  # of the credential, for one chunk
REFUSED_FIRST: Final = 200  # tasks refused alone before anything was accepted: then the job is at fault, not they
UNSETTLED: Final = 5000  # tasks given up without a verdict: then the service is at fault
COMPARED: Final = 2000  # tasks there unexpectedly that are compared each; above that one in `SAMPLED`
SAMPLED: Final = 100
SAMPLES: Final = 8  # tasks sent before that are compared when a submission goes on
LONGEST_TICK: Final = 1.0  # seconds; between two ticks more time only passes when this process was stopped


class Halted(Exception):
    """The submission is ending; nothing more is sent."""


class Submitter:
    """What all workers share: what became of the tasks, the pace, and whether to stop.

    `awake` is the time in seconds that this process ran: patience is measured in it, so that a process that was
    stopped for an hour (SIGSTOP, a closed laptop) has not waited for an hour.
    """

    def __init__(
        self, *, transport: Transport, job_id: str, source: ChunkSource, options: Options, checkpoint: Checkpoint
    ) -> None:
        self.transport = transport
        self.job_id = job_id
        self.options = options
        self.checkpoint = checkpoint
        self.source = source
        self.result = Result()
        self.stop = asyncio.Event()
        self.pacer = Pacer(self.pause)
        self.unsettled: set[str] = set()  # lower case
        self.refused = Presence()
        self.awake = 0.0
        self.failing_since: float | None = None  # awake time; no verdict since then, only failures
        self.note = self.trouble = ""
        self._ticked = time.monotonic()
        self._health = 1.0  # share of the last requests with an answer of the service's
        self._aside: list[tuple[float, int, ChunkAttempt]] = []  # heap: when it is due, a number, the attempt
        self._aside_bytes = 0
        self._numbers = itertools.count()
        self._largest = 1 << 30  # bytes of a body; learned from the service
        self._refused_first = self._compared = 0

    def tick(self) -> None:
        """Called again and again, at least every `LONGEST_TICK`."""
        now = time.monotonic()
        self.awake += min(now - self._ticked, LONGEST_TICK)
        self._ticked = now

    @property
    def failing_for(self) -> float:
        """Seconds of failures without one verdict."""
        return 0.0 if self.failing_since is None else self.awake - self.failing_since

    def halt(self, reason: JobsError) -> None:
        """The first reason counts."""
        if self.result.stopped is None:
            self.result.stopped = reason
        self.stop.set()

    async def pause(self, seconds: float) -> None:
        """Sleep, unless the submission ends."""
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            return
        raise Halted

    async def catch_up(self) -> None:
        """Resumed: count what was settled before; what was not is sent first. Sends no task."""
        checkpoint = self.checkpoint
        settled = [seq for seq in checkpoint.sent if seq in checkpoint.done]
        self.result.accepted = sum(checkpoint.sent[seq][0] for seq in settled)
        for _, verdict in checkpoint.failures:
            self.result.accepted -= 1
            self._fail(verdict)
        sampled = set(random.sample(sorted(checkpoint.sent), min(SAMPLES, len(checkpoint.sent))))
        samples: list[Chunk] = []
        try:
            for chunk in self.source.sent_before():
                if chunk.seq in sampled:
                    samples.append(chunk)
                if self.stop.is_set():
                    return
                await asyncio.sleep(0)
            for chunk in samples:
                await self._check_sample(chunk)
        except Halted:
            return
        except JobsError as error:
            self.halt(error)

    async def work(self) -> None:
        """One worker's life."""
        try:
            while not self.stop.is_set() and (attempt := await self._next()) is not None:
                await self._advance(attempt)
        except Halted:
            return
        except NoCredential as error:
            self.halt(Forbidden(str(error)))
        except JobsError as error:
            self.halt(error)

    def abandon(self) -> None:
        """What was taken from the stream and is not going to be sent any more."""
        self.result.uncertain += self.source.possibly_sent()
        for _, _, attempt in self._aside:
            self._leave(attempt)
        self._aside.clear()

    async def get(self, path: str, query: dict[str, str]) -> Reply:
        """A GET at the common pace, tried again within the patience. Raises `Halted`, `ServiceError`."""
        began, failures = self.awake, 0
        while True:
            sent = await self.pacer.turn()
            try:
                reply = await self.transport.get(path, query)
            except NoAnswer as error:
                self.pacer.lost()
                failed: ServiceError = Unreachable(str(error))
            else:
                act, code, message = act_on(reply)
                if act is Act.SLOW_DOWN:
                    self.pacer.refused(sent, reply.retry_after)
                else:
                    self.pacer.accepted(sent)
                if act is Act.JUDGED or (reply.status == 404 and code):
                    self.failing_since = None
                    return reply
                failed = ServiceError(f"{reply.status} {code}: {message}", code=code)
                if act is Act.RENEW and failures < RENEWALS:
                    await self.transport.renew()
                elif act not in (Act.AGAIN, Act.SLOW_DOWN):
                    raise failed
            if self.awake - began > self.options.patience:
                raise failed
            failures += 1
            self.note = failed.fact
            await self.pause(_pause(failures, FIRST_PAUSE))

    async def _next(self) -> ChunkAttempt | None:
        """What to send now: a chunk set aside that is due, a new one, or one set aside once it is due."""
        due = bool(self._aside) and self._aside[0][0] <= time.monotonic()
        if not due and self._aside_bytes < ASIDE and (chunk := self.source.next()) is not None:
            self.checkpoint.intend(chunk)
            return ChunkAttempt(chunk)
        if not self._aside:
            return None
        at, _, attempt = heapq.heappop(self._aside)
        self._aside_bytes -= len(attempt.chunk.body)
        if (wait := at - time.monotonic()) > 0:
            try:
                await self.pause(wait)
            except Halted:
                self._set_aside(attempt, 0.0)  # `abandon` counts it
                raise
        return attempt

    def _set_aside(self, attempt: ChunkAttempt, seconds: float) -> None:
        heapq.heappush(self._aside, (time.monotonic() + seconds, next(self._numbers), attempt))
        self._aside_bytes += len(attempt.chunk.body)

    async def _advance(self, attempt: ChunkAttempt) -> None:
        """Send a chunk until each of its tasks has a verdict, or until a request fails: then it is set aside."""
        try:
            while (request := attempt.next(self._largest)) is not None:
                aside = await self._send(attempt, *request)
                if aside is None:
                    continue
                reason, seconds = aside
                since = attempt.failing_since
                if since is not None and self.awake - since > self.options.patience:
                    return self._give_up(attempt, reason)
                return self._set_aside(attempt, seconds)
        except Halted:
            self._leave(attempt)
            return
        except (NoCredential, asyncio.CancelledError):
            self._leave(attempt)
            raise
        self.checkpoint.settle(attempt.chunk)

    async def _send(self, attempt: ChunkAttempt, part: list[int], body: bytes) -> tuple[str, float] | None:
        """One request, and what its answer asks for. When it has to be made again: why, and in how many seconds.

        Raises `Halted` when the submission ended meanwhile: the rest of a chunk is not sent any more, so that nothing
        new is under way, and perhaps carried out, when the process ends.
        """
        at = await self.pacer.turn()
        if self.stop.is_set():
            self.pacer.lost()
            raise Halted
        self.result.requests += 1
        attempt.send()
        act, reply, code, message = await self._ask(body, at)
        match act:
            case Act.JUDGED:
                return await self._judge(attempt, part, reply.body)
            case Act.SLOW_DOWN:
                if reply.status == 429:
                    attempt.not_carried_out()
                else:
                    attempt.ambiguous = True
                return f"{reply.status} {code}", self.pacer.retry_in(reply.retry_after)
            case Act.AGAIN:
                attempt.ambiguous = True
                return self._failed(attempt, f"{code}: {message}".lstrip(": "))
            case Act.SPLIT if len(part) > 1:
                attempt.halve()
                if reply.status == 413:
                    self._largest = min(self._largest, len(body) // 2)
            case Act.SPLIT:
                task_id = attempt.chunk.ids[part[0]]
                attempt.judged([])
                self._refuse(attempt.chunk, Verdict(task_id=task_id, status="clienterror", code=code, message=message))
            case Act.RENEW if attempt.renewals < RENEWALS:
                attempt.renewals += 1
                await self.transport.renew()
                await self.pause(_pause(attempt.renewals, FIRST_PAUSE))
            case Act.RENEW | Act.STOP:
                self.halt(why_stopped(self.job_id, reply.status, code, message))
                raise Halted
        return None

    def _failed(self, attempt: ChunkAttempt, reason: str) -> tuple[str, float]:
        """A failure that is the service's or the network's. While most requests succeed it is tried again at once."""
        attempt.failed(self.awake)
        if self._health < HEALTHY:
            return reason, _pause(attempt.failures, FIRST_PAUSE)
        return reason, 0.0 if attempt.failures == 1 else _pause(2 * (attempt.failures - 2), SPORADIC_PAUSE)

    async def _judge(self, attempt: ChunkAttempt, part: list[int], body: bytes) -> tuple[str, float] | None:
        """Put each task's verdict on record. Why some have none, when some have none."""
        judgement = judge(attempt.ids(part), body)
        if judgement is None:
            attempt.ambiguous = True
            return self._failed(attempt, "the answer is not the service's, or was cut")
        self.failing_since = None
        again = await self._count(attempt.chunk, part, judgement, attempt.ambiguous)
        attempt.judged(again)
        if not again:
            return None
        attempt.ambiguous = True  # that a task failed on the server's side does not prove that it is not there
        return self._failed(attempt, judgement.reason)

    async def _ask(self, body: bytes, at: float) -> tuple[Act, Reply, str, str]:
        """One request, and what its answer means as a whole."""
        try:
            reply = await self.transport.add(self.job_id, body)
        except NoAnswer as error:
            self.pacer.lost()
            self._trouble(str(error))
            return Act.AGAIN, Reply(0, b""), "", str(error)
        act, code, message = act_on(reply)
        if act is Act.SLOW_DOWN:
            self.result.throttled += 1
            self.pacer.refused(at, reply.retry_after)
            self._trouble(f"{reply.status} {code}: slowing down")
        else:
            self.pacer.accepted(at)
            if act is Act.AGAIN:
                self._trouble(f"{reply.status} {code}: {message}")
            else:
                self._health += (1.0 - self._health) / 20
        return act, reply, code, message

    def _trouble(self, what: str) -> None:
        self.note = self.trouble = what
        self._health -= self._health / 20
        if self.failing_since is None:
            self.failing_since = self.awake

    async def _count(self, chunk: Chunk, part: list[int], judgement: Judgement, ambiguous: bool) -> list[int]:
        """Put verdicts on record; the places to send again."""
        self.result.accepted += judgement.done
        again = [part[place] for place in judgement.again]
        for _, verdict in judgement.failed:
            self._refuse(chunk, verdict)
        for place in judgement.existed:
            if ambiguous:
                self.result.accepted += 1
                self.result.existed += 1
            elif not await self._compare(chunk, part[place]):
                again.append(part[place])
        return again

    async def _compare(self, chunk: Chunk, index: int) -> bool:
        """A task was there that we do not know to have sent: the same definition is as good as ours. False: cannot
        tell yet. Of very many, as after a checkpoint lost its end, a sample is compared."""
        self._compared += 1
        if self._compared > COMPARED and self._compared % SAMPLED:
            self.result.accepted += 1
            self.result.existed += 1
            return True
        try:
            place = await self.difference_of(chunk, index)
        except (Halted, ServiceError, NoCredential, asyncio.CancelledError):
            return False  # when the submission ends, the caller notices
        if place is None:
            return False
        if place:
            message = f"the job has a task of this id already, and its {place} is another; tasks cannot be changed"
            self._refuse(chunk, Verdict(task_id=chunk.ids[index], status="clienterror", code=EXISTS, message=message))
        else:
            self.result.accepted += 1
            self.result.existed += 1
        return True

    async def difference_of(self, chunk: Chunk, index: int) -> str | None:
        """Where the job's task of this id differs from ours. None: the service does not show one."""
        reply = await self.get(f"/jobs/{self.job_id}/tasks/{chunk.ids[index]}", {})
        try:
            wire = json.loads(reply.body)
        except ValueError:
            return None
        return difference(chunk.definition(index), wire) if reply.status == 200 else None

    async def _check_sample(self, chunk: Chunk) -> None:
        """A task that was sent, and that the job has in another form, is not this submission's. Raises `Conflict`."""
        if chunk.ids[0] in self.refused:
            return
        if place := await self.difference_of(chunk, 0):
            raise Conflict(
                f"job {self.job_id}: task {chunk.ids[0]} was sent, and the job has another: its {place} differs",
                cause="the job was deleted and made again since, or somebody else adds tasks to it",
                next_step="submit under another --job-id",
                code=EXISTS,
            )

    def _refuse(self, chunk: Chunk, verdict: Verdict) -> None:
        self.failing_since = None
        self.checkpoint.failed(chunk, verdict)
        self._fail(verdict)
        if not self.result.accepted:
            self._refused_first += 1
            if self._refused_first >= REFUSED_FIRST:
                self.halt(
                    Refused(
                        f"job {self.job_id}: the first {self._refused_first} tasks were all refused: {verdict.code}: "
                        f"{verdict.message}",
                        next_step="correct the tasks, and submit under another --job-id",
                        code=verdict.code,
                    )
                )

    def _fail(self, verdict: Verdict) -> None:
        self.result.failed += 1
        self.refused.note(verdict.task_id)
        self.result.failures.append(verdict)

    def _leave(self, attempt: ChunkAttempt) -> list[str]:
        """Some tasks of a chunk are not settled, and will not be; these."""
        left, uncertain = attempt.left()
        self.result.unsent += len(left)
        self.result.uncertain += uncertain
        return left

    def _give_up(self, attempt: ChunkAttempt, reason: str) -> None:
        """The patience is over; the verification will look whether they are there after all."""
        left = self._leave(attempt)
        self.note = f"{len(left)} tasks have no verdict after {self.options.patience:.0f} seconds: {reason}"
        self.unsettled.update(task_id.lower() for task_id in left)
        self.result.failures += [
            Verdict(task_id=task_id, status="unsent", code=NO_VERDICT, message=reason) for task_id in left
        ]
        if len(self.unsettled) > UNSETTLED:
            self.halt(
                Unreachable(
                    f"more than {UNSETTLED} tasks have no verdict after {self.options.patience:.0f} seconds: {reason}"
                )
            )


def _pause(failures: int, first: float) -> float:
    """Doubling, with jitter so that workers and submitters do not come back together."""
    return min(LONGEST_PAUSE, first * 2 ** min(failures, 30)) * random.uniform(0.5, 1.0)  # noqa: S311
