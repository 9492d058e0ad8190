"""`python -m jobs submit` as a process, and how often the tests with seeds run (HOSTILE_SEEDS)."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

from tests.jobs.submission.hostile import Service

ROOT = Path(__file__).parents[3]
COUNT = 1200


MANY = int(os.environ.get("HOSTILE_SEEDS", "0"))


SEEDS = range(1, 1 + (max(5, MANY // 20) if MANY else 1))


SWEEP = f"sweep: {{number: {{range: [1, {COUNT}]}}}}"


# The pauses of `hostile_client`, and those of azure-core between its own tries: seconds instead of half minutes.
IMPATIENT = """
import sys, tests.jobs.submission.hostile_client
from jobs.service.client import RETRIES
from jobs.__main__ import main
RETRIES["retry_backoff_factor"] = 0.02
sys.exit(main())
"""


class Terminal:
    """A folder with a job file, and the environment that names the service."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "AZURE_BATCH_ACCOUNT": "a",
            "AZURE_BATCH_ACCESS_KEY": "a2V5",
            "AZURE_BATCH_ENDPOINT": f"http://127.0.0.1:{port}",
        }
        self.write()

    def write(self, tasks: str = SWEEP, word: str = "echo") -> None:
        template = f'{{id: "task-{{number}}", image: "r/w:1", command: [{word}, "{{number}}"]}}'
        text = f"job: {{family: big, pool: p}}\ntasks:\n  template: {template}\n  {tasks}\n"
        (self.folder / "big.yaml").write_text(text)

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", IMPATIENT, "submit", *words]
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, stderr=subprocess.PIPE, text=True)

    def submit(self, *words: str) -> tuple[int, str]:
        """Exit code and what was said."""
        with self.start(*words) as process:
            said = process.communicate(timeout=240)[1]
        return process.returncode, said

    def go_on(self, said: str) -> tuple[int, str]:
        """Run the command that an early end named."""
        line = next(line for line in said.splitlines() if line.strip().startswith("python -m jobs submit"))
        return self.submit(*shlex.split(line)[4:], "--yes")


FIRST = ("big.yaml", "--yes", "--job-id", "big", "--workers", "4")


def until(service: Service, requests: int, process: subprocess.Popen[str]) -> None:
    while service.requests < requests and process.poll() is None:
        time.sleep(0.002)
