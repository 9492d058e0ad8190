"""`make up` in order: each step only after the one before it, and the sample job only when something changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.deployment import database, project, tour
from local.paths import Paths
from local.processes import background

OUTPUTS = {"worker_image": "image@sha256:1"}


class Steps:
    """Stands for everything that the tour calls; notes the calls."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.up_code = 0
        self.job_code = 0
        self.nodes_code = 0
        patch.setattr(background, "start", lambda _paths: self.note("start", True))
        patch.setattr(tour, "prepare", lambda _paths: self.note("prepare", None))
        patch.setattr(tour, "repaired_stack", lambda _paths: self.note("settle", None))
        patch.setattr(project, "run", lambda _stack, verb, *_flags: self.note(verb, self.up_code))
        patch.setattr(tour, "command", lambda _stack, verb: [verb])
        patch.setattr(tour, "outputs", lambda _stack: OUTPUTS)
        patch.setattr(database, "provision", lambda _paths, _outputs: self.note("database", None))
        patch.setattr(tour, "jobs", self.jobs)

    def note(self, name: str, result: Any) -> Any:
        self.calls.append(name)
        return result

    def jobs(self, *arguments: str) -> int:
        code = self.nodes_code if arguments == ("pools", "wait") else self.job_code
        return self.note(f"jobs {arguments[0]}", code)


@pytest.fixture
def steps(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


def test_from_nothing_to_the_samples_output(paths: Paths, steps: Steps, capsys: pytest.CaptureFixture[str]) -> None:
    assert tour.run(paths) == 0
    assert steps.calls == ["start", "prepare", "settle", "up", "jobs pools", "database", "jobs submit"]
    printed = capsys.readouterr()
    assert printed.out == ""
    assert (
        printed.err.index("==> local Azure")
        < printed.err.index("==> pulumi up (stack local)")
        < printed.err.index("make destroy")
    )
    assert printed.err.count(": done (") == 6


def test_unchanged_it_shows_the_last_run_again(paths: Paths, steps: Steps) -> None:
    tour.run(paths)
    steps.calls.clear()
    assert tour.run(paths) == 0
    assert steps.calls[-1] == "jobs report"


def test_a_change_of_the_stack_runs_the_sample_again(
    paths: Paths, steps: Steps, monkeypatch: pytest.MonkeyPatch
) -> None:
    tour.run(paths)
    monkeypatch.setitem(OUTPUTS, "worker_image", "image@sha256:2")
    tour.run(paths)
    assert steps.calls[-1] == "jobs submit"


def test_a_failed_deployment_ends_it_with_its_exit_code(paths: Paths, steps: Steps) -> None:
    steps.up_code = 255
    assert tour.run(paths) == 255
    assert steps.calls == ["start", "prepare", "settle", "up"]


def test_nodes_that_do_not_come_end_it_with_the_exit_code_of_the_wait(paths: Paths, steps: Steps) -> None:
    steps.nodes_code = 3
    assert tour.run(paths) == 3
    assert steps.calls == ["start", "prepare", "settle", "up", "jobs pools"]


def test_a_failed_sample_is_run_again_next_time(paths: Paths, steps: Steps) -> None:
    steps.job_code = 1
    assert tour.run(paths) == 1
    steps.job_code = 0
    assert tour.run(paths) == 0
    assert steps.calls.count("jobs submit") == 2


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_damaged_note_of_the_last_run_is_no_last_run(paths: Paths, steps: Steps, text: str) -> None:
    (paths.stack / "last-run.json").write_text(text)
    assert tour.run(paths) == 0
    assert steps.calls[-1] == "jobs submit"


def test_in_a_narrow_terminal_the_cli_prints_a_line_for_each_event(paths: Paths) -> None:
    """Its table has no room there for the columns that change, and looks dead while the image is built."""
    stack = project.Stack("local", paths.stack)
    narrow, wide = (tour.command(stack, "up", columns) for columns in (80, 120))
    assert [word for word in narrow if word not in wide] == ["--non-interactive"]
    assert set(wide) < set(narrow)


@pytest.mark.parametrize("installed", [True, False])
def test_what_to_try_next_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool) -> None:
    script = tmp_path / ".venv" / "bin" / "batch-jobs"
    if installed:
        script.parent.mkdir(parents=True)
        script.touch()
    monkeypatch.setattr(tour, "CHECKOUT", tmp_path)
    lines = tour.next_steps("hello-1").splitlines()
    command = ".venv/bin/batch-jobs" if installed else ".venv/bin/python -m jobs"
    assert any(line.startswith(f"  {command} logs -f hello-1  ") for line in lines)
    assert max(map(len, lines)) <= 120
    assert "local/Pulumi.local.yaml" in lines[-1]
