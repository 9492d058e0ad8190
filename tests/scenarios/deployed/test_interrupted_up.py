"""A deployment from nothing that is interrupted and killed half-way twelve times; then `up` makes the stack whole.

All other scenarios use it then.

The tests are one story and run in this order: each goes on from where the one before left the stack. Which program is
killed when follows from a seed (INTERRUPTED_UP_SEED, 1).
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.mgmt.storage import StorageManagementClient

from tests.scenarios.checkout import Checkout
from tests.scenarios.deployed.stack import Stack, eventually

pytestmark = pytest.mark.docker
failed_steps: list[str] = []
"""Tests after a failed one are skipped (`conftest.py` of the scenarios)."""

SEED = int(os.environ.get("INTERRUPTED_UP_SEED", "1"))
SECONDS = 240
CLI = "pulumi"
VICTIMS = (CLI, "local.plugins.language_python", "local.plugins.azure_native", "local.plugins.docker_image")
DESTROYERS = (CLI, "local.plugins.azure_native")  # `destroy` runs no program, and no image is built
PROGRESS = re.compile(r" ?\S{1,2}  \S+ \S+ (creat|updat|delet|replac)")  # a line of Pulumi's display
KILLED: list[bool] = []


@dataclass(frozen=True)
class Kill:
    """One kill -9: of which program, after how many lines of progress, in `up` or `destroy`."""

    victim: str  # a word of its command line
    lines: int
    verb: str = "up"

    def __str__(self) -> str:
        return f"{self.victim} at line {self.lines} of {self.verb}"


def kills(seed: int) -> list[Kill]:
    """The plan: twelve kills that depend on the seed only. `up` is killed more often than `destroy`."""
    draw = random.Random(seed)
    each = [Kill(victim, 6 + number * 2) for number, victim in enumerate(VICTIMS)]
    drawn = [
        Kill(draw.choice(DESTROYERS), draw.randint(1, 14), "destroy")
        if number in (1, 6)
        else Kill(draw.choice(VICTIMS), draw.randint(1, 14))
        for number in range(8)
    ]
    return each + drawn


def kill(place: Checkout, plan: Kill) -> bool:
    """Run the verb, and kill -9 the victim after that many lines of progress; whether it was killed in time.

    Everything that the command started must end by itself.
    """
    run = place.start(str(place.python), "-m", "local", plan.verb)
    assert run.stdout is not None
    seen, killed = 0, False
    for line in run.stdout:
        seen += bool(PROGRESS.match(line))
        if seen >= plan.lines and not killed:
            for pid in members(run.pid, plan.victim):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed = True
            if killed and plan.victim == CLI:
                break
    code = run.wait(SECONDS)
    run.stdout.close()
    assert run.stderr is not None
    said = run.stderr.read()
    run.stderr.close()
    assert "Traceback" not in said, said
    assert not killed or code != 0, f"{plan}: exit code 0 although it was killed"
    eventually(lambda: session_of(run.pid), lambda left: not left, "ended: the plugins, the host and the program")
    return killed


def members(leader: int, word: str) -> list[int]:
    """Processes of the session whose command line has the word; for the CLI the leader itself."""
    if word == CLI:
        return [leader]
    return [int(line.split()[0]) for line in session_of(leader) if word in line]


def session_of(leader: int) -> list[str]:
    """Id and command line of the living processes of a session: each has a group of its own."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, session = (folder / "stat").read_text().rsplit(") ", 1)[1].split()[:4]
            if int(session) == leader and state != "Z":
                found.append(f"{folder.name} " + (folder / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def interrupt(place: Checkout, phase: str) -> None:
    """`python -m local tour` with Ctrl-C, as a terminal sends it, when it shows the line of this phase."""
    command = [str(place.python), "-m", "local", "tour"]
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=place.root,
        env=place.environment,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            if phase in line and not any(phase in before for before in lines):
                os.killpg(run.pid, signal.SIGINT)
            lines.append(line)
        code, text = run.wait(SECONDS), "".join(lines)
    assert code == 130, f"Ctrl-C at {phase!r}: exit code {code}\n{text}"
    assert "Traceback" not in text, text


@pytest.mark.parametrize("phase", ["==> local Azure", "==> images and settings"])
def test_ctrl_c_in_the_first_phases_is_130(checkout: Checkout, phase: str) -> None:
    interrupt(checkout, phase)


def test_ctrl_c_while_the_pool_is_made_is_130(checkout: Checkout) -> None:
    interrupt(checkout, "azure-native:batch:Pool default-")


@pytest.mark.parametrize("plan", kills(SEED), ids=str)
def test_a_run_may_be_killed_at_any_moment(checkout: Checkout, plan: Kill) -> None:
    if plan.verb == "up":  # there must be something new to build and push
        dockerfile = checkout.root / "worker" / "Dockerfile"
        dockerfile.write_text(dockerfile.read_text() + f"\nLABEL changed-at='{time.time()}'\n")
    KILLED.append(kill(checkout, plan))


def test_most_of_them_were_killed_in_time() -> None:
    assert len(KILLED) == 12
    assert sum(KILLED) >= 8, KILLED


def test_then_up_converges_and_nothing_is_doubled(checkout: Checkout) -> None:
    checkout.module("local", "up")
    checkout.module("local", "up", "--expect-no-changes")
    stack = Stack(checkout)
    state = json.loads(checkout.module("local", "pulumi", "stack", "export").out)["deployment"]
    assert not state.get("pending_operations")
    assert [urn for urn, count in Counter(one["urn"] for one in state["resources"]).items() if count > 1] == []
    assert sorted(in_state(state)) == sorted(in_cloud(stack))
    stack.steady(stack.pool_id, 2)


def test_ctrl_c_during_the_sample_job_is_130(checkout: Checkout) -> None:
    interrupt(checkout, "==> sample job")
    checkout.module("local", "tour")
    checkout.module("local", "preview", "--expect-no-changes")


def in_state(state: dict[str, Any]) -> list[str]:
    return [one["id"].lower() for one in state["resources"] if one["type"].startswith("azure-native:")]


def in_cloud(stack: Stack) -> list[str]:
    """Everything of the stack that ARM lists."""
    account = stack.cloud["batch"]["account"]
    storage = stack.management(StorageManagementClient)
    found = [one.id for one in stack.resources.resource_groups.list()]
    found += [one.id for one in stack.resources.resources.list_by_resource_group(stack.group)]
    found += [one.id for one in stack.batch_management.pool.list_by_batch_account(stack.group, account)]
    found += [one.id for one in storage.blob_containers.list(stack.group, stack.cloud["storage"]["account"])]
    found += [one.id for one in stack.assignments()]
    return [str(one).lower() for one in found]
