"""Every verb on real nodes: jobs that succeed, fail and write for a while."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import time
from pathlib import Path

import pytest

from tests.scenarios.checkout import SOURCE, Checkout

pytestmark = pytest.mark.docker

JOB = """
job: {family: hello, max_wall_clock: 10m}
tasks:
  list:
    - {id: good, entrypoint: date}
    - {id: bad, shell: true, command: "echo told to stderr >&2; exit 3"}
    - {id: ticks, shell: true, command: "for i in 1 2 3 4 5 6; do date +%s.%N; sleep 0.5; done; echo end"}
    - {id: many, shell: true, command: "for i in $(seq 1 30); do echo $i > f$i.txt; done",
       outputs: [{files: "*.txt", when: success}]}
"""
BLOCKED = """
job: {family: hello}
tasks:
  list:
    - {id: first, shell: true, command: "exit 3"}
    - {id: second, shell: true, command: "echo never", depends_on: [first]}
"""
INPUTS = """
job: {family: hello, inputs: [{file: shared.txt}]}
tasks:
  template:
    id: "{name}"
    shell: true
    command: "cat shared.txt in.txt model/deep/weights && sh model/run.sh && cat blobs/in/listed"
    inputs:
      - {file: "data/{name}.txt", to: in.txt}
      - {folder: model}
      - {blobs: in/, to: blobs}
  rows: {file: rows.csv}
"""
ONCE = """
job: {family: hello, id: once}
schedule: {do_not_run_until: 2026-01-01T00:00:00Z}
tasks:
  list: [{id: work, shell: true, command: "echo made by $AZ_BATCH_JOB_ID"}]
"""
WAITING = """
job: {family: hello}
tasks:
  list: [{id: wait, command: [wait, --seconds, "600"]}]
