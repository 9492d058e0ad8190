"""What an answer means for each task that was sent, and for the submission. "No error" is never taken for "done".

Statuses are case-folded: the service capitalises them where the SDK's enum does not (recorded, api 2023-05-01), which
makes azure-batch's `create_tasks` return normally with tasks missing.

Also whether a task the service has is the one we define (`difference`). The service adds fields (defaults, state),
writes durations in another form and may capitalise enumerations.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from ..errors import Conflict, Forbidden, JobsError, NotFound, Refused
from ..times import span
from .transport import Reply

EXISTS: Final = "TaskExists"
NO_VERDICT: Final = "NoVerdict"
_IDS: Final = re.compile(rb'"taskId":"([^"]*)"')


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the service said of one task of a collection. `status`, case-folded: success, clienterror, servererror."""

    task_id: str
    status: str
    code: str = ""
    message: str = ""


class Act(Enum):
    """What to do about a whole request."""

    JUDGED = auto()  # every task has its own verdict, or none: see `Judgement`
    AGAIN = auto()  # may have been carried out: send the same ids again
    SLOW_DOWN = auto()
    SPLIT = auto()  # the service refused it as a whole: find out which task is at fault
    RENEW = auto()
    STOP = auto()


@dataclass(slots=True)
class Judgement:
    """Places in the request by outcome. Who is in none of the lists must be sent again, for `reason`."""

    done: int = 0
    existed: list[int] = field(default_factory=list)
    failed: list[tuple[int, Verdict]] = field(default_factory=list)
    again: list[int] = field(default_factory=list)
    reason: str = ""


def act_on(reply: Reply) -> tuple[Act, str, str]:
    """Of a request: what to do, the service's code, what it said."""
    status = reply.status
    if status == 200:
        return Act.JUDGED, "", ""
    code, said = error_of(reply.body)
    if status in (429, 503):
        return Act.SLOW_DOWN, code, said
    if status in (401, 407) or (status == 403 and code in ("AuthenticationFailed", "")):
        return Act.RENEW, code, said
    if status == 413 or (status == 400 and code):
        return Act.SPLIT, code or "RequestBodyTooLarge", said
    if status in (408, 425) or status >= 500 or 200 < status < 300:
        return Act.AGAIN, code or str(status), said
    if status in (400, 404) and not code:
        return Act.AGAIN, str(status), "without the service's own code: something between here and there answered"
    if status == 409 and not code.startswith("Job"):
        return Act.AGAIN, code or "409", said
    return Act.STOP, code or str(status), said


def why_stopped(job_id: str, status: int, code: str, said: str) -> JobsError:
    """`Act.STOP`, or `RENEW` that did not help, in words."""
    what = f"job {job_id}: {said or status} ({code})"
    match status:
        case 404:
            return NotFound(what, cause="it was deleted, or the account is another", code=code)
        case 409:
            return Conflict(what, cause="it takes no tasks any more", code=code)
        case 401 | 403 | 407:
            next_step = "log in again, or have yourself added to the stack's `submitters`, and resume"
            return Forbidden(what, next_step=next_step, code=code)
        case _:
            return Refused(f"{what}: the service refused the request", code=code)


def judge(ids: list[str], body: bytes) -> Judgement | None:
    """The verdict on each id. None when the body is not an answer at all (cut, or somebody else's)."""
    if _all_done(ids, body):
        return Judgement(done=len(ids))
    try:
        items = json.loads(body)["value"]
        by_id = {item["taskId"].lower(): item for item in items}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    doubled = _doubled(items) if len(by_id) != len(items) else ()
    found = Judgement()
    for place, task_id in enumerate(ids):
        item = by_id.get(task_id.lower())
        if item is None or task_id.lower() in doubled:
            found.again.append(place)
            found.reason = f"{NO_VERDICT}: the answer does not name every task exactly once"
            continue
        error = item.get("error")
        status = str(item.get("status", "")).lower()
        if not error and status == "success":
            found.done += 1
            continue
        code, said = _said(error)
        if code == EXISTS:
            found.existed.append(place)
        elif error and status == "clienterror":
            found.failed.append((place, Verdict(task_id=task_id, status=status, code=code, message=said)))
        else:  # servererror, success with an error, a status nobody knows
            found.again.append(place)
            found.reason = f"{code or status or NO_VERDICT}: {said}"
    return found


def error_of(body: bytes) -> tuple[str, str]:
    """Code and words of an error answer; empty when the body is not the service's."""
    try:
        wire = json.loads(body)
    except ValueError:
        return "", ""
    return _said(wire)


def _all_done(ids: list[str], body: bytes) -> bool:
    """What nearly every answer says, seen without parsing it: our ids in order, as many successes, and no error.

    Inside a JSON text quotes are escaped, so no message can look like this. In any doubt: False, and it is parsed.
    """
    return (
        (body.count(b'"status":"Success"') == len(ids) or body.count(b'"status":"success"') == len(ids))
        and body.count(b'"status"') == len(ids)
        and b'"error"' not in body
        and b",".join(_IDS.findall(body)) == ",".join(ids).encode()
        and body.rstrip().endswith(b"}")
    )


def _doubled(items: list[Any]) -> set[str]:
    seen: set[str] = set()
    return {name for item in items if (name := item["taskId"].lower()) in seen or seen.add(name)}


def _said(error: object) -> tuple[str, str]:
    if not isinstance(error, Mapping):
        return "", ""
    message: Any = error.get("message")
    text = message.get("value", "") if isinstance(message, Mapping) else str(message or "")
    lines = [line for line in str(text).splitlines() if not line.startswith(("RequestId:", "Time:"))]
    values = error.get("values")
    if isinstance(values, list):
        lines += [f"[{item.get('key')}={item.get('value')}]" for item in values if isinstance(item, Mapping)]
    return str(error.get("code") or ""), " ".join(" ".join(lines).split())


# Values that are enumerations: their case does not count. Everything else is compared as it is.
ENUMERATIONS: Final = {
    "uploadCondition",
    "source",
    "scope",
    "elevationLevel",
    "workingDirectory",
    "jobAction",
    "dependencyAction",
}


def difference(ours: Any, theirs: Any, name: str = "") -> str:
    """Where the service's task differs, as `containerSettings.imageName`; empty when it does not."""
    if isinstance(ours, Mapping):
        if not isinstance(theirs, Mapping):
            return name
        found = (difference(value, theirs.get(key), f"{name}.{key}".lstrip(".")) for key, value in ours.items())
        return next((place for place in found if place), "")
    if isinstance(ours, Sequence) and not isinstance(ours, str):
        if not ours and theirs is None:
            return ""
        if not isinstance(theirs, Sequence) or isinstance(theirs, str) or len(ours) != len(theirs):
            return name
        pairs = enumerate(zip(ours, theirs, strict=True))
        return next((place for index, (a, b) in pairs if (place := difference(a, b, f"{name}[{index}]"))), "")
    if ours == theirs:
        return ""
    last = name.rpartition(".")[2]
    if isinstance(ours, str) and isinstance(theirs, str):
        if (last in ENUMERATIONS or name == "id") and ours.lower() == theirs.lower():
            return ""
        if (seconds := span(ours)) is not None and seconds == span(theirs):
            return ""
    return name
