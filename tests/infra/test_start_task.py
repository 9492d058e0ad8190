"""The start task's command line survives a start without a shell, and is a shell script all the same."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from infra import start_task

ADMIN = start_task.steps(users=True, own={})
PLAIN = start_task.steps(users=False, own={"jq": "echo own step ran", "more": "echo a; echo b"})


def test_the_command_line_is_whole_arguments_for_a_program_that_splits_like_batch() -> None:
    words = shlex.split(start_task.command_line(ADMIN, "batchadmin"))
    assert words[:3] == ["/usr/bin/timeout", "--kill-after=30", "900"]
    assert words[3:5] == ["/bin/sh", "-c"]
    assert words[6:] == ["start-task", "batchadmin"]
    assert "\n" not in words[5]
    assert len(words[5]) < 120  # the steps are not in it


def test_steps_come_in_order_and_users_and_own_ones_only_where_they_are_wanted() -> None:
    assert [step.name for step in ADMIN] == ["begin", "docker", "admin", "done"]
    assert [step.name for step in PLAIN] == ["begin", "docker", "jq", "more", "done"]


@pytest.mark.parametrize("step", ADMIN, ids=lambda step: step.name)
def test_each_step_is_what_a_shell_can_read_and_far_below_the_limit(step: start_task.Step) -> None:
    subprocess.run(["sh", "-n", "-c", step.script], check=True)
    assert "\n" not in step.script
    assert len(step.script) < start_task.MAX_STEP_LENGTH / 8


def test_every_statement_of_the_file_is_in_a_step_in_order() -> None:
    lines = [line for line in start_task.SCRIPT.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) > 20
    assert "; ".join(step.script for step in ADMIN) == "; ".join(lines)


@pytest.mark.parametrize("statement", ["true # why", "cat <<EOF"])
def test_statements_that_would_not_survive_one_line_are_refused(statement: str) -> None:
    with pytest.raises(ValueError, match="cannot be used in a statement"):
        start_task.one_line(statement)


@pytest.mark.parametrize("statement", ["echo 'it is quoted'", "printf 'a\\tb'"])
def test_quotes_and_backslashes_reach_the_shell(statement: str) -> None:
    assert start_task.own_step("mine", statement).script == statement


@pytest.mark.parametrize(
    ("name", "script", "words"),
    [
        ("docker", "true", "one of the platform's own steps"),
        ("Jq", "true", "no name of a step"),
        ("a-b", "true", "no name of a step"),
        ("jq", "", "has 0 characters"),
        ("jq", "for i in 1 2; do", "has to be a whole statement"),
        ("jq", ": " + "x" * 8000, "it needs 1 to 8000"),
    ],
)
def test_an_own_step_needs_a_name_of_its_own_and_whole_statements(name: str, script: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        start_task.own_step(name, script)


REFUSED = {
    "a loop over lines": "for i in 1 2; do\n echo $i\ndone\n",
    "a while over lines": "while false\ndo\n true\ndone\n",
    "a function over lines": "f() {\n echo x\n}\nf\n",
    "a case over lines": "case x in\n x) echo y;;\nesac\n",
    "an if over lines": "if true\nthen echo hi\nfi\n",
    "an alternative on the next line": "true ||\necho z\n",
    "a pipe on the next line": "echo a |\ncat\n",
    "a background job before another": "echo a &\necho b\n",
    "a here-document": "cat <<EOF\nhi\nEOF\necho after\n",
    "a here-document with a dash": "cat <<-EOF\n\thi\n\tEOF\n",
    "a string over lines": 'echo "a\nb"\n',
    "a substitution over lines": "echo $(\necho a\n)\n",
    "a subshell over lines": "(\necho a\n)\n",
    "a continued line": "echo a \\\n b\n",
    "a comment without a space": "echo a;# why\necho b\n",
    "a comment behind a tab": "echo a\t# why\necho b\n",
    "an alias": "alias ll=ls\nll\n",
    "a lone carriage return": "echo a\recho b\n",
    "a line separator of Unicode": "echo a\u2028echo b\n",
    "a NUL": "echo a\0b\n",
    "a bracket too many": "echo a )\n",
    "an unclosed string": 'echo "a\n',
    "an empty statement": ";\necho a\n",
}


@pytest.mark.parametrize("script", REFUSED.values(), ids=REFUSED)
def test_what_would_be_another_script_on_the_node_is_refused(script: str) -> None:
    with pytest.raises(ValueError, match=r"start_task\.sh: .*\S"):
        start_task.one_line(script)


def test_the_refusal_shows_the_line_and_how_to_write_it() -> None:
    with pytest.raises(ValueError, match=r"this is none: for i in 1 2; do\n .*write it on one line"):
        start_task.one_line("echo first\nfor i in 1 2; do\n echo $i\ndone\n")


ACCEPTED = {
    "loops on one line": "for i in 1 2; do echo $i; done\nwhile false; do true; done\necho end\n",
    "a function on one line": "f() { echo $1; }\nf x\nf y\n",
    "a case on one line": "case x in x) echo y;; *) echo n;; esac\necho end\n",
    "a background job in braces": "{ sleep 0 & }\nwait\necho b\n",
    "a background job at the end": "echo a\ntrue &\n",
    "lines of Windows": "echo a\r\necho b\r\n",
    "comments and blank lines of their own": "# why\n\n  echo a\n\t# more\n\techo b\n",
    "a hash inside a word": "echo a#b ${x#y}\necho c\n",
    "set -e and a failure": "set -eu\nfalse || echo saved\n[ 1 -eq 1 ] && echo yes\n",
    "no statement at all": "# nothing\n",
}


@pytest.mark.parametrize("script", ACCEPTED.values(), ids=ACCEPTED)
def test_what_is_accepted_does_the_same_in_one_line(script: str) -> None:
    def output(text: str) -> str:
        return subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True).stdout

    line = start_task.one_line(script)
    assert "\n" not in line
    assert output(line) == output(script.replace("\r\n", "\n"))


@pytest.mark.parametrize("admin", ["", "two words", "a'b", "Upper", "x" * 21, "$(id)"])
def test_a_user_name_that_is_more_than_a_name_is_refused(admin: str) -> None:
    with pytest.raises(ValueError, match="no Linux user name"):
        start_task.command_line(ADMIN, admin)


def run_with(
    tmp_path, steps=ADMIN, admin: str | None = "batchadmin", **commands: str
) -> subprocess.CompletedProcess[str]:
    """Run the real command line with stand-ins for the programs it uses."""
    answers = {
        "docker": "echo 20.10",
        "id": 'case "$1" in -u) echo 0;; -nG) echo batchadmin docker;; -un) echo root;; *) echo uid;; esac',
        "getent": "true",
        "chgrp": "true",
        "usermod": "true",
        "groupadd": "true",
        "sudo": "true",
        "systemctl": "false",
        "service": "false",
        "sleep": "true",
        "uptime": "echo up 3 min",
        "free": "echo free memory",
        **commands,
    }
    for name, body in answers.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "AZ_BATCH_NODE_ID": "tvm-1"}
    environment |= {step.variable: step.script for step in steps}
    line = start_task.command_line(steps, admin)
    return subprocess.run(shlex.split(line), env=environment, capture_output=True, text=True)


def test_success_says_who_may_run_docker(tmp_path) -> None:
    done = run_with(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "start task on node tvm-1 as root" in done.stdout
    assert "user batchadmin runs docker without sudo; its groups: batchadmin docker" in done.stdout
    assert "s: begin docker admin done" in done.stdout


def test_own_steps_run_after_the_platforms_in_a_pool_without_users(tmp_path) -> None:
    done = run_with(tmp_path, steps=PLAIN, admin=None)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if "own step" in line or line in "ab"] == [
        "own step ran",
        "a",
        "b",
    ]
    assert "for user" not in done.stdout


def test_a_failure_leaves_evidence_of_the_node_in_stderr(tmp_path) -> None:
    steps = start_task.steps(users=False, own={"jq": "false", "more": "echo never"})
    done = run_with(tmp_path, steps=steps, admin=None)
    assert done.returncode == 1
    assert "start task: step jq ended with exit code 1" in done.stderr
    assert {"$ uptime", "up 3 min", "$ df -h", "$ docker info"} <= set(done.stderr.splitlines())
    assert "never" not in done.stdout


def test_a_step_that_hangs_is_ended_with_evidence(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_task, "SECONDS", 0.3)
    steps = start_task.steps(users=False, own={"hang": "/bin/sleep 20"})
    done = run_with(tmp_path, steps=steps, admin=None)
    assert done.returncode == 124
    assert "start task: step hang ended with exit code 124" in done.stderr


@pytest.mark.parametrize(
    ("broken", "evidence"),
    [
        ({"docker": "exit 1"}, "the docker daemon does not answer after 60 s"),
        ({"sudo": "exit 1"}, "is in group docker, but cannot run docker"),
        ({"id": 'case "$1" in -u) echo 0;; -nG) echo batchadmin;; *) echo root;; esac'}, "is not in group docker"),
        ({"id": 'case "$1" in -u) echo 0;; -un) echo root;; *) exit 1;; esac'}, "user batchadmin does not exist"),
        ({"id": 'case "$1" in -u) echo 1000;; *) echo me;; esac', "sudo": "exit 1"}, "neither root nor sudo"),
        ({"usermod": "echo usermod: locked >&2; exit 1"}, "usermod: locked"),
    ],
)
def test_each_failure_is_loud_and_says_what_is_wrong(tmp_path, broken: dict[str, str], evidence: str) -> None:
    done = run_with(tmp_path, **broken)
    assert done.returncode != 0
    assert evidence in done.stderr
