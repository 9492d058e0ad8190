"""Counting against the service before anything is called submitted. Its counts lag (recorded: two minutes), lists less.

A few tasks are listed; many are counted, and listed when the counts do not come to agree. A list tells which are
missing: those are reported, and the checkpoint forgets that they were settled, so that `--resume` sends them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from ..errors import NotFound, ServiceError
from ..ids import Presence
from .chunks import Ids
from .submitter import Submitter
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
            raise NotFound(f"job {submitter.job_id} is gone: it was deleted after its tasks were sent", "JobNotFound")
        try:
            page = json.loads(reply.body)
            for task in page["value"]:
                there.note(task["id"])
                count += 1
            following = page.get("odata.nextLink")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ServiceError(f"job {submitter.job_id}: its list of tasks cannot be read: {error!r}") from error
        if not following:
            break
        # Only the query is taken from the answer: a link to somewhere else would be sent our token.
        query = {name: value for name, value in parse_qsl(urlsplit(following).query) if name != "api-version"}
    return there, count
