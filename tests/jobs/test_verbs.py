"""list, show, retry, cancel, delete, pools, connect, images, doctor, validate and watch: on a service in memory."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.command.parser import parse
from jobs.errors import Conflict, Forbidden, JobsError, NotFound, Unreachable, UsageError
from jobs.exits import Exit
from jobs.plan.rerun import Tasks
from jobs.service import registry
from jobs.service.batch import Failure, NodeState, PoolState, TaskState
from jobs.service.registry import Manifest
from jobs.signals import Ended
from jobs.state import failure_texts
from jobs.terminal.render import Render
from jobs.verbs.help import doctor
from jobs.verbs.look import watch
from jobs.verbs.pools import connect, images
from jobs.verbs.submit import retry
from tests.jobs.fakes import START, Stage, stage

ROOT = Path(__file__).parents[2]
OUTPUT = {"destination": {"container": {"containerUrl": "https://s/job-hello", "path": "j/a"}}, "filePattern": "*"}
FAILED = Failure(category="usererror", code="FailureExitCode", message="exit code 3")


@pytest.fixture
def scene() -> Stage:
    scene = stage()
    metadata = [{"name": "family", "value": "hello"}, {"name": "container", "value": "job-hello"}]
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "default-1a2b"}, "metadata": metadata})
    scene.batch.add_collection(
        "j", [{"id": "a", "commandLine": "x", "outputFiles": [OUTPUT]}, {"id": "b", "commandLine": "y"}]
    )
    scene.batch.set("j", task("a", exit_code=3))
    scene.batch.set("j", task("b", exit_code=0))
    return scene


def task(name: str, *, exit_code: int | None, **changes: Any) -> TaskState:
    good = exit_code == 0
    return TaskState(
        id=name,
        state="completed",
        changed=START,
        result="success" if good else "failure",
        exit_code=exit_code,
        failure=None if good else FAILED,
        **changes,
    )


def run(scene: Stage, *words: str) -> Exit:
    scene.session.render.as_json = "--json" in words
    arguments = parse(list(words))
    return arguments.run(arguments, scene.session)


def records(scene: Stage) -> list[dict[str, Any]]:
    return [json.loads(line) for line in scene.out.getvalue().splitlines()]


def test_list_shows_the_newest_first_with_their_tasks(scene: Stage) -> None:
    scene.batch.create_job({"id": "later", "poolInfo": {"poolId": "p"}})
    assert run(scene, "list") == Exit.OK
    lines = scene.out.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["job", "later", "j"]
    assert lines[2].split()[:6] == ["j", "active", "0", "0", "1", "1"]


def test_list_by_family_as_json(scene: Stage) -> None:
    scene.batch.create_job({"id": "later", "poolInfo": {"poolId": "p"}})
    run(scene, "list", "--family", "hello", "--json")
    assert [(job["id"], job["tasks"]["failed"]) for job in records(scene)] == [("j", 1)]


def test_show_says_why_a_task_failed_and_how_its_node_is(scene: Stage) -> None:
    scene.batch.set("j", task("a", exit_code=3, node_id="n1"))
    scene.batch.node_list = [NodeState(id="n1", state="unusable", errors=("DiskFull: no space",))]
    scene.batch.files["j", "a", "stderr.txt"] = b"cannot open the file\n"
    assert run(scene, "show", "j", "a") == Exit.TASKS_FAILED
    shown = scene.out.getvalue()
    assert "exit code 3: the program's own code" in shown
    assert "its node is unusable now: DiskFull: no space" in shown
    assert "| cannot open the file" in shown


def test_show_says_that_a_node_is_gone(scene: Stage) -> None:
    scene.batch.set("j", task("a", exit_code=3, node_id="n9"))
    run(scene, "show", "j", "a", "--json")
    assert records(scene)[0]["evidence"] == ["its node n9 is not in pool default-1a2b any more"]


def test_show_of_a_job_lists_its_failures(scene: Stage) -> None:
    assert run(scene, "show", "j") == Exit.TASKS_FAILED
    assert "  a: exit code 3\n" in scene.out.getvalue()
    assert "python -m jobs retry j" in scene.err.getvalue()


def test_show_of_a_job_that_waits_looks_at_its_pool(scene: Stage) -> None:
    for name in ("a", "b"):
        scene.batch.set("j", TaskState(id=name, state="active", changed=START))
    scene.batch.pools_known["default-1a2b"] = PoolState(
        id="default-1a2b", state="active", target_dedicated=2, resize_errors=("AccountCoreQuotaReached: no cores",)
    )
    assert run(scene, "show", "j") == Exit.OK
    assert "AccountCoreQuotaReached: no cores" in scene.out.getvalue()


@pytest.mark.parametrize(
    ("code", "said"), [(137, "out of memory"), (127, "not found in the image"), (139, "SIGSEGV"), (1, "own code")]
)
def test_exit_codes_are_told_in_words(code: int, said: str) -> None:
    assert said in failure_texts.exit_words(code)


def test_retry_adds_the_failed_tasks_to_an_active_job_under_new_ids(scene: Stage) -> None:
    assert run(scene, "retry", "j", "--yes") == Exit.OK
    again = scene.batch.sent["j"]["a-r1"]
    assert again["commandLine"] == "x"
    assert again["outputFiles"][0]["destination"]["container"]["path"] == "j/a-r1"
    assert set(scene.batch.sent["j"]) == {"a", "b", "a-r1"}


def test_retry_makes_a_new_job_when_the_old_one_is_over(scene: Stage) -> None:
    scene.batch.end("j")
    assert run(scene, "retry", "j", "--yes") == Exit.OK
    assert set(scene.batch.sent["j-retry1"]) == {"a"}
    assert scene.batch.sent["j-retry1"]["a"]["outputFiles"][0]["destination"]["container"]["path"] == "j-retry1/a"
    assert scene.batch.definitions["j-retry1"]["metadata"] == scene.batch.definitions["j"]["metadata"]
    assert scene.batch.states["j-retry1"].on_all_tasks_complete == "terminatejob"
    scene.batch.set("j-retry1", task("a", exit_code=3))
    scene.batch.end("j-retry1")
    run(scene, "retry", "j-retry1", "--yes")
    assert set(scene.batch.sent["j-retry2"]) == {"a"}


def test_retry_runs_only_the_newest_run_of_a_task_again(scene: Stage) -> None:
    run(scene, "retry", "j", "--yes")
    scene.batch.set("j", task("a-r1", exit_code=3))
    tasks = Tasks.of(scene.batch.tasks("j"))
    assert set(retry.failed(scene.session, scene.batch.job("j"), tasks, [])) == {"a-r1"}
    run(scene, "retry", "j", "--yes")
    assert set(scene.batch.sent["j"]) == {"a", "b", "a-r1", "a-r2"}


def submit_failed(scene: Stage, *names: str) -> None:
    scene.batch.add_collection("j", [{"id": name, "commandLine": "x"} for name in names])
    for name in names:
        scene.batch.set("j", task(name, exit_code=3))


def test_retry_never_takes_a_users_task_for_a_run_of_its_own(scene: Stage) -> None:
    submit_failed(scene, "sim-r1", "sim-r2", "sim-r3", "exp-R9")
    assert run(scene, "retry", "j", "--yes") == Exit.OK
    again = {"a-r1", "sim-r1-r1", "sim-r2-r1", "sim-r3-r1", "exp-R9-r1"}
    assert set(scene.batch.sent["j"]) == {"a", "b", "sim-r1", "sim-r2", "sim-r3", "exp-R9"} | again


def test_retry_of_one_task_whose_id_looks_like_a_later_run(scene: Stage) -> None:
    submit_failed(scene, "sim-r1", "sim-r2")
    assert run(scene, "retry", "j", "--task", "sim-r1", "--yes") == Exit.OK
    assert {"sim-r1-r1"} == set(scene.batch.sent["j"]) - {"a", "b", "sim-r1", "sim-r2"}


def test_a_users_task_that_has_the_id_of_a_run_keeps_it_and_the_run_gets_another(scene: Stage) -> None:
    scene.batch.add_collection("j", [{"id": "A-R1", "commandLine": "mine"}])
    scene.batch.set("j", task("A-R1", exit_code=0))
    assert run(scene, "retry", "j", "--yes") == Exit.OK
    assert scene.batch.sent["j"]["A-R1"]["commandLine"] == "mine"
    assert scene.batch.sent["j"]["a-r2"]["displayName"] == "run 1 of a (python -m jobs retry)"


def test_retry_does_not_run_again_what_runs_again_already(scene: Stage) -> None:
    run(scene, "retry", "j", "--yes")
    for state in ("active", "running"):
        scene.batch.set("j", TaskState(id="a-r1", state=state, changed=START))
        assert run(scene, "retry", "j", "--yes") == Exit.OK
    assert set(scene.batch.sent["j"]) == {"a", "b", "a-r1"}
    assert "every failed task of job j was run again already" in scene.err.getvalue()
    with pytest.raises(UsageError, match="task a of job j was run again already: a-r1 is running"):
        run(scene, "retry", "j", "--task", "a", "--yes")


def test_the_id_of_a_run_stays_an_id_when_the_tasks_is_long(scene: Stage) -> None:
    long = "x" * 64
    submit_failed(scene, long)
    run(scene, "retry", "j", "--task", long, "--yes")
    run_again = f"{'x' * 61}-r1"
    assert scene.batch.sent["j"][run_again]["displayName"] == f"run 1 of {long} (python -m jobs retry)"
    scene.batch.set("j", task(run_again, exit_code=3))
    run(scene, "retry", "j", "--task", run_again, "--yes")
    assert scene.batch.sent["j"][f"{'x' * 61}-r2"]["displayName"] == f"run 2 of {long} (python -m jobs retry)"


def test_a_file_named_after_its_task_gets_the_new_runs_name_in_its_path(scene: Stage) -> None:
    pattern = "$AZ_BATCH_TASK_ID.dat"
    output = {**OUTPUT, "filePattern": pattern, "destination": {"container": {"path": "j/c/c.dat"}}}
    scene.batch.add_collection("j", [{"id": "c", "commandLine": "x", "outputFiles": [output]}])
    scene.batch.set("j", task("c", exit_code=3))
    run(scene, "retry", "j", "--task", "c", "--yes")
    (moved,) = scene.batch.sent["j"]["c-r1"]["outputFiles"]
    assert (moved["filePattern"], moved["destination"]["container"]["path"]) == (pattern, "j/c-r1/c-r1.dat")


def test_retry_of_a_task_that_did_not_fail_is_refused(scene: Stage) -> None:
    with pytest.raises(UsageError, match="did not fail"):
        run(scene, "retry", "j", "--task", "b", "--yes")
    with pytest.raises(NotFound):
        run(scene, "retry", "j", "--task", "zebra", "--yes")
    assert set(scene.batch.sent["j"]) == {"a", "b"}


def test_retry_with_nothing_failed_sends_nothing(scene: Stage) -> None:
    scene.batch.set("j", task("a", exit_code=0))
    assert run(scene, "retry", "j", "--yes") == Exit.OK
    assert "nothing to run again" in scene.err.getvalue()


@pytest.mark.parametrize(
    "words", [("retry", "j"), ("cancel", "j"), ("delete", "j"), ("pools", "default", "--nodes", "3")]
)
def test_without_a_terminal_nothing_is_done_without_yes(
    scene: Stage, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: PTH123, SIM115
    before = list(scene.batch.order)
    with pytest.raises(UsageError, match="Add --yes"):
        run(scene, *words)
    assert scene.batch.order == before
    assert scene.batch.deleted == []


def test_cancel_ends_a_job_or_single_tasks(scene: Stage) -> None:
    scene.batch.set("j", TaskState(id="b", state="running", changed=START))
    assert run(scene, "cancel", "j", "b", "a") == Exit.OK
    assert scene.batch.order[-1] == "terminate j/b"
    assert "task a is over already" in scene.err.getvalue()
    assert run(scene, "cancel", "j", "--yes") == Exit.OK
    assert scene.batch.order[-1] == "terminate j"
    assert run(scene, "cancel", "j") == Exit.OK
    assert "job j is completed already" in scene.err.getvalue()


def test_delete_deletes_all_or_none(scene: Stage) -> None:
    with pytest.raises(NotFound):
        run(scene, "delete", "j", "zebra", "--yes")
    assert scene.batch.deleted == []
    assert run(scene, "delete", "j", "--yes", "--wait") == Exit.OK
    assert scene.batch.deleted == ["j"]
    assert "its output stays in job-hello/j/" in scene.err.getvalue()


def test_a_pool_is_resized_by_the_stacks_name(scene: Stage) -> None:
    assert run(scene, "pools", "default", "--nodes", "3", "--yes") == Exit.OK
    assert scene.batch.order[-1] == "resize default-1a2b 3 None"


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (("pools", "--nodes", "3"), UsageError, "which pool"),
        (("pools", "default", "--nodes", "-1", "--yes"), UsageError, "0 or more"),
        (("pools", "zebra", "--nodes", "1", "--yes"), NotFound, "zebra"),
        (("pools", "default", "--evaluate"), Conflict, "fixed size"),
    ],
)
def test_mistakes_with_pools_are_told(scene: Stage, words: tuple[str, ...], kind: type[JobsError], said: str) -> None:
    with pytest.raises(kind, match=said):
        run(scene, *words)


def test_a_pool_that_scales_itself_is_not_resized_but_evaluated(scene: Stage) -> None:
    scene.batch.pools_known["default-1a2b"] = PoolState(
        id="default-1a2b", state="active", autoscale_formula="$TargetDedicatedNodes=3;", autoscale_at=START
    )
    with pytest.raises(Conflict, match="scaled by a formula"):
        run(scene, "pools", "default", "--nodes", "3", "--yes")
    run(scene, "pools", "default", "--evaluate")
    run(scene, "pools", "default")
    assert "$TargetDedicatedNodes=3\n" in scene.out.getvalue()
    assert "last evaluated 0 s ago" in scene.out.getvalue()


def test_connect_makes_a_user_with_a_password_that_is_shown_once(scene: Stage) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]
    assert run(scene, "connect", "tvm", "--password", "--json") == Exit.OK
    told, made = records(scene)[0], scene.batch.users[0]
    assert made["password"] == told["password"]
    assert told["command"].endswith(f"-p 50001 {made['name']}@127.0.0.1")
    assert made["expiryTime"] == "2026-11-25T00:00:00Z"
    assert not made["isAdmin"]
    run(scene, "connect", "tvm1", "--remove", made["name"])
    assert scene.batch.order[-1] == f"delete user {made['name']}"


def test_connect_names_the_setting_when_the_pool_maps_no_ssh(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]

    def refuse(code: str) -> Any:
        def ssh_address(pool: str, node: str) -> tuple[str, int]:
            raise Conflict(f"node {node}: no ({code})", code)

        return ssh_address

    monkeypatch.setattr(scene.batch, "ssh_address", refuse("OperationNotValidOnNode"))
    with pytest.raises(Conflict, match=r"`ssh_from: \[203.0.113.0/24\]`.*run up"):
        run(scene, "connect", "tvm1", "--run", "true")
    assert scene.batch.users == []
    scene.batch.pools_known["default-1a2b"] = PoolState(id="default-1a2b", state="active", maps_ssh=True)
    with pytest.raises(Conflict, match="node tvm1: no"):
        run(scene, "connect", "tvm1", "--run", "true")
    monkeypatch.setattr(scene.batch, "ssh_address", refuse("NodeNotReady"))
    with pytest.raises(Conflict, match="NodeNotReady"):
        run(scene, "connect", "tvm1", "--run", "true")


def test_connect_removes_the_user_when_ssh_ends(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]
    started = []

    def ssh(command: list[str], render: Render) -> Exit:
        started.append(command)
        assert Path(command[command.index("-i") + 1]).is_file()
        return Exit.OK

    monkeypatch.setattr(connect, "_run", ssh)
    assert run(scene, "connect", "tvm1", "--run", "uptime") == Exit.OK
    assert started[0][-1] == "uptime"
    assert scene.batch.users[0]["sshPublicKey"].startswith("ssh-ed25519 ")
    assert not Path(started[0][started[0].index("-i") + 1]).exists()
    assert scene.batch.order[-1] == f"delete user {scene.batch.users[0]['name']}"


def test_a_failed_command_on_a_node_is_not_a_failed_task(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]
    monkeypatch.setattr(connect, "ssh_command", lambda *_: ["sh", "-c", "exit 7"])
    assert run(scene, "connect", "tvm1", "--run", "x") == Exit.COMMAND_FAILED
    assert "the remote command ended with 7" in scene.err.getvalue()


def test_a_job_that_ended_while_it_was_to_be_cancelled_is_told_as_that(scene: Stage) -> None:
    def terminate_job(job_id: str, reason: str) -> None:
        scene.batch.end(job_id)
        raise Conflict("the job is completed", "JobCompleted")

    scene.batch.terminate_job = terminate_job  # type: ignore[method-assign]
    assert run(scene, "cancel", "j", "--yes") == Exit.OK
    assert "job j is completed already (AllTasksComplete)" in scene.err.getvalue()


def test_show_says_nothing_of_waiting_when_a_task_began_meanwhile(scene: Stage) -> None:
    scene.batch.set("j", TaskState(id="a", state="active", changed=START))
    real = scene.batch.nodes

    def nodes(pool: str) -> Any:
        scene.batch.set("j", TaskState(id="a", state="running", changed=START))
        return real(pool)

    scene.batch.nodes = nodes  # type: ignore[method-assign]
    assert run(scene, "show", "j") == Exit.OK
    assert "nothing runs" not in scene.out.getvalue()


@pytest.mark.parametrize("end", [KeyboardInterrupt(), Ended(Exit.HUNG_UP), Ended(Exit.TERMINATED), OSError(5, "EIO")])
def test_connect_removes_the_user_however_it_ends(
    scene: Stage, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]

    def ssh(command: list[str], render: Render) -> Exit:
        raise end

    monkeypatch.setattr(connect, "_run", ssh)
    with pytest.raises(type(end)):
        run(scene, "connect", "tvm1")
    assert scene.batch.order[-1] == f"delete user {scene.batch.users[0]['name']}"


def test_connect_removes_a_user_whose_making_had_no_answer(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]
    real = scene.batch.create_user

    def create_user(pool: str, node: str, user: Mapping[str, Any]) -> None:
        real(pool, node, user)
        raise Unreachable("the answer was lost")

    scene.batch.create_user = create_user  # type: ignore[method-assign]
    with pytest.raises(Unreachable):
        run(scene, "connect", "tvm1")
    assert scene.batch.order[-1] == f"delete user {scene.batch.users[0]['name']}"


def test_a_user_that_cannot_be_removed_is_told_and_changes_no_result(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle")]

    def delete_user(pool: str, node: str, name: str) -> None:
        raise Unreachable("nobody answers")

    scene.batch.delete_user = delete_user  # type: ignore[method-assign]
    monkeypatch.setattr(connect, "_run", lambda command, render: Exit.OK)
    assert run(scene, "connect", "tvm1") == Exit.OK
    assert "could not be removed" in scene.err.getvalue()
    assert f"--remove {scene.batch.users[0]['name']}" in scene.err.getvalue()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_ssh_and_removes_the_user_and_the_key(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """As a process of its own, because a signal is for a process."""
    ssh = tmp_path / "ssh"
    ssh.write_text('#!/bin/sh\necho "$@" > "$0.said"\nexec sleep 100 >/dev/null\n')
    ssh.chmod(0o755)
    script = """
