"""What a destroy or a reset takes away for good, in words: above all the outputs of jobs, by number and size.

Read from the files of the local Azure, so that it is known whether it runs or not. Azurite keeps its metadata in a
LokiJS file that is saved with every change (`local/azure/blobs/durable.js`).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from local.errors import LocalError
from local.paths import Paths
from local.words import say

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
    """What there is; None when the file cannot be read as what it should be."""
    try:
        data = json.loads((paths.state / "azurite" / BLOBS).read_bytes())
        blobs = next(one["data"] for one in data["collections"] if one["name"] == "$BLOBS_COLLECTION$")
        found = [
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
    return Outputs(len(found), sum(size for _, _, size in found), len({(where, job) for where, job, _ in found}))


def agreed(paths: Paths, command: str, what: str, *, yes: bool) -> bool:
    """Say what will be lost, and ask the person who sits there. Raises `LocalError` where nobody does and `yes` is not.

    `what` is what goes besides outputs; `command` does it without a question.
    """
    lost = outputs(paths)
    say(f"{what}, and {lost or 'whatever jobs left in their containers'}")
    if yes:
        return True
    if not sys.stdin.isatty():
        raise LocalError("nobody is here to agree to that", cause="stdin is no terminal", next_step=command)
    print("go on? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().casefold() in ("y", "yes"):
        return True
    say("nothing was done")
    return False