"""


@pytest.fixture(scope="module")
def place(deployed: Checkout) -> Checkout:
    for name, text in (("verbs", JOB), ("waiting", WAITING), ("blocked", BLOCKED)):
        (deployed.root / f"{name}.yaml").write_text(text)
    return deployed


@pytest.fixture(scope="module")
def job(place: Checkout) -> str:
    """A job over; `ticks` was followed while it wrote."""
    place.jobs("submit", "verbs.yaml", "--yes", "--job-id", "verbs")
    followed = place.start(str(place.python), "-m", "jobs", "logs", "verbs", "ticks", "--follow")
    assert followed.stdout is not None
    late = []
    for line in followed.stdout:
        if line.strip() != "end":
            late.append(time.time() - float(line))
    assert followed.wait(60) == 0
    assert len(late) == 6
    # The first lines may have been there before we looked; one of the last shows how soon a line is seen.
    assert min(late[3:]) < 5, late
    place.jobs("watch", "verbs", expect=1)
    return "verbs"


def test_logs_show_every_byte_once(place: Checkout, job: str) -> None:
    again = place.jobs("logs", job, "ticks").out
    assert len(again.splitlines()) == 7
    assert place.jobs("logs", job, "ticks", "--follow").out == again
    assert place.jobs("logs", job, "bad", "--stderr").out == "told to stderr\n"


def test_show_and_list_tell_the_failure(place: Checkout, job: str) -> None:
    shown = place.jobs("show", job, "bad", expect=1).out
    assert "exit code 3" in shown
    assert "| told to stderr" in shown
    listed = json.loads(place.jobs("list", "--prefix", job, "--json").out.splitlines()[0])
    assert (listed["tasks"]["succeeded"], listed["tasks"]["failed"]) == (3, 1)


def test_collect_takes_everything_once(place: Checkout, job: str) -> None:
    first = json.loads(place.jobs("collect", job, "out", "--json").out)
    assert (first["downloaded"], first["present"]) == (4 * 2 + 30, 0)
    assert (place.root / "out" / "many" / "f30.txt").read_text() == "30\n"
    (place.root / "out" / "many" / "f30.txt").write_text("31\n")
    again = json.loads(place.jobs("collect", job, "out", "--json").out)
    assert again["downloaded"] + again["present"] == 38
    assert not list((place.root / "out").rglob("*.part"))


def test_retry_runs_the_failed_task_in_a_new_job(place: Checkout, job: str) -> None:
    place.jobs("retry", job, "--yes")
    done = place.jobs("watch", f"{job}-retry1", expect=1)
    assert "0 succeeded, 1 failed" in done.err
    place.jobs("delete", f"{job}-retry1", "--yes", "--wait")
    assert "does not exist" in place.jobs("show", f"{job}-retry1", expect=3).err


def test_cancel_ends_a_running_job(place: Checkout) -> None:
    place.jobs("submit", "waiting.yaml", "--yes", "--job-id", "waiting")
    place.jobs("cancel", "waiting", "--yes")
    place.jobs("watch", "waiting", expect=1)
    assert json.loads(place.jobs("list", "--prefix", "waiting", "--json").out)["terminate_reason"] == "UserTerminate"


def test_steps_wait_for_one_another_on_a_node_that_was_warmed_up(place: Checkout) -> None:
    """The sample: a task whose exit code has a rule, those that depend on it, and what the preparation left them."""
    place.jobs("submit", "jobs/samples/steps.yaml", "--yes", "--job-id", "steps", "--watch", expect=1)
    shown = place.jobs("show", "steps", expect=1).out
    assert "3: 0 waiting, 0 running, 2 succeeded, 1 failed" in shown
    assert "look: exit code 65" in shown
    assert "preparation completed on" in shown
    assert place.jobs("logs", "steps", "merge").out.startswith("this node was warmed up at ")


def test_inputs_are_on_the_node_for_every_task_and_are_sent_once(place: Checkout) -> None:
    """By the node's identity: a file of the job, one for each row, a folder, and blobs that another job left."""
    files = {
        "inputs.yaml": INPUTS,
        "rows.csv": "name\none\ntwo\n",
        "shared.txt": "shared\n",
        "data/one.txt": "first\n",
        "data/two.txt": "second\n",
        "model/deep/weights": "weights\n",
        "model/run.sh": "echo ran\n",
        "in/listed": "blob\n",
    }
    for name, text in files.items():
        (place.root / name).parent.mkdir(parents=True, exist_ok=True)
        (place.root / name).write_text(text)
    leave = (
        "from jobs.command.cli import _session; from jobs.command.parser import parse; s = _session(parse(['list'])); "
    )
    leave += "s.blobs.write('job-hello', 'in/listed', open('in/listed', 'rb'), 5)"
    assert place.run(str(place.python), "-c", leave).code == 0
    done = place.jobs("submit", "inputs.yaml", "--yes", "--job-id", "inputs", "--watch")
    assert "inputs: 5 files" in done.err and "sent to job-hello/.inputs/" in done.err
    assert place.jobs("logs", "inputs", "one").out == "shared\nfirst\nweights\nran\nblob\n"
    assert place.jobs("logs", "inputs", "two").out == "shared\nsecond\nweights\nran\nblob\n"
    again = place.jobs("submit", "inputs.yaml", "--yes", "--job-id", "inputs-2")
    assert "5 files" in again.err and "there already" in again.err


def test_a_schedule_makes_a_job_that_every_verb_takes(place: Checkout) -> None:
    (place.root / "once.yaml").write_text(ONCE)
    place.jobs("submit", "once.yaml", "--yes")
    assert place.jobs("schedules", "-o", "name").out == "once\n"
    place.jobs("wait", "once:job-1", "--for", "succeeded")
    assert place.jobs("logs", "once:job-1", "work").out == "made by once:job-1\n"
    assert "once:job-1" in place.jobs("schedules", "show", "once").out
    place.jobs("schedules", "delete", "once", "--yes")


