"""The workers: each takes a chunk and stays with it until every task in it has a verdict, or the submission ends."""

from __future__ import annotations

import asyncio
import json
import random
import time
from typing import Final

from ..errors import Conflict, Forbidden, JobsError, Refused, ServiceError, Unreachable
from ..ids import Presence
from .checkpoint import Checkpoint
from .chunks import Chunk
from .delivery import ATTEMPTS, Delivery
from .intake import Intake
from .lane import Lane, NoAnswer, NoCredential, Reply
from .pace import Pacer
from .same import difference
from .shapes import EXAMPLES, Options, Result
from .verdicts import EXISTS, NO_VERDICT, Act, Judgement, Verdict, act_on, judge, why_stopped

FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 8.0
RENEWALS: Final = 3  # of the credential, for one chunk
REFUSED_FIRST: Final = 200  # tasks refused alone before anything was accepted: then the job is at fault, not they
UNSETTLED: Final = 5000  # tasks without a verdict after all attempts: then the service is at fault
COMPARED: Final = 2000  # tasks that were there unexpectedly and were compared one by one


class Halted(Exception):
    """The submission is ending; nothing more is sent."""


class Crew:
    """What all workers share: what became of the tasks, the pace, and whether to stop."""

    def __init__(self, *, lane: Lane, job_id: str, intake: Intake, options: Options, checkpoint: Checkpoint) -> None:
        self.lane, self.job_id, self.options, self.checkpoint = lane, job_id, options, checkpoint
        self.intake = intake
        self.result = Result()
        self.stop = asyncio.Event()
        self.pacer = Pacer(self.pause)
        self.unsettled: set[str] = set()  # lower case
        self.refused = Presence()
        self.failing_since: float | None = None  # no verdict since then, only failures
        self.note = self.trouble = ""
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
        """Resumed: count what was settled before; what was not is sent first. Sends nothing."""
        passed = 0
        try:
            for settled in self.intake.again():
                passed += 1
                self.result.accepted += settled
                if self.stop.is_set():
                    break
                await asyncio.sleep(0)
        except JobsError as error:
            self.halt(error)
        for seq, verdict in self.checkpoint.failures:
            if seq < passed:
                self.result.accepted -= 1
                self._fail(verdict)

    async def work(self) -> None:
        """One worker's life."""
        try:
            while not self.stop.is_set() and (chunk := self.intake.next()) is not None:
                await self._settle(Delivery(chunk))
        except NoCredential as error:
            self.halt(Forbidden(str(error)))
        except JobsError as error:
            self.halt(error)

    def abandon(self) -> None:
        """Chunks taken from the stream and never begun."""
        unsent, uncertain = self.intake.left()
        self.result.unsent += unsent
        self.result.uncertain += uncertain

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

    async def _settle(self, delivery: Delivery) -> None:
        """Send a chunk until each of its tasks has a verdict."""
        self.checkpoint.intend(delivery.chunk)
        try:
            while (request := delivery.next(self._largest)) is not None:
                if failed := await self._send(delivery, *request):
                    delivery.attempts += 1
                    if delivery.attempts == ATTEMPTS:
                        return self._give_up(delivery, failed)
                    await self.pause(_pause(delivery.attempts))
        except Halted:
            self._leave(delivery)
            return
        except (NoCredential, asyncio.CancelledError):
            self._leave(delivery)
            raise
        self.checkpoint.settle(delivery.chunk)

    async def _send(self, delivery: Delivery, part: list[int], body: bytes) -> str:
        """One request, and what its answer asks for. Why it failed, when it has to be made again after a pause."""
        at = await self.pacer.turn()
        self.result.requests += 1
        delivery.send()
        act, reply, code, said = await self._ask(body, at)
        match act:
            case Act.JUDGED:
                return await self._judge(delivery, part, reply.body)
            case Act.SLOW_DOWN:
                delivery.ambiguous |= reply.status != 429
            case Act.AGAIN:
                delivery.ambiguous = True
                return f"{code}: {said}".lstrip(": ")
            case Act.SPLIT if len(part) > 1:
                delivery.halve()
                if reply.status == 413:
                    self._largest = min(self._largest, len(body) // 2)
            case Act.SPLIT:
                task_id = delivery.chunk.ids[part[0]]
                delivery.judged([])
                self._refuse(delivery.chunk, Verdict(task_id=task_id, status="clienterror", code=code, message=said))
            case Act.RENEW if delivery.renewals < RENEWALS:
                delivery.renewals += 1
                await self.lane.renew()
                await self.pause(_pause(delivery.renewals))
            case Act.RENEW | Act.STOP:
                self.halt(why_stopped(self.job_id, reply.status, code, said))
                raise Halted
        return ""

    async def _judge(self, delivery: Delivery, part: list[int], body: bytes) -> str:
        """Put each task's verdict on record. Why some have none, when some have none."""
        judgement = judge(delivery.ids(part), body)
        if judgement is None:
            delivery.ambiguous = True
            return "the answer is not the service's, or was cut"
        self.failing_since = None
        again = await self._count(delivery.chunk, part, judgement, delivery.ambiguous)
        delivery.judged(again)
        if again:  # that a task failed on the server's side does not prove that it is not there
            delivery.ambiguous = True
        return judgement.reason if again else ""

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

    def _leave(self, delivery: Delivery) -> list[str]:
        """Some tasks of a chunk are not settled, and will not be; these."""
        left, uncertain = delivery.left()
        self.result.unsent += len(left)
        self.result.uncertain += uncertain
        return left

    def _give_up(self, delivery: Delivery, reason: str) -> None:
        """All attempts are used; the proof will look whether they are there after all."""
        left = self._leave(delivery)
        self.note = f"{len(left)} tasks have no verdict after {ATTEMPTS} attempts: {reason}"
        self.unsettled.update(task_id.lower() for task_id in left)
        self.result.failures += [
            Verdict(task_id=task_id, status="unsent", code=NO_VERDICT, message=reason)
            for task_id in left[: max(0, EXAMPLES - len(self.result.failures))]
        ]
        if len(self.unsettled) > UNSETTLED:
            self.halt(Unreachable(f"more than {UNSETTLED} tasks have no verdict after {ATTEMPTS} attempts: {reason}"))


def _pause(attempt: int) -> float:
    """Doubling, with jitter so that workers and submitters do not come back together."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - not for secrets
