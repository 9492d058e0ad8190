"""Job schedules: from a file to the service, and the verb that looks after them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.command.parser import parse
from jobs.errors import Conflict, NotFound, UsageError
from jobs.exits import Exit
from jobs.plan.plan import make_plan
from jobs.service.batch import JobState
from jobs.service.schedules import ScheduleState
from jobs.times import span
from jobs.verbs.arguments import batch_id
from tests.jobs.fakes import START, Stage, outputs, stage
from tests.jobs.verbs.submit_verb import run

NIGHTLY = """
job: {family: hello, max_retries: 2, priority: 5}
schedule:
  recurrence_interval: 1d
  do_not_run_until: 2026-12-01T02:00:00+01:00
  start_window: 30m
tasks:
  list: [{id: work, command: [check], outputs: [{files: "*.csv"}]}]
"""


@pytest.fixture
def nightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "nightly.yaml"
    path.write_text(NIGHTLY)
    return path


def verb(scene: Stage, *words: str) -> Exit:
    arguments = parse(["schedules", *words])
    return arguments.run(arguments, scene.session)


def test_the_one_task_is_the_job_manager_with_which_each_job_ends(nightly: Path) -> None:
    plan = make_plan(nightly, outputs(), job_id=None, now=START)
    wire = plan.schedule
    assert wire is not None
    assert wire["id"] == "hello"
    assert wire["schedule"] == {
        "doNotRunUntil": "2026-12-01T01:00:00Z",
        "startWindow": "PT1800S",
        "recurrenceInterval": "PT86400S",
    }
    jobs = wire["jobSpecification"]
    assert jobs["poolInfo"] == {"poolId": "default-1a2b"}
    assert jobs["priority"] == 5
    manager = jobs["jobManagerTask"]
    assert (manager["id"], manager["killJobOnCompletion"], manager["runExclusive"]) == ("work", True, False)
    paths = [one["destination"]["container"]["path"] for one in manager["outputFiles"]]
    assert all(path.startswith("hello/work") for path in paths)


def test_submit_makes_the_schedule_and_no_job(nightly: Path) -> None:
    scene = stage()
    assert run(scene, nightly) == Exit.OK
    assert scene.batch.order == ["create schedule hello"]
    told = scene.err.getvalue()
    assert "job schedule hello: a job every 1 d from 2026-12-01T01:00:00Z; each job has one task" in told
    assert "where each job replaces what the one before left" in told
    assert "next: python -m jobs schedules show hello" in told


def test_a_schedule_that_exists_is_told_with_what_to_do(nightly: Path) -> None:
    scene = stage()
    run(scene, nightly)
    with pytest.raises(Conflict, match=r"exists\n  next:  python -m jobs schedules delete hello"):
        run(scene, nightly)


def test_inputs_of_a_schedule_are_there_before_it(nightly: Path) -> None:
    nightly.write_text(NIGHTLY.replace("command: [check]", "command: [check], inputs: [{file: nightly.yaml}]"))
    scene = stage()
    assert run(scene, nightly) == Exit.OK
    assert len(scene.blobs.written) == 1


def made(scene: Stage) -> None:
    scene.batch.made_schedules["nightly"] = ScheduleState(
        id="nightly",
        state="active",
        pool_id="default-1a2b",
        interval=timedelta(days=1),
        next_run=datetime(2026, 12, 2, 1, tzinfo=UTC),
        recent_job="nightly:job-3",
        created=START,
    )


def test_the_list_says_when_the_next_job_comes() -> None:
    scene = stage()
    made(scene)
    assert verb(scene) == Exit.OK
    assert "2026-12-02 01:00Z" in scene.out.getvalue()
    assert "nightly:job-3" in scene.out.getvalue()
    scene = stage()
    verb(scene)
    assert "there are no job schedules" in scene.err.getvalue()


def test_show_names_the_job_that_was_made_last() -> None:
    scene = stage()
    made(scene)
    verb(scene, "show", "nightly")
    assert "every      1 d" in scene.out.getvalue()
    assert "next: python -m jobs show nightly:job-3" in scene.err.getvalue()


@pytest.mark.parametrize("action", ["disable", "enable", "terminate", "delete"])
def test_each_action_is_one_call_for_each_schedule_that_exists(action: str) -> None:
    scene = stage()
    made(scene)
    assert verb(scene, action, "nightly", "--yes") == Exit.OK
    assert scene.batch.order == [f"{action} schedule nightly"]
    with pytest.raises(NotFound):
        verb(scene, action, "nightly", "other", "--yes")
    assert len(scene.batch.order) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("nightly",), "'nightly' is no action\n  next:  write one of show, .*: schedules show nightly"),
        (("disable",), "no job schedule is named"),
        (("show", "a/b"), "'a/b' is no id"),
    ],
)
def test_what_is_no_action_is_told(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        verb(stage(), *words)


def test_jobs_of_a_schedule_are_named_and_share_their_output() -> None:
    assert batch_id("nightly:job-12") == "nightly:job-12"
    assert JobState(id="nightly:job-12", state="active").folder == "nightly"
    with pytest.raises(Exception, match="is no id"):
        batch_id("nightly:other")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT15M", 900),
        ("PT900S", 900),
        ("P1DT2H", 93600),
        ("PT0.5S", 0.5),
        ("P1W", 604800),
        ("P1M", None),
        ("", None),
        ("P99999999999D", None),
        (None, None),
    ],
)
def test_a_span_of_the_service_is_read_whatever_its_form(text: str | None, seconds: float | None) -> None:
    found = span(text)
    assert (None if found is None else found.total_seconds()) == seconds
