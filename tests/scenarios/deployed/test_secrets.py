"""Secrets are where the table of `secret_values.PLACES` says, and nowhere else: a deployed stack whose people are busy.

The main job (`test_main_job.py`) looks at command lines, nodes and files while a job runs. Here also a job fails,
somebody logs in, looks at the dashboard and previews, and every process of the local Azure crashes.
"""

from __future__ import annotations

import json
import os
import re
import signal
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.paths import Paths
from tests.scenarios import machine, secret_values
from tests.scenarios.checkout import Checkout
from tests.scenarios.deployed.stack import Stack, eventually

pytestmark = pytest.mark.docker
JOB = """
job: {{family: hello, environment: {{CANARY: {canary}}}}}
tasks:
  list:
    - {{id: fails, shell: true, command: "echo seen $(printenv CANARY | wc -c); exit 3"}}
    - {{id: works, shell: true, command: "sleep 2; echo seen $(printenv CANARY | wc -c)"}}
"""


class Busy:
    """What people did, and all that was printed while they did."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout, self.paths = checkout, Paths(checkout.home)
        self.canary = f"marked-{uuid.uuid4().hex[:6]}-value-of-a-task"  # what looks like a secret is refused
        self.job = f"canary-{uuid.uuid4().hex[:8]}"
        self.printed: list[str] = []
        self.events = checkout.home / "run" / "events-of-a-preview.jsonl"

    def command(self, *words: str, code: int = 0) -> str:
        done = self.checkout.run(str(self.checkout.python), "-m", *words)
        assert done.code == code, done.text
        self.printed.append(done.text)
        return done.text

    def run_jobs(self) -> None:
        file = self.checkout.root / "canary.yaml"
        file.write_text(JOB.format(canary=self.canary))
        text = self.command("jobs", "submit", str(file), "--yes", "--watch", "--report", "--job-id", self.job, code=1)
        file.unlink()
        assert "1 succeeded, 1 failed" in text and text.count(f"seen {len(self.canary) + 1}") >= 2
        self.command("jobs", "show", self.job, code=1)  # a task failed
        self.command("jobs", "logs", self.job, "fails")

    def look_at_the_dashboard(self) -> None:
        process = self.checkout.start(str(self.checkout.python), "-m", "jobs", "dashboard")
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(address.partition("#")[0], timeout=30) as page:
            self.printed.append(page.read().decode())
        process.terminate()  # where the test runs in the background, Ctrl-C is ignored
        out, err = process.communicate(timeout=30)
        self.printed += [out, err]

    def crash_everything(self) -> None:
        before = self.checkout.processes()
        children = {name: pid for name, pid in before.items() if name != "supervisor"}
        for name, pid in before.items():
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), f"{name} could leave a core dump"
        for pid in children.values():
            os.kill(pid, signal.SIGABRT)
        eventually(
            lambda: [name for name, pid in self.checkout.processes().items() if children.get(name) == pid],
            lambda same: not same,
            "every process started again",
        )
        eventually(
            lambda: self.checkout.run(str(self.checkout.python), "-m", "jobs", "pools").code,
            lambda code: code == 0,
            "up",
        )


@pytest.fixture(scope="module")
def busy(deployed: Checkout, stack: Stack) -> Iterator[tuple[Busy, set[str]]]:
    """A working day, and the command lines of all processes meanwhile."""
    day = Busy(deployed)
    with machine.Watching() as lines:
        day.run_jobs()
        day.command("jobs", "connect", str(stack.nodes(stack.pool_id)[0].id), "--run", "id -un")
        day.look_at_the_dashboard()
        day.command("local", "preview", "--json", "--event-log", str(day.events))
        day.crash_everything()
    yield day, lines
    day.events.unlink()


@pytest.fixture(scope="module")
def secrets(busy: tuple[Busy, set[str]], deployed: Checkout) -> dict[str, str]:
    day, _ = busy
    known = secret_values.known(day.paths, deployed.processes()["azurite"])
    return {**known, secret_values.ENVIRONMENT: day.canary}


def test_nothing_that_was_printed_or_started_shows_one(busy: tuple[Busy, set[str]], secrets: dict[str, str]) -> None:
    day, lines = busy
    assert str(day.checkout.root) in "\n".join(lines)
    assert len(day.printed) > 6 and "changeSummary" in day.printed[-1]
    for text in (*day.printed, "\n".join(lines)):
        assert secret_values.found_in(text, secrets) == set(), text


def test_files_of_the_local_azure_state_and_event_logs_hold_those_of_the_table(
    busy: tuple[Busy, set[str]], secrets: dict[str, str]
) -> None:
    day, _ = busy
    assert "policyEvent" in day.events.read_text() or "summaryEvent" in day.events.read_text()
    assert secret_values.badly_kept(day.paths, secrets) == []


def test_images_in_the_registry_hold_none(busy: tuple[Busy, set[str]], secrets: dict[str, str]) -> None:
    assert secret_values.pushed(busy[0].paths, secrets) == []


def test_nodes_show_a_task_its_own_environment_and_nothing_else(
    busy: tuple[Busy, set[str]], secrets: dict[str, str]
) -> None:
    assert secret_values.said_on_nodes(busy[0].paths, secrets) in ([], [
        f"docker inspect of its tasks tells {secret_values.ENVIRONMENT}"
    ])  # fmt: skip


def test_pools_jobs_and_tasks_show_the_environment_and_nothing_else(
    busy: tuple[Busy, set[str]], secrets: dict[str, str], stack: Stack
) -> None:
    pools = [one.as_dict() for one in stack.batch.list_pools()]
    work = [one.as_dict() for one in (*stack.batch.list_jobs(), *stack.batch.list_tasks(busy[0].job))]
    assert pools and len(work) > 2
    assert secret_values.found_in(json.dumps(pools, default=str), secrets) == set()
    assert secret_values.found_in(json.dumps(work, default=str), secrets) == {secret_values.ENVIRONMENT}


def test_no_process_left_a_core_dump(busy: tuple[Busy, set[str]]) -> None:
    day, _ = busy
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    places = {day.checkout.root, day.paths.home, *([Path(pattern).parent] if pattern.startswith("/") else [])}
    assert [file for place in places for file in place.rglob("core*") if re.fullmatch(r"core(\.\d+)?", file.name)
            and file.is_file()] == []  # fmt: skip