def test_a_job_whose_tasks_wait_for_ever_is_told_and_run_again(place: Checkout) -> None:
    watched = place.jobs("submit", "blocked.yaml", "--yes", "--job-id", "blocked", "--watch", expect=1)
    assert "second waits for first, which failed, exit code 3" in watched.err
    place.jobs("retry", "blocked", "--yes")
    assert "second-r1 waits for first-r1" in place.jobs("watch", "blocked", expect=1).err
    place.jobs("cancel", "blocked", "--yes")


def test_in_a_terminal_a_submission_is_asked_about_and_watched_as_a_table(place: Checkout) -> None:
    ours, theirs = pty.openpty()
    command = [str(place.python), "-m", "jobs", "submit", "verbs.yaml", "--job-id", "table", "--watch"]
    with subprocess.Popen(
        command, cwd=place.root, env=place.environment | {"TERM": "xterm"}, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        os.write(ours, b"y\n")
        drawn = b""
        with contextlib.suppress(OSError):  # how Linux says that nobody has the other end open any more
            while piece := os.read(ours, 65536):
                drawn += piece
        os.close(ours)
    text = drawn.decode()
    assert process.returncode == 1, text
    assert "submit? [y/N]" in text
    assert "\x1b[?25l" in text and "\x1b[?25h" in text
    assert "█" in text and "job table is over: 3 succeeded, 1 failed" in text


def test_connect_logs_in_by_key_and_by_password(place: Checkout, tmp_path: Path) -> None:
    node = json.loads(place.jobs("nodes", "--json").out.splitlines()[0])["id"]
    done = place.jobs("connect", node, "--run", "id -un; cat /etc/hostname")
    assert done.out.startswith("ssh-")
    assert "is removed" in done.err
    made = json.loads(place.jobs("connect", node, "--password", "--json").out)
    answer = tmp_path / "answer"
    answer.write_text('#!/bin/sh\necho "$PASSWORD_OF_TEST"\n')
    answer.chmod(0o700)
    environment = {
        **os.environ,
        "SSH_ASKPASS": str(answer),
        "SSH_ASKPASS_REQUIRE": "force",
        "PASSWORD_OF_TEST": made["password"],
    }
    login = [*made["command"].split(), "id", "-un"]
    by_password = subprocess.run(login, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert by_password.stdout.strip() == made["user"], by_password.stderr
    place.jobs("connect", node, "--remove", made["user"])
    after = subprocess.run(login, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert after.returncode == 255


def test_images_pools_and_doctor_see_the_real_services(place: Checkout) -> None:
    images = [json.loads(line) for line in place.jobs("images", "--json").out.splitlines()]
    assert {image["repository"] for image in images} == {"docker-worker"}
    assert any(image["pools"] for image in images), "the pool that runs one of them is named"
    assert json.loads(place.jobs("pools", "default", "--json").out)["target_dedicated"] == 2
    assert "bad " not in place.jobs("doctor").out


def test_what_the_local_service_does_not_have_is_told(place: Checkout) -> None:
    assert "fixed size" in place.jobs("pools", "default", "--evaluate", expect=3).err
    assert "no pool is named" in place.jobs("pools", "--nodes", "1", expect=2).err


def test_logs_of_nodes_that_are_gone_come_from_the_container(place: Checkout, job: str) -> None:
    before = place.jobs("logs", job, "ticks").out
    place.jobs("pools", "default", "--nodes", "0", "--yes")
    end = time.monotonic() + 120
    while place.jobs("nodes", "--json").out:
        assert time.monotonic() < end, "the nodes stay"
        time.sleep(1)
    assert place.jobs("logs", job, "ticks", "--follow").out == before
    found = json.loads(place.jobs("logs", job, "ticks", "--json").out)
    assert (found["text"], found["source"]) == (before, f"blob job-hello/{job}/ticks/stdout.txt")
    place.jobs("pools", "default", "--nodes", "2", "--yes")


def test_the_samples_are_valid_here(place: Checkout) -> None:
    names = sorted(str(path.relative_to(SOURCE)) for path in (SOURCE / "jobs" / "samples").glob("*.yaml"))
    assert place.jobs("validate", *names).out.count(": good, ") == len(names)
