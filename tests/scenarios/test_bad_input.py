"""What goes wrong on a deployed stack: one clear message, an exit code that is not 0, nothing changed besides."""

from __future__ import annotations

import contextlib
import json
import platform
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.checkout import Checkout, Run

pytestmark = pytest.mark.docker

TEMPLATE = "local/Pulumi.local.yaml"


def refused(run: Run, *words: str, code: int = 1, once: bool = True) -> None:
    """The run ended with `code`, said each of the words, the first of them `once`, and showed no traceback."""
    assert run.code == code, run.text
    assert "Traceback" not in run.text, run.text
    assert [word for word in words if word not in run.text] == [], run.text
    assert not once or run.text.count(words[0]) == 1, run.text


def local(checkout: Checkout, *arguments: str, **environment: str) -> Run:
    settings = [f"{name}={value}" for name, value in environment.items()]
    return checkout.run("env", *settings, str(checkout.python), "-m", "local", *arguments)


def jobs(checkout: Checkout, *arguments: str) -> Run:
    return checkout.run(str(checkout.python), "-m", "jobs", *arguments)


@contextlib.contextmanager
def content(file: Path, text: str | None) -> Iterator[None]:
    """The file with other content (None: gone) for a while."""
    before, mode = file.read_bytes(), file.stat().st_mode
    file.unlink()
    if text is not None:
        file.write_text(text)
    try:
        yield
        assert (file.read_text() if file.exists() else None) == text, f"{file} was changed"
    finally:
        file.write_bytes(before)
        file.chmod(mode)


@contextlib.contextmanager
def edited(checkout: Checkout, name: str, old: str, new: str) -> Iterator[None]:
    before = (checkout.root / name).read_text()
    checkout.edit(name, old, new)
    try:
        yield
    finally:
        (checkout.root / name).write_text(before)


def now() -> datetime:
    return datetime.now(UTC)


def state_file(checkout: Checkout) -> Path:
    return checkout.home / "stack" / ".pulumi" / "stacks" / "azure-batch-platform" / "local.json"


def deployed_now(checkout: Checkout) -> tuple[list[str], Any]:
    """Ids and outputs in the stack's state: what a refused command must leave as it is."""
    resources = json.loads(state_file(checkout).read_text())["checkpoint"]["latest"]["resources"]
    # The engine writes resources in the order in which they were registered: a provider may come before the stack.
    [stack] = [one for one in resources if one["type"] == "pulumi:pulumi:Stack"]
    return sorted(one.get("id", "") for one in resources), stack["outputs"]


def test_settings_out_of_range_change_nothing(deployed: Checkout) -> None:
    before = deployed_now(deployed)
    with edited(deployed, TEMPLATE, "dedicated_nodes: 2", "dedicated_nodes: 200000"):
        refused(
            local(deployed, "up"),
            "expected a whole number 0..100, got 200000",
            "pools.default.scale.fixed.dedicated_nodes",
        )
    assert deployed_now(deployed) == before


def test_a_broken_dockerfile_leaves_the_stack_as_it_was(deployed: Checkout) -> None:
    before = deployed_now(deployed)
    with edited(deployed, "worker/Dockerfile", "FROM", "FORM"):
        said = ("unknown instruction: FORM", "Correct .build/copy-of-worker/Dockerfile")
        refused(local(deployed, "up"), *said, once=False)  # Pulumi shows it beside the resource, and in the end
    assert deployed_now(deployed) == before


def test_two_at_once_and_the_second_says_who_is_first(deployed: Checkout) -> None:
    first = subprocess.Popen([str(deployed.python), "-c", "import time; time.sleep(600)", "pulumi"])
    lock = deployed.home / "stack" / ".pulumi" / "locks" / "organization" / "azure-batch-platform" / "local" / "x.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    content = {"pid": first.pid, "username": "me", "hostname": platform.node(), "timestamp": now().isoformat()}
    lock.write_text(json.dumps(content))
    try:
        refused(local(deployed, "up"), "the stack is currently locked by 1 lock(s)", f"pid {first.pid}")
    finally:
        lock.unlink()
        first.kill()
        first.wait()


