"""What was submitted from this folder, by input: so that the same input is not sent twice without a question; and which
submission did not end.

One file for each input (`.jobs/submitted/DIGEST.jsonl`), a line for each job. It is a convenience: where it cannot be
written or read, submissions work as on another machine, which does not have it either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ..errors import UsageError
from ..submission.checkpoint import in_use, job_of

FOLDER: Final = Path(".jobs") / "submitted"


@dataclass(frozen=True, kw_only=True)
class Submitted:
    """A job that the input was submitted as, and when that was done (ISO 8601)."""

    job: str
    tasks: int
    at: str


def input_of(job: Mapping[str, Any], digest: str, account: str) -> str:
    """A digest of everything that is submitted, but for the job's id. `digest`: of the tasks."""
    settings = json.dumps({**job, "id": ""}, sort_keys=True)
    return hashlib.blake2b("\0".join((settings, digest, account)).encode(), digest_size=16).hexdigest()


def note(key: str, job_id: str, tasks: int, at: datetime) -> None:
    """Remember it."""
    line = json.dumps(asdict(Submitted(job=job_id, tasks=tasks, at=at.isoformat(timespec="seconds"))))
    with suppress(OSError):
        FOLDER.mkdir(parents=True, exist_ok=True)
        with (FOLDER / f"{key}.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(f"{line}\n")


def latest(key: str) -> Submitted | None:
    """The last job of this input; None when it is not known that there was one."""
    try:
        lines = (FOLDER / f"{key}.jsonl").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    for line in reversed(lines):
        with suppress(ValueError, TypeError):
            return Submitted(**json.loads(line))
    return None


def resumable(checkpoint: Path | None, folder: Path) -> str:
    """The id of the job whose submission can go on: of the checkpoint that is named, else of the folder's only one.

    One that a submission is using now is left out, if there are others. Raises `UsageError`.
    """
    found = sorted(folder.glob("*.checkpoint")) if checkpoint is None else [checkpoint]
    if checkpoint is None:
        found = [path for path in found if not in_use(path)] or found
    if not found:
        raise UsageError(
            f"there is no checkpoint in {folder}, so nothing to resume", next_step="submit without --resume"
        )
    if len(found) != 1:
        names = ", ".join(path.stem for path in found)
        raise UsageError(f"--resume needs to know which job: in {folder} there are: {names}", next_step="add --job-id")
    job_id = job_of(found[0])
    if job_id is None:
        raise UsageError(f"{found[0]}: not a checkpoint", next_step="add --job-id")
    return job_id
