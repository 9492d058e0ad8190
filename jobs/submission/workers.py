"""The workers: each takes a chunk and stays with it until every task in it has a verdict, or the submission ends."""

from __future__ import annotations

import asyncio
import json
import random
import time
from array import array
from collections import deque
from collections.abc import Iterator
from typing import Final

from ..errors import Conflict, Forbidden, JobsError, NotFound, Refused, ServiceError, Unreachable, UsageError
from ..ids import Presence
from ..service.batch import Verdict
from .checkpoint import Checkpoint
from .chunks import Chunk
from .lane import Lane, NoAnswer, NoCredential, Reply
from .pace import Pacer
from .same import difference
from .shapes import EXAMPLES, Options, Result
from .verdicts import EXISTS, Act, Judgement, act_on, judge

ATTEMPTS: Final = 8  # with the pauses below about half a minute
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 8.0
RENEWALS: Final = 3  # of the credential, for one chunk
REFUSED_FIRST: Final = 200  # tasks refused alone before anything was accepted: then the job is at fault, not they
UNSETTLED: Final = 5000  # tasks without a verdict after all attempts: then the service is at fault
COMPARED: Final = 2000  # tasks that were there unexpectedly and were compared one by one


class Halted(Exception):
    """The submission is ending; nothing more is sent."""


