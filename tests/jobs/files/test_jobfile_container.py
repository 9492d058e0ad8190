"""`container`: what programs need of a container, as docker's options; the failure says which key gives more."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import JobFileError
from jobs.files.load import load
from jobs.files.model.container import Container
from jobs.files.model.job import Job, Task
from jobs.plan.definitions import RUN_OPTIONS, job_definition, run_options, task_definition
from jobs.state import failure_texts
from tests.jobs.fakes import outputs

HEAD = "job: {family: hello}\ntasks:\n  list:\n    - id: a\n      container: "


def container(tmp_path: Path, text: str) -> Container:
    path = tmp_path / "job.yaml"
    path.write_text(HEAD + text)
    return load(path).tasks.definitions[0].container


def test_without_a_word_a_container_gets_the_safe_defaults() -> None:
    assert run_options(Container()) == RUN_OPTIONS
    assert shlex.split(RUN_OPTIONS) == [
        "--rm", "--init", "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL",
        "--security-opt", "no-new-privileges", "--pids-limit", "256",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("{shm_size: 2G}", ["--shm-size 2g"]),
        ("{pids_limit: 4096}", ["--pids-limit 4096"]),
        ("{tmp_exec: true}", ["--tmpfs /tmp:exec "]),
        ("{tmp_size: 512m}", ["--tmpfs /tmp:size=512m "]),
        ("{tmp_exec: true, tmp_size: 512m}", ["--tmpfs /tmp:exec,size=512m "]),
        ("{writable: [/var/tmp, /root/.cache]}", ["--read-only", "--tmpfs /var/tmp ", "--tmpfs /root/.cache "]),
        ("{ulimits: {nofile: 65536, memlock: -1, stack: 8192:16384}}", [
            "--ulimit nofile=65536", "--ulimit memlock=-1", "--ulimit stack=8192:16384"]),
    ],
)  # fmt: skip
def test_each_key_is_an_option_of_the_container_and_takes_no_other_protection_away(
    tmp_path: Path, text: str, changed: list[str]
) -> None:
    options = run_options(container(tmp_path, text))
    assert all(one in options for one in changed)
    for kept in ("--rm --init --read-only ", "--cap-drop ALL", "--security-opt no-new-privileges"):
        assert kept in options


def test_the_whole_file_system_is_writable_only_when_asked_for_by_its_name(tmp_path: Path) -> None:
    options = run_options(container(tmp_path, '{writable: ["/", /data]}'))
    assert "--read-only" not in options
    assert "--tmpfs /data" in options
    assert "--cap-drop ALL" in options


def settings(**changes: Any) -> dict[str, Any]:
    task = Task(id="a", container=Container(**changes))
    return task_definition(task, job=Job(family="hello"), identifier="j", outputs=outputs())["containerSettings"]


def test_the_working_directory_may_be_the_images() -> None:
    assert settings(working_dir="image")["workingDirectory"] == "containerImageDefault"
    assert "workingDirectory" not in settings()


def test_a_preparation_and_a_release_have_containers_of_their_own() -> None:
    parts = {name: {"command": ["x"], "container": {"pids_limit": 9}} for name in ("preparation", "release")}
    definition = job_definition(Job.model_validate({"family": "hello", **parts}), "j", outputs())
    for name in ("jobPreparationTask", "jobReleaseTask"):
        assert "--pids-limit 9" in definition[name]["containerSettings"]["containerRunOptions"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{shm_size: 64}", "shm_size: expected a size like 64m or 2g, got 64"),
        ("{shm_size: 0m}", "shm_size: expected a size like 64m or 2g"),
        ("{shm_size: '1g --privileged'}", "shm_size: expected a size like 64m or 2g"),
        ("{pids_limit: -1}", "pids_limit: expected 1 or more, got -1"),
        ("{pids_limit: many}", "pids_limit: expected a whole number, got 'many'"),
        ("{tmp_exec: maybe}", "tmp_exec: expected true or false, got 'maybe'"),
        ("{working_dir: /data}", "working_dir: expected 'task' or 'image', got '/data'"),
        ("{writable: [var/tmp]}", "writable.0: expected an absolute path like /var/tmp"),
        ("{writable: ['/var/tmp --privileged']}", "writable.0: expected an absolute path like /var/tmp"),
        ("{writable: ['/x:exec']}", "writable.0: expected an absolute path like /var/tmp"),
        ("{writable: [/a/../proc]}", "writable.0: expected an absolute path like /var/tmp"),
        ("{writable: [/proc/sys]}", "writable.0: /proc/sys is the kernel's; name a folder of the image"),
        ("{writable: [/tmp]}", "writable.0: /tmp is writable already; tmp_size and tmp_exec change it"),
        ("{writable: [/a, /a]}", "writable names /a twice; remove one"),
        ("{ulimits: {files: 1}}", "ulimits.files: expected 'core', 'cpu'"),
        ("{ulimits: {nofile: x}}", "ulimits.nofile: expected a whole number, or two like 1024:65536"),
        ("{ulimits: {nofile: 2:1}}", "ulimits.nofile: expected the soft limit not above the hard one, got '2:1'"),
        ("{shm: 1g}", "shm: unknown key; did you mean 'shm_size'?"),
        ("{privileged: true}", "privileged: unknown key; known here: shm_size, pids_limit, tmp_exec, tmp_size"),
    ],
)
def test_what_is_no_limit_is_refused_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(JobFileError) as caught:
        container(tmp_path, text)
    assert caught.value.problems[0].startswith(f"{tmp_path}/job.yaml:5: tasks.list.0.container")
    assert told in caught.value.problems[0]


@pytest.mark.parametrize(
    ("exit_code", "output", "key"),
    [
        (1, "OSError: [Errno 28] No space left on device: '/dev/shm/torch_1'", "container.shm_size"),
        (135, "Bus error (core dumped)", "container.shm_size"),
        (1, "RuntimeError: can't start new thread", "container.pids_limit"),
        (2, "sh: 1: Cannot fork", "container.pids_limit"),
        (126, "sh: 1: /tmp/x.sh: Permission denied", "container.tmp_exec"),
        (1, "ImportError: /tmp/a.so: failed to map segment from shared object", "container.tmp_exec"),
        (1, "touch: cannot touch '/var/tmp/y': Read-only file system", "container.writable"),
        (1, "OSError: [Errno 24] Too many open files: 'x'", "container.ulimits.nofile"),
        (1, "write /tmp/a: No space left on device", "container.tmp_size"),
        (126, "", "container.tmp_exec"),
    ],
)
def test_a_failure_says_which_key_may_help(exit_code: int, output: str, key: str) -> None:
    (line,) = failure_texts.container_needs(exit_code, output)
    assert key in line


def test_a_failure_of_another_kind_names_no_key() -> None:
    assert failure_texts.container_needs(1, "ValueError: bad input") == []