def test_no_engine_is_said_before_anything_is_deployed(deployed: Checkout) -> None:
    before = deployed_now(deployed)
    for verb in ("up", "destroy"):
        run = local(deployed, verb, DOCKER_HOST="unix:///no/such.sock")
        refused(run, "no Docker engine answers at DOCKER_HOST=unix:///no/such.sock", "unset DOCKER_HOST")
    assert deployed_now(deployed) == before


@pytest.mark.parametrize("text", [None, "{"])
def test_a_damaged_cloud_json_is_named_and_written_again(deployed: Checkout, text: str | None) -> None:
    with content(deployed.home / "cloud.json", text):
        refused(local(deployed, "up"), "cloud.json cannot be read", "python -m local stop")
        assert jobs(deployed, "nodes", "default", "--stack", "local").code == 2


def test_damaged_state_is_named_and_kept(deployed: Checkout) -> None:
    with content(state_file(deployed), "{"):
        refused(local(deployed, "up"), "local.json is not a Pulumi checkpoint", "restore it")
        refused(jobs(deployed, "nodes", "default"), "the outputs of stack 'local' cannot be had", code=2)


def test_a_lost_or_wrong_passphrase(deployed: Checkout) -> None:
    file = deployed.home / "stack" / "passphrase"
    with content(file, None):
        refused(local(deployed, "up"), "passphrase is gone", "put it back")
    with content(file, "another"):
        refused(local(deployed, "up"), "incorrect passphrase")


@pytest.mark.parametrize(
    ("job", "words", "code"),
    [
        ("{family: nope}", "job.family 'nope' has no container in this stack (known: hello, sql-check)", 2),
        ("{family: hello, pool: nope}", "job.pool 'nope' is not a pool of this stack (known: default)", 2),
        ("{family: hello, famly: x}", "job.famly: unknown key; did you mean 'family'?", 2),
    ],
)
def test_a_job_that_does_not_fit_the_stack_is_not_submitted(
    deployed: Checkout, tmp_path: Path, job: str, words: str, code: int
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(f"job: {job}\ntasks:\n  list: [{{id: a, command: [check]}}]\n")
    refused(jobs(deployed, "submit", str(file), "--yes"), words, code=code)


def test_a_task_image_that_does_not_exist_fails_the_task_by_name(deployed: Checkout, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("job: {family: hello}\ntasks:\n  list: [{id: a, command: [x], image: '127.0.0.1:1/none:1'}]\n")
    run = jobs(deployed, "submit", str(file), "--yes", "--watch")
    assert run.code == 1 and "Traceback" not in run.text, run.text
    assert "ContainerInvalidImage" in run.text and "127.0.0.1:1/none:1" in run.text


def test_a_taken_port_and_a_damaged_store_stop_the_start(deployed: Checkout) -> None:
    port = int(deployed.cloud["arm"].rpartition(":")[2])
    assert local(deployed, "stop").code == 0
    refused(
        jobs(deployed, "nodes", "default", "--stack", "local"), "nobody answers where tokens are had", "make up", code=3
    )
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        refused(local(deployed, "start"), f"port {port} on 127.0.0.1", "is taken by another program")
    database = deployed.home / "state" / "azure.db"
    for extra in ("-wal", "-shm"):
        assert not database.with_name(database.name + extra).exists(), "the store was not closed"
    with content(database, "not a database, but long enough to be taken for one" * 20):
        refused(local(deployed, "start"), "file is not a database", "azure.db", "reset --yes")
    assert local(deployed, "status").code == 1
    assert local(deployed, "start").code == 0
    assert local(deployed, "preview", "--expect-no-changes").code == 0