class Crew:
    """What all workers share: the stream, what became of it, and whether to stop."""

    def __init__(
        self, *, lane: Lane, job_id: str, chunks: Iterator[Chunk], options: Options, checkpoint: Checkpoint
    ) -> None:
        self.lane, self.job_id, self.options, self.checkpoint = lane, job_id, options, checkpoint
        self.result = Result()
        self.stop = asyncio.Event()
        self.pacer = Pacer(self.pause)
        self.counts = array("B")  # tasks of each chunk of the stream so far, by seq
        self.unsettled: set[str] = set()  # lower case
        self.refused = Presence()
        self.failing_since: float | None = None  # no verdict since then, only failures
        self.note = self.trouble = ""
        self.taken = 0  # tasks taken from the stream
        self._chunks = chunks
        self._first: deque[Chunk] = deque()  # of a resumed submission: sent once, maybe not settled
        self._largest = 1 << 30  # bytes of a body; learned from the service
        self._refused_first = self._compared = 0

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
        """Resumed: go through what was sent before, compare it, and keep what has to be sent again. Sends nothing."""
        known = self.checkpoint.sent
        last = max(known, default=-1)
        while not self.stop.is_set() and len(self.counts) <= last:
            await asyncio.sleep(0)
            chunk = self._cut()
            if chunk is None:
                self.halt(
                    UsageError(
                        f"the input has {self.taken} tasks, fewer than were sent before. Resume with the file as it was"
                    )
                )
                return
            entry = known.get(chunk.seq)
            if entry is not None and entry != (len(chunk.ids), chunk.digest()):
                self._first.append(chunk)
                self.halt(
                    UsageError(
                        f"tasks {chunk.ids[0]} to {chunk.ids[-1]} are defined otherwise than when they were sent; "
                        f"job {self.job_id} may have the old ones, and tasks cannot be changed. "
                        "Resume with the file as it was, or submit under another --job-id"
                    )
                )
                return
            if chunk.seq in self.checkpoint.done:
                self.result.accepted += len(chunk.ids)
            else:
                chunk.expected = entry is not None
                self._first.append(chunk)
        for _, verdict in self.checkpoint.failures:
            self.result.accepted -= 1
            self._fail(verdict)

    async def work(self) -> None:
        """One worker's life."""
        while not self.stop.is_set():
            chunk = self._first.popleft() if self._first else self._cut()
            if chunk is None:
                return
            try:
                await self._settle(chunk)
            except NoCredential as error:
                self.halt(Forbidden(str(error)))

    def abandon(self) -> None:
        """Chunks taken from the stream and never begun."""
        self.result.unsent += sum(len(chunk.ids) for chunk in self._first)
        self.result.uncertain += sum(len(chunk.ids) for chunk in self._first if chunk.expected)
        self._first.clear()

    async def get(self, path: str, query: dict[str, str]) -> Reply:
        """A GET at the common pace, tried again. Raises `Halted`, or `ServiceError` when it is refused."""
        failed = ""
        for attempt in range(ATTEMPTS):
            sent = await self.pacer.turn()
            try:
                reply = await self.lane.get(path, query)
            except NoAnswer as error:
                failed = str(error)
            else:
                act, code, said = act_on(reply)
                if act is not Act.SLOW_DOWN:
                    self.pacer.accepted()
                if act is Act.JUDGED or reply.status == 404:
                    self.failing_since = None
                    return reply
                failed = f"{reply.status} {code}: {said}"
                if act is Act.SLOW_DOWN:
                    self.pacer.refused(sent, reply.retry_after)
                elif act is Act.RENEW:
                    await self.lane.renew()
                elif act is not Act.AGAIN:
                    raise ServiceError(failed, code)
            await self.pause(_pause(attempt))
        raise ServiceError(failed)

    def _cut(self) -> Chunk | None:
        try:
            chunk = next(self._chunks, None)
        except JobsError as error:
            self.halt(error)
            return None
        except Exception as error:  # the stream is somebody else's code
            self.halt(UsageError(f"the input failed after {self.taken} tasks: {type(error).__name__}: {error}"))
            return None
        if chunk is not None:
            self.counts.append(len(chunk.ids))
            self.taken += len(chunk.ids)
        return chunk

    async def _settle(self, chunk: Chunk) -> None:
        """Send a chunk until each of its tasks has a verdict."""
        self.checkpoint.intend(chunk)
        waiting: deque[list[int]] = deque([list(range(len(chunk.ids)))])
        sent: set[int] = set()  # without a verdict, and perhaps carried out
        ambiguous, attempts, renewals = chunk.expected, 0, 0
        while waiting:
            part = waiting.popleft()
            body = chunk.part(part)
            if len(body) > self._largest and len(part) > 1:
                waiting.extendleft((part[len(part) // 2 :], part[: len(part) // 2]))
                continue
            waiting.appendleft(part)
            try:
                at = await self.pacer.turn()
                self.result.requests += 1
                sent.update(part)
                act, reply, code, said = await self._ask(body, at)
            except (Halted, NoCredential, asyncio.CancelledError) as ending:
                self._leave(waiting, sent)
                if isinstance(ending, Halted):
                    return
                raise
            ambiguous = ambiguous or (act in (Act.AGAIN, Act.SLOW_DOWN) and reply.status != 429)
            if act is Act.SLOW_DOWN:
                continue
            if act is Act.JUDGED:
                ids = chunk.ids if len(part) == len(chunk.ids) else [chunk.ids[index] for index in part]
                judgement = judge(ids, reply.body)
                code, said = "", "the answer is not the service's, or was cut"
                if judgement is not None:
                    waiting.popleft()
                    self.failing_since = None
                    if judgement.done == len(part):
                        self.result.accepted += len(part)
                        sent.difference_update(part)
                        continue
                    again = await self._count(chunk, part, judgement, ambiguous)
                    sent.difference_update(set(part).difference(again))
                    if not again:
                        continue
                    waiting.appendleft(again)
                    said = judgement.reason
                ambiguous = True  # that a task failed on the server's side does not prove that it is not there
            elif act is Act.SPLIT:
                waiting.popleft()
                sent.difference_update(part)
                if len(part) > 1:
                    if reply.status == 413:
                        self._largest = min(self._largest, len(body) // 2)
                    waiting.extendleft((part[len(part) // 2 :], part[: len(part) // 2]))
                else:
                    task_id = chunk.ids[part[0]]
                    self._refuse(chunk, Verdict(task_id=task_id, status="clienterror", code=code, message=said))
                continue
            elif act is Act.STOP or (act is Act.RENEW and renewals == RENEWALS):
                self.halt(self._why(reply.status, code, said))
                return self._leave(waiting, sent)
            if act is Act.RENEW:
                renewals += 1
            else:
                attempts += 1
            if attempts == ATTEMPTS:
                return self._give_up(chunk, waiting, sent, f"{code}: {said}".lstrip(": "))
            try:
                if act is Act.RENEW:
                    await self.lane.renew()
                await self.pause(_pause(attempts))
            except (Halted, NoCredential, asyncio.CancelledError) as ending:
                self._leave(waiting, sent)
                if isinstance(ending, Halted):
                    return
                raise
        self.checkpoint.settle(chunk)

    async def _ask(self, body: bytes, at: float) -> tuple[Act, Reply, str, str]:
        """One request, and what its answer means as a whole."""
        try:
            reply = await self.lane.add(self.job_id, body)
        except NoAnswer as error:
            self._trouble(str(error))
            return Act.AGAIN, Reply(0, b""), "", str(error)
        act, code, said = act_on(reply)
        if act is Act.SLOW_DOWN:
            self.result.throttled += 1
            self.pacer.refused(at, reply.retry_after)
            self._trouble(f"{reply.status} {code}: slowing down")
        else:
            self.pacer.accepted()
            if act is Act.AGAIN:
                self._trouble(f"{reply.status} {code}: {said}")
        return act, reply, code, said

    def _trouble(self, what: str) -> None:
        self.note = self.trouble = what
        self.failing_since = self.failing_since or time.monotonic()

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
        """A task was there that we did not send: the same definition is as good as ours. False: cannot tell yet."""
        self._compared += 1
        if self._compared > COMPARED:
            self.halt(
                Conflict(
                    f"job {self.job_id} has more than {COMPARED} of these tasks already, and no checkpoint says from "
                    "where. Submit under another --job-id",
                    EXISTS,
                )
            )
            return False
        try:
            reply = await self.get(f"/jobs/{self.job_id}/tasks/{chunk.ids[index]}", {})
        except (Halted, ServiceError, NoCredential, asyncio.CancelledError):
            return False  # when the submission ends, the caller notices
        try:
            wire = json.loads(reply.body)
        except ValueError:
            return False
        if reply.status != 200:
            return False
        if place := difference(chunk.definitions[index], wire):
            message = f"the job has a task of this id already, and its {place} is another; tasks cannot be changed"
            self._refuse(chunk, Verdict(task_id=chunk.ids[index], status="clienterror", code=EXISTS, message=message))
        else:
            self.result.accepted += 1
            self.result.existed += 1
        return True

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
                        f"{verdict.message}. Correct the tasks, and submit under another --job-id",
                        verdict.code,
                    )
                )

    def _fail(self, verdict: Verdict) -> None:
        self.result.failed += 1
        self.refused.note(verdict.task_id)
        if len(self.result.failures) < EXAMPLES:
            self.result.failures.append(verdict)

    def _leave(self, parts: list[list[int]] | deque[list[int]], sent: set[int]) -> None:
        """The submission ends with these tasks of a chunk not settled."""
        left = [index for part in parts for index in part]
        self.result.unsent += len(left)
        self.result.uncertain += sum(index in sent for index in left)

    def _give_up(self, chunk: Chunk, parts: deque[list[int]], sent: set[int], reason: str) -> None:
        """All attempts are used; the proof will look whether they are there after all."""
        self.note = f"{len(parts[0])} tasks have no verdict after {ATTEMPTS} attempts: {reason}"
        for part in parts:
            self.unsettled.update(chunk.ids[index].lower() for index in part)
            for index in part:
                if len(self.result.failures) < EXAMPLES:
                    self.result.failures.append(
                        Verdict(task_id=chunk.ids[index], status="unsent", code="NoVerdict", message=reason)
                    )
        self._leave(parts, sent)
        if len(self.unsettled) > UNSETTLED:
            self.halt(Unreachable(f"more than {UNSETTLED} tasks have no verdict after {ATTEMPTS} attempts: {reason}"))

    def _why(self, status: int, code: str, said: str) -> JobsError:
        what = f"job {self.job_id}: {said or status} ({code})"
        if status == 404:
            return NotFound(f"{what}. It was deleted, or the account is another", code)
        if status == 409:
            return Conflict(f"{what}. It takes no tasks any more", code)
        if status in (401, 403, 407):
            return Forbidden(
                f"{what}. Log in again, or have yourself added to the stack's `submitters`, and resume", code
            )
        return Refused(f"{what}: the service refused the request", code)


def _pause(attempt: int) -> float:
    """Doubling, with jitter so that workers and submitters do not come back together."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - not for secrets
