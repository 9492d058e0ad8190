"""Counting against the service before anything is called submitted. Its counts lag (recorded: two minutes), lists less.

A few tasks are listed; many are counted, and listed when the counts do not come to agree. A list tells which are
missing: those are reported, and the checkpoint forgets that they were settled, so that `--resume` sends them.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from ..errors import NotFound, ServiceError
from ..ids import IdSet, Presence
from .shapes import EXAMPLES
from .verdicts import Verdict
from .workers import Crew

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


async def prove(crew: Crew, seen: IdSet) -> None:
    """Settle `crew.result`: proved, or what is missing. Raises `Halted`, `ServiceError`."""
    result = crew.result
    if result.accepted > LISTED and not crew.unsettled and await _counts_agree(crew):
        result.proved = True
        return
    began, pause = time.monotonic(), FIRST_PAUSE
    while True:
        absent = await _absent(crew, seen)
        waited = time.monotonic() - began
        if absent.count == 0 and (not absent.unsettled or waited > LATE):
            break
        if waited > crew.options.proof_patience:
            break
        crew.note = f"waiting until the service lists what it accepted: {absent.count} are not there yet"
        await crew.pause(pause)
        pause = min(10.0, pause * 2)
    found = len(crew.unsettled) - len(absent.unsettled)
    result.accepted += found - absent.count
    result.unsent += absent.count - found
    result.uncertain = 0
    result.failures = [v for v in result.failures if v.status != "unsent" or v.task_id.lower() in absent.unsettled]
    for task_id in absent.examples[: EXAMPLES - len(result.failures)]:
        result.failures.append(
            Verdict(
                task_id=task_id, status="unsent", code="NotListed", message="accepted, but the job does not have it"
            )
        )
    for seq in absent.chunks:
        crew.checkpoint.take_back(seq)
    result.proved = absent.count == 0


async def _counts_agree(crew: Crew) -> bool:
    deadline, pause = time.monotonic() + min(COUNTING, crew.options.proof_patience), FIRST_PAUSE
    while True:
        reply = await crew.get(f"/jobs/{crew.job_id}/taskcounts", {})
        try:
            counts = json.loads(reply.body)["taskCounts"]
            found = sum(int(counts.get(state) or 0) for state in ("active", "running", "completed"))
        except (ValueError, KeyError, TypeError, AttributeError):
            found = -1
        if found == crew.result.accepted:
            return True
        if found > crew.result.accepted or time.monotonic() > deadline:
            return False
        crew.note = f"the service counts {max(found, 0)} of {crew.result.accepted} so far"
        await crew.pause(pause)
        pause = min(3.0, pause * 1.5)


async def _absent(crew: Crew, seen: IdSet) -> Absent:
    """List the job's ids, and go through ours."""
    there = Presence()
    query = {"$select": "id", "maxresults": "1000"}
    while True:
        reply = await crew.get(f"/jobs/{crew.job_id}/tasks", query)
        if reply.status == 404:
            raise NotFound(f"job {crew.job_id} is gone: it was deleted after its tasks were sent", "JobNotFound")
        try:
            page = json.loads(reply.body)
            for task in page["value"]:
                there.note(task["id"])
            following = page.get("odata.nextLink")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ServiceError(f"job {crew.job_id}: its list of tasks cannot be read: {error!r}") from error
        if not following:
            break
        # Only the query is taken from the answer: a link to somewhere else would be sent our token.
        query = {name: value for name, value in parse_qsl(urlsplit(following).query) if name != "api-version"}
    absent, seq, end = Absent(), 0, crew.intake.counts[0] if crew.intake.counts else 0
    for place, task_id in enumerate(seen):
        while place >= end and seq + 1 < len(crew.intake.counts):
            seq += 1
            end += crew.intake.counts[seq]
        if task_id in there:
            continue
        if task_id in crew.unsettled:
            absent.unsettled.add(task_id)
        elif task_id not in crew.refused:
            absent.count += 1
            absent.chunks.add(seq)
            if len(absent.examples) < EXAMPLES:
                absent.examples.append(task_id)
    return absent
