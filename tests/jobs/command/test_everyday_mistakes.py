"""Thirty mistakes that everybody makes once: each gives one message that says what to do, and no traceback."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from jobs.command import cli
from jobs.exits import Exit
from jobs.files import document
from jobs.service.batch import NodeState, TaskState
from tests.jobs.fakes import START, stage

GOOD = "job: {family: hello, id: one}\ntasks: {list: [{id: a}]}\n"
# What is typed -> exit code, and what is said.
MISTAKES: dict[str, tuple[Exit, str]] = {
    # a name typed wrong
    "sumbit good.yaml": (Exit.USAGE, "did you mean 'submit'?"),
    "show nightly7": (Exit.SERVICE, "job nightly7 does not exist\ndid you mean 'nightly-7'?"),
    "show nightly-7 sim-l": (Exit.SERVICE, "task sim-l does not exist\ndid you mean 'sim-"),
    "pools defualt": (Exit.SERVICE, "did you mean 'default"),
    "connect tvm1": (Exit.SERVICE, "did you mean 'tvm-1'?"),
    "list --famly hello": (Exit.USAGE, "did you mean '--family'?"),
    "list --state runing": (Exit.USAGE, "choose from active"),
    "tasks nightly-7 --sort time": (Exit.USAGE, "there are: task, state, node"),
    "help lgos": (Exit.USAGE, "did you mean 'logs'?"),
    # a job file
    "submit good.yml --yes": (Exit.USAGE, "good.yml: cannot be read: No such file or directory\n  next:  give"),
    "submit . --yes": (Exit.USAGE, "cannot be read: Is a directory"),
    "submit typo.yaml --yes": (Exit.USAGE, "typo.yaml:1: job.famly: unknown key; did you mean 'family'?"),
    "submit tabs.yaml --yes": (Exit.USAGE, "tabs.yaml:2:"),
    "submit image.png --yes": (Exit.USAGE, "image.png:1: byte 0x89 is not UTF-8"),
    "submit pool.yaml --yes": (Exit.USAGE, "job.pool 'big' is not a pool of this stack (known: default)"),
    "submit family.yaml --yes": (Exit.USAGE, "has no container in this stack (known: hello, sql-check)"),
    "submit good.yaml": (Exit.USAGE, "add --yes to go on without a question"),
    "submit good.yaml --yes --job-id 'my job'": (Exit.USAGE, "expected 1 to 64 letters, digits, '-' and '_'"),
    "submit good.yaml --resume": (Exit.USAGE, "nothing to resume"),
    "submit - --yes": (Exit.USAGE, "stdin:1: "),
    # arguments
    "submit": (Exit.USAGE, "the following arguments are required: FILE"),
    "watch nightly-7 --timeout 10min": (Exit.USAGE, "expected a time like 90s, 30m, 2h or 1d12h, got '10min'"),
    "show 'nightly 7'": (Exit.USAGE, "'nightly 7' is no id; ids have 1 to 64 letters"),
    "watch nightly-7 --notify http://example.org": (Exit.USAGE, "neither https nor on this machine"),
    "pools --nodes 3": (Exit.USAGE, "no pool is named\n  next:  name it"),
    "pools default --nodes -1 --yes": (Exit.USAGE, "0 or more nodes"),
    "tasks nightly-7 --json -o yaml": (Exit.USAGE, "--json and -o yaml ask for two forms"),
    # what is not there, or not so
    "retry nightly-7 --task sim-1 --yes": (Exit.USAGE, "is active and did not fail\n  next:  leave it out"),
    "logs nightly-7 sim-1": (Exit.SERVICE, "task sim-1 is active and has no stdout.txt"),
    "collect nightly-7 out": (Exit.SERVICE, "has no files yet\n  cause: tasks upload when they end"),
    "delete nightly-7": (Exit.USAGE, "add --yes"),
    "images push no-such-image:1": (Exit.MACHINE, "docker is not on this machine"),
}  # fmt: skip


def test_there_are_thirty() -> None:
    assert len(MISTAKES) >= 30


@pytest.mark.parametrize("typed", MISTAKES)
def test_an_everyday_mistake_is_told_once_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    import shlex

    scene = stage()
    metadata = [{"name": "container", "value": "job-hello"}, {"name": "family", "value": "hello"}]
    scene.batch.create_job({"id": "nightly-7", "poolInfo": {"poolId": "default-1a2b"}, "metadata": metadata})
    scene.batch.add_collection("nightly-7", [{"id": "sim-0"}, {"id": "sim-1"}])
    scene.batch.set("nightly-7", TaskState(id="sim-1", state="active", changed=START))
    scene.batch.node_list = [NodeState(id="tvm-1", state="idle")]
    for name, content in {
        "good.yaml": GOOD.encode(),
        "typo.yaml": b"job: {famly: hello}\ntasks: {list: [{id: a}]}\n",
        "tabs.yaml": b"job:\n\tfamily: hello\n",
        "image.png": b"\x89PNG\r\n\x1a\n",
        "pool.yaml": GOOD.replace("id: one", "pool: big").encode(),
        "family.yaml": GOOD.replace("hello", "helo").encode(),
    }.items():
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    document._stdin.cache_clear()

    def session(_arguments: object, render: object) -> object:
        scene.session.render = render  # type: ignore[assignment]
        return scene.session

    monkeypatch.setattr(cli, "_session", session)
    before = (list(scene.batch.order), set(scene.batch.definitions))
    code, said = MISTAKES[typed]
    assert cli.main(shlex.split(typed)) == code
    shown = capsys.readouterr()
    assert said in shown.err
    assert "Traceback" not in shown.err and "defect" not in shown.err
    assert shown.err.count("error: ") == 1 or re.search(r"^error: .*:\d+: ", shown.err)
    assert shown.out == ""
    assert (scene.batch.order, set(scene.batch.definitions)) == before