import signal
import sys
from jobs import signals
from jobs.exits import Exit
from jobs.command.parser import parse
from jobs.service.batch import NodeState
from tests.jobs.fakes import stage
scene = stage()
scene.batch.node_list = [NodeState(id="tvm1", state="idle")]
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has it ignored
signals.raise_on_end()
arguments = parse(["connect", "tvm1"])
try:
    arguments.run(arguments, scene.session)
except KeyboardInterrupt as end:
    print(scene.batch.order[-1], scene.batch.users[0]["name"])
    sys.exit(getattr(end, "exit", 130))
"""
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    while not (tmp_path / "ssh.said").exists():
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == code
    done, name = out.strip().rsplit(" ", 1)
    assert done == f"delete user {name}"
    assert list(tmp_path.glob("jobs-connect-*")) == []


@pytest.mark.parametrize(
    ("words", "kind", "said"),
    [
        (("zebra",), NotFound, "no node's id begins with 'zebra'"),
        (("tvm",), UsageError, "2 nodes begin with 'tvm'"),
        (("tvm1", "--print"), UsageError, "needs a key that stays"),
        (("tvm1", "--key", "id.pub", "--print"), UsageError, "is a public key"),
        (("tvm1", "--key", "no-such-key", "--print"), UsageError, "cannot be read"),
        (("tvm1", "--password", "--days", "0"), UsageError, "1 day or more"),
    ],
)
def test_mistakes_when_connecting_make_no_user(
    scene: Stage, words: tuple[str, ...], kind: type[JobsError], said: str
) -> None:
    scene.batch.node_list = [NodeState(id="tvm1", state="idle"), NodeState(id="tvm2", state="idle")]
    with pytest.raises(kind, match=said):
        run(scene, "connect", *words)
    assert scene.batch.users == []


class FakeRegistry:
    server = "registry.azurecr.io"
    digest = "sha256:0123"

    def __init__(self, _connection: object) -> None: ...

    def repositories(self) -> list[str]:
        return ["docker-worker"]

    def manifests(self, repository: str) -> list[Manifest]:
        return [Manifest(repository, self.digest, ("v1",), START - timedelta(days=3), 0)]


def test_images_say_which_pools_use_them(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "Registry", FakeRegistry)
    reference = "registry.azurecr.io/docker-worker@sha256:0123"
    scene.batch.pools_known["p2"] = PoolState(id="p2", state="active", images=(reference,))
    assert run(scene, "images") == Exit.OK
    line = scene.out.getvalue().splitlines()[-1]
    assert line.split()[:3] == ["docker-worker", "v1", "sha256:0123"]
    assert "3 d" in line
    assert "p2" in line
    assert images.users(scene.session, "registry.azurecr.io") == {reference: ["p2"]}


def test_doctor_has_a_fix_for_everything_that_is_wrong(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "Registry", FakeRegistry)
    monkeypatch.setattr(FakeRegistry, "digest", "sha256:other")
    scene.batch.pools_known["default-1a2b"] = PoolState(
        id="default-1a2b", state="active", target_dedicated=2, os_image="o:ubuntu:2204", node_agent="batch.node"
    )
    scene.batch.node_list = [NodeState(id="n1", state="starttaskfailed")]
    scene.batch.ends = {("o:ubuntu:2204", "batch.node"): START + timedelta(days=10)}
    monkeypatch.delitem(doctor.CHECKS, "quotas")
    assert run(scene, "doctor", "--json") == Exit.SERVICE
    found = records(scene)
    wrong = [one for one in found if one["outcome"] != "ok"]
    assert {one["check"] for one in wrong} == {"pools", "images", "registry"}
    assert all(one["fix"] for one in wrong)
    assert {one["check"] for one in found} == {"connection", "batch", "containers", "pools", "images", "registry"}


def test_doctor_tells_reading_from_submitting(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(job_id: str) -> None:
        raise Forbidden(f"job {job_id}: you may not do this. Have yourself added", "PermissionDenied")

    monkeypatch.setattr(scene.batch, "end_when_done", refuse)
    reading, submitting = doctor.batch(scene.session)
    assert (reading.outcome, submitting.outcome) == ("ok", "bad")
    assert (submitting.what, "Have yourself added" in submitting.fix) == ("you may not submit", True)


CORES = [
    ("Standard_D4ads_v5", 4),
    ("STANDARD_D2S_V3", 2),
    ("standard_nc24ads_a100_v4", 24),
    ("Standard_HB120rs_v3", 120),
    ("Standard_F8s_v2", 8),
    ("Standard_A2m_v2", 2),
    ("Standard_DS3_v2", None),
    ("Standard_G5", None),
    ("Basic_A1", None),
    ("", None),
]


@pytest.mark.parametrize(("size", "cores"), CORES)
def test_the_cores_of_a_size_are_in_its_name_but_for_old_series(size: str, cores: int | None) -> None:
    assert doctor.cores(size) == cores


@pytest.mark.parametrize(
    ("quota", "outcomes"),
    [
        (24, ["ok", "ok"]),  # 8 of this pool, 8 of another, 8 of a new generation
        (23, ["ok", "warning", "ok"]),
        (15, ["bad", "ok"]),
        (None, ["ok"]),
    ],
)
def test_doctor_counts_cores_for_a_second_generation(quota: int | None, outcomes: list[str]) -> None:
    own = PoolState(id="own", state="active", vm_size="Standard_D4ads_v5", target_dedicated=2)
    other = PoolState(id="other", state="active", vm_size="Standard_D8ads_v5", dedicated=1)
    found = list(doctor.core_quota([own, other], [own], {"dedicated": quota, "spot": 0}))
    assert [one.outcome for one in found] == outcomes
    assert all(one.fix for one in found if one.outcome != "ok")


def test_doctor_goes_on_after_a_check_that_could_not_be_made(scene: Stage) -> None:
    del scene.batch.pools_known["default-1a2b"]
    assert run(scene, "doctor") == Exit.SERVICE
    assert "bad      pools: default-1a2b (default) does not exist" in scene.out.getvalue()
    assert "registry" in scene.out.getvalue()


def test_doctor_says_once_that_nobody_answers(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Unreachable("https://x cannot be reached")

    monkeypatch.setattr(scene.batch, "job", away)
    assert run(scene, "doctor") == Exit.SERVICE
    told = scene.out.getvalue()
    assert told.count("cannot be reached") == 1
    assert "not asked, because of that: containers, pools, " in told
    local = replace(scene.session.connection, ca=Path("ca.pem"))
    scene.session.__dict__["connection"] = local
    scene.out.truncate(0)
    scene.out.seek(0)
    run(scene, "doctor")
    assert "the local Azure does not answer: it is stopped\n         make up, or:" in scene.out.getvalue()


def test_validate_checks_all_files_and_tells_everything(scene: Stage, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text("job: {family: hello}\ntasks: {list: [{id: a}]}\n")
    bad.write_text("job: {family: nosuch}\ntasks: {list: [{id: a}]}\n")
    assert run(scene, "validate", str(good), str(bad), "--json") == Exit.USAGE
    assert [one["valid"] for one in records(scene)] == [True, False]
    assert run(scene, "validate", str(bad), "--offline") == Exit.OK
    assert scene.batch.order == ["create", "add 2"]


def many(count: int) -> Stage:
    scene = stage()
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}})
    scene.batch.add_collection("j", [{"id": f"t{number}"} for number in range(count)])
    scene.batch.end_when_done("j")
    return scene


def test_watching_a_large_job_never_lists_its_tasks() -> None:
    scene = many(1000)

    def some_end() -> None:
        scene.batch.set("j", replace(task("t1", exit_code=3), changed=scene.clock.at))
        for number in range(2, 500):
            scene.batch.set("j", task(f"t{number}", exit_code=0))

    def all_end() -> None:
        for number in range(500, 1000):
            scene.batch.set("j", task(f"t{number}", exit_code=0))
        scene.batch.set("j", task("t0", exit_code=0))
        scene.batch.end("j")

    scene.clock.on_sleep = [some_end, all_end]
    assert watch.follow(scene.session, "j", timeout=None) == Exit.TASKS_FAILED
    assert scene.batch.asked == []
    told = scene.err.getvalue()
    assert told.count("t1: failed, exit code 3") == 1
    assert "501 waiting, 0 running, 498 succeeded, 1 failed" in told
    assert "job j is over: 999 succeeded, 1 failed" in told


def test_a_large_job_that_stays_active_is_over_when_no_task_is_left() -> None:
    scene = many(300)
    scene.batch.states["j"] = replace(scene.batch.states["j"], on_all_tasks_complete="noaction")
    for number in range(300):
        scene.batch.set("j", task(f"t{number}", exit_code=0))
    assert watch.follow(scene.session, "j", timeout=None) == Exit.OK


def test_the_live_table_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = many(3)
    scene.batch.set("j", TaskState(id="t0", state="running", changed=START, node_id="n1"))

    def all_end() -> None:
        for number in range(3):
            scene.batch.set("j", task(f"t{number}", exit_code=number))
        scene.batch.end("j")

    scene.clock.on_sleep = [all_end]
    monkeypatch.setattr(scene.err, "isatty", lambda: True)
    assert watch.follow(scene.session, "j", timeout=None) == Exit.TASKS_FAILED
    drawn = scene.err.getvalue()
    assert "running\x1b[0m  t0   0 s on n1" in drawn
    assert "\x1b[5F\x1b[J" in drawn
    assert "failed\x1b[0m   t1   exit code 1" in drawn
    assert drawn.index("\x1b[?25h") < drawn.index("job j is over")


def test_times_in_json_are_iso_8601(scene: Stage) -> None:
    run(scene, "list", "--json")
    assert [one["created"] for one in records(scene)] == [START.isoformat()]


def test_what_a_failure_says_in_short() -> None:
    assert failure_texts.in_short(3, FAILED) == ""
    assert failure_texts.in_short(127, FAILED) == "the program was not found in the image"
    ended = Failure(category="usererror", code="TaskEnded", message="Task was ended by user request")
    assert failure_texts.in_short(137, ended) == "TaskEnded: Task was ended by user request"


@pytest.mark.parametrize("verb", ["list", "show j", "nodes", "pools", "cancel j b --yes", "logs j a"])
def test_with_json_stdout_has_only_json(scene: Stage, verb: str) -> None:
    scene.batch.set("j", TaskState(id="b", state="running", changed=START))
    scene.batch.files["j", "a", "stdout.txt"] = b"text\n"
    scene.batch.node_list = [NodeState(id="n1", state="idle", since=START)]
    run(scene, *verb.split(), "--json")
    assert records(scene)


def test_arguments_of_a_verb_that_is_not_there_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="invalid choice"):
        parse(["zebra"])
    assert isinstance(parse(["list"]), argparse.Namespace)
