"""How a job's preparation and release went on each node, and what they wrote. Nothing of theirs is in a container."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from ..errors import Conflict, ServiceError
from ..service.batch import JobState, PreparationState
from ..session import Session
from ..terminal.wording import counted
from . import failure_texts

LINES_OF_LOG: Final = 15
MOST_SHOWN: Final = 5  # nodes on which it failed


def of_job(session: Session, job: JobState) -> list[PreparationState]:
    """On every node so far; nothing for a job without a preparation."""
    if not job.prepares:
        return []
    try:
        return list(session.batch.preparations(job.id))
    except Conflict:  # the job was just made, or is being deleted
        return []


def tell(session: Session, found: list[PreparationState]) -> None:
    """Counts, then every failure with its node, exit code and the end of what it wrote."""
    for task in ("preparation", "release"):
        states = Counter("failed" if one.failed else one.state for one in found if one.task == task)
        if states:
            told = ", ".join(f"{state} on {counted(count, 'node')}" for state, count in sorted(states.items()))
            session.render.data(f"{task:<10} {told}")
    failed = [one for one in found if one.failed]
    for one in failed[:MOST_SHOWN]:
        session.render.data(f"  {why(one)}")
        for line in log(session, one):
            session.render.data(f"   | {line}")
    if any(one.task == "preparation" for one in failed):
        session.render.words(
            "no task of the job runs on such a node until it is reimaged; correct job.preparation and submit again"
        )


def why(one: PreparationState) -> str:
    """Why it failed, on one line."""
    code = "it never started" if one.exit_code is None else f"exit code {one.exit_code}"
    again = f", after {counted(one.retries, 'retry')}" if one.retries else ""
    said = f": {short}" if (short := failure_texts.in_short(one.exit_code, one.failure)) else ""
    return f"{one.task} failed on node {one.node_id}: {code}{again}{said}"


def log(session: Session, one: PreparationState) -> list[str]:
    """The end of its stderr on the node, or of its stdout when that is empty."""
    for name in ("stderr.txt", "stdout.txt"):
        try:
            data = b"".join(session.batch.read_node_file(one.pool_id, one.node_id, f"{one.folder}/{name}"))
        except ServiceError as error:
            return [f"({name} cannot be read: {error.fact})"]
        if lines := data.decode(errors="replace").splitlines():
            return lines[-LINES_OF_LOG:]
    return []


def plain(session: Session, one: PreparationState) -> dict[str, Any]:
    """For JSON: with the end of its log where it failed."""
    failure = vars(one.failure) if one.failure else None
    return {**vars(one), "failure": failure, "log": log(session, one) if one.failed else []}
