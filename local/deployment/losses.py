"""What a destroy or a reset deletes for good, as a text: above all the outputs of jobs, by number and size.

Read from the files of the local Azure, so that it need not run. Azurite keeps its metadata in a
LokiJS file that is saved with every change (`local/azure/blobs/durable.js`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from local import console
from local.errors import LocalError
from local.paths import Paths

BLOBS = "__azurite_db_blob__.json"  # Azurite's name for it
JOB_CONTAINERS = "job-"  # the beginning of their names (`infra/naming.py`)


@dataclass(frozen=True)
class Outputs:
    """What jobs left in their containers."""

    files: int = 0
    size: int = 0
    jobs: int = 0

    def __str__(self) -> str:
        if not self.files:
            return "no output of any job"
        of = f"the outputs of {self.jobs:,} job{'' if self.jobs == 1 else 's'}"
        return f"{of}: {self.files:,} file{'' if self.files == 1 else 's'}, {self.size / 1e6:,.1f} MB"


def outputs(paths: Paths) -> Outputs | None:
    """Count the outputs; None when Azurite's file cannot be read as one."""
    try:
        data = json.loads((paths.state / "azurite" / BLOBS).read_bytes())
        blobs = next(one["data"] for one in data["collections"] if one["name"] == "$BLOBS_COLLECTION$")
        files = [
            (blob["containerName"], blob["name"].partition("/")[0], blob["properties"].get("contentLength") or 0)
            for blob in blobs
            if blob["containerName"].startswith(JOB_CONTAINERS)
            and blob.get("isCommitted", True)
            and not blob.get("snapshot")
        ]
    except FileNotFoundError:
        return Outputs()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration):
        return None
    jobs = {(container, job) for container, job, _ in files}
    return Outputs(len(files), sum(size for _, _, size in files), len(jobs))


def agreed(paths: Paths, command: str, what: str, *, yes: bool) -> bool:
    """Show what will be lost, and ask for consent, unless `yes`. Raises `LocalError` where there is no terminal to ask.

    `what` is lost besides the outputs; `command` does the same without a question.
    """
    lost = outputs(paths)
    console.info(f"{what}, and {lost or 'whatever jobs left in their containers'}")
    if yes:
        return True
    if not console.is_attended():
        raise LocalError("nobody is here to agree to that", cause="stdin is no terminal", next_step=command)
    if console.confirm("go on?"):
        return True
    console.info("nothing was done")
    return False
