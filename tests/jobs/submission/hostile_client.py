"""One submission to a hostile service, as a function or as a process that can be killed.

`python -m tests.jobs.submission.hostile_client PORT SEED CHECKPOINT new|resume` prints the result as JSON; exit
code 0 if complete.
The waits are shortened, so that hundreds of seeds take minutes; nothing else differs from a real submission.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

from jobs.errors import JobsError
from jobs.submission import Options, Result, job, pace, run, submit_tasks, submitter
from jobs.submission.http import HttpTransport
from tests.jobs.submission.hostile import JOB

pace.FIRST_PAUSE, pace.LONGEST_PAUSE = 0.005, 0.2  # type: ignore[misc]
submitter.FIRST_PAUSE, submitter.LONGEST_PAUSE = 0.005, 0.1  # type: ignore[misc]
job.FIRST_PAUSE, job.LONGEST_PAUSE = 0.05, 0.5  # type: ignore[misc]
run.FIRST_PAUSE, run.LATE, run.COUNTING = 0.05, 0.5, 1.5  # type: ignore[misc]
PATIENCE = 1.5


def definitions(seed: int) -> list[dict[str, Any]]:
    """What a seed submits: most tasks small, some big, some that the service refuses."""
    dice = random.Random(seed + 2)
    count = dice.choice((1, 30, 250, 700, 700, 2300))
    found = []
    for number in range(count):
        kind = dice.random()
        name = "bad" if kind < 0.005 else "poison" if kind < 0.007 else "Task"
        found.append({"id": f"{name}-{number:06d}", "commandLine": "x" * dice.choice((5, 50, 50, 400))})
    if dice.random() < 0.2:
        found.append({"id": "big-1", "commandLine": "y" * 55_000})
    if dice.random() < 0.1:
        found.append({"id": "bad-huge", "commandLine": "z" * 1_100_000})  # above the service's limit all alone
    return found


class Anybody:
    async def authorise(self, method: str, url: str, headers: MutableMapping[str, str]) -> None:
        headers["Authorization"] = "SharedKey a:b"

    async def renew(self) -> None:
        pass


class Account:
    def __init__(self, port: int) -> None:
        self.port = port

    def transport(self, *, timeout: float) -> HttpTransport:
        return HttpTransport(
            endpoint=f"http://127.0.0.1:{self.port}",
            api_version="2025-06-01",
            authority=Anybody(),
            ca=None,
            timeout=timeout,
        )


def submit(port: int, seed: int, checkpoint: Path, *, resume: bool, patience: float = PATIENCE) -> Result:
    tasks = definitions(seed)
    options = Options(
        total=len(tasks),
        workers=random.Random(seed + 3).choice((1, 4, 16)),
        checkpoint=checkpoint,
        resume=resume,
        patience=patience,
        request_timeout=0.5 if patience == PATIENCE else 20.0,
        proof_patience=3.0,
        handle_signals=__name__ == "__main__",
    )
    return submit_tasks(Account(port), JOB, stream(tasks), options)


def stream(tasks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield from tasks


def main() -> int:
    port, seed, checkpoint, how = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
    try:
        result = submit(port, seed, checkpoint, resume=how == "resume")
    except JobsError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit
    names = ("accepted", "existed", "failed", "unsent", "uncertain", "proved", "complete")
    print(json.dumps({name: getattr(result, name) for name in names} | {"stopped": str(result.stopped or "")}))
    return 0 if result.complete else 3


if __name__ == "__main__":
    sys.exit(main())
