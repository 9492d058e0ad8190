"""Task definitions: hardened containers, outputs by the node's identity, and the SDK's own models take them."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
from azure.batch import models

from jobs.errors import UsageError
from jobs.files.expand.sources import expand
from jobs.files.load import load
from jobs.files.model.job import Job, Output, Task
from jobs.plan.definitions import command_line, job_definition, job_id, task_definition
from tests.jobs.fakes import START, outputs

JOB = Job(family="hello")


def define(task: Task, job: Job = JOB, *, acts_on_job: bool = False) -> dict[str, Any]:
    return task_definition(task, job=job, identifier="hello-1", outputs=outputs(), acts_on_job=acts_on_job)


def test_the_default_id_is_family_and_time() -> None:
    assert job_id(JOB, now=START) == "hello-20261123-120000"


def test_a_bad_job_id_is_refused() -> None:
    with pytest.raises(UsageError, match="job id 'a b'"):
        job_id(Job(family="hello", id="a b"), now=START)


def test_every_container_is_hardened_and_sees_only_its_task_folder() -> None:
    settings = define(Task(id="a"))["containerSettings"]
    for option in (
        "--rm",
        "--init",
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--pids-limit 256",
    ):
        assert option in settings["containerRunOptions"]
    assert settings["containerHostBatchBindMounts"] == [{"source": "Task", "isReadOnly": False}]


def test_the_worker_image_is_by_digest_and_others_are_taken_as_they_are() -> None:
    assert define(Task(id="a"))["containerSettings"]["imageName"] == "registry.azurecr.io/docker-worker@sha256:0123"
    assert define(Task(id="a", image="debian:12"))["containerSettings"]["imageName"] == "debian:12"


def test_no_command_keeps_the_images_own() -> None:
    assert define(Task(id="a"))["commandLine"] == ""


def test_a_shell_is_only_there_when_asked_for() -> None:
    definition = define(Task(id="a", shell=True, command='echo "$HOME" && date'))
    assert definition["containerSettings"]["containerRunOptions"].endswith("--entrypoint /bin/sh")
    assert shlex.split(definition["commandLine"]) == ["-c", 'echo "$HOME" && date']
    assert "--entrypoint" not in define(Task(id="a", command=["check"]))["containerSettings"]["containerRunOptions"]


@pytest.mark.parametrize("word", ["", "a b", 'say "x"', "back\\slash", "$HOME", "it's", 'a\\"b', "ünï", "--x=1"])
def test_words_survive_quoting(word: str) -> None:
    assert shlex.split(command_line(["x", word])) == ["x", word]


def test_stdout_and_stderr_always_go_to_the_familys_container_under_job_and_task() -> None:
    wanted = [Output(files="out/*.csv"), Output(files="r.txt", when="success")]
    first, second, third = define(Task(id="a", outputs=wanted))["outputFiles"]
    assert first["filePattern"] == "../std*.txt"
    assert first["uploadOptions"] == {"uploadCondition": "taskcompletion"}
    assert first["destination"]["container"] == {
        "containerUrl": "https://account.blob.core.windows.net/job-hello",
        "path": "hello-1/a",
        "identityReference": {"resourceId": "/subscriptions/s/identities/node"},
    }
    assert second["destination"]["container"]["path"] == "hello-1/a"  # with wildcards: a folder
    assert third["destination"]["container"]["path"] == "hello-1/a/r.txt"  # without: the blob's name
    assert third["uploadOptions"] == {"uploadCondition": "tasksuccess"}


def test_the_jobs_environment_tells_the_worker_where_sql_is_and_holds_no_secret() -> None:
    job = Job(family="hello", environment={"A": "1"}, max_wall_clock="2h", max_retries=2)  # type: ignore[arg-type]
    definition = job_definition(job, "hello-1", outputs())
    assert {item["name"]: item["value"] for item in definition["commonEnvironmentSettings"]} == {
        "SQL_SERVER": "sql.example,1433",
        "SQL_DATABASE": "app",
        "AZURE_CLIENT_ID": "client",
        "A": "1",
    }
    assert definition["constraints"] == {"maxTaskRetryCount": 2, "maxWallClockTime": "PT7200S"}
    assert definition["poolInfo"] == {"poolId": "default-1a2b"}
    assert "onAllTasksComplete" not in definition


def test_limits_of_a_task_win_over_those_of_the_job() -> None:
    task = Task(id="a", max_wall_clock="30s", max_retries=3, slots=2)  # type: ignore[arg-type]
    definition = define(task, Job(family="hello", max_wall_clock="2h"))  # type: ignore[arg-type]
    assert definition["constraints"] == {"maxTaskRetryCount": 3, "maxWallClockTime": "PT30S"}
    assert definition["requiredSlots"] == 2


def test_an_unknown_family_or_pool_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="known: hello, sql-check"):
        job_definition(Job(family="other"), "x", outputs())
    with pytest.raises(UsageError, match="known: default"):
        job_definition(Job(family="hello", pool="other"), "x", outputs())


def test_without_a_stack_there_is_no_container_and_no_worker_image() -> None:
    task = Task(id="a", image="debian:12")
    assert "outputFiles" not in task_definition(task, job=JOB, identifier="x", outputs=None)
    assert job_definition(JOB, "x", None)["poolInfo"] == {"poolId": "default"}
    with pytest.raises(UsageError, match="there is no stack"):
        task_definition(Task(id="a"), job=JOB, identifier="x", outputs=None)


PREPARED = {"preparation": {"command": ["warm"]}, "release": {"shell": True, "command": "rm -f x"}}


def prepared(**changes: Any) -> Job:
    return Job.model_validate({"family": "hello", "max_wall_clock": "1h", "max_retries": 2, **PREPARED, **changes})


def test_dependencies_are_ids_and_ranges_and_a_row_without_any_has_none() -> None:
    task = Task.model_validate({"id": "c", "depends_on": ["a b", {"range": [1, 9]}]})
    assert define(task)["dependsOn"] == {"taskIds": ["a", "b"], "taskIdRanges": [{"start": 1, "end": 9}]}
    assert "dependsOn" not in define(Task.model_validate({"id": "c", "depends_on": ["", {"range": ["", ""]}]}))
    assert job_definition(JOB, "x", outputs(), uses_dependencies=True)["usesTaskDependencies"] is True


def test_rules_for_exit_codes_are_exit_conditions() -> None:
    rules = [
        {"codes": [65, "70-79"], "dependency_action": "satisfy"},
        {"when": "pre_processing_error", "dependency_action": "block", "job_action": "none"},
        {"codes": [3], "job_action": "none"},
    ]
    task = Task.model_validate({"id": "a", "exit_codes": rules})
    satisfy = {"dependencyAction": "satisfy"}
    assert define(task)["exitConditions"] == {
        "exitCodes": [{"code": 65, "exitOptions": satisfy}],
        "exitCodeRanges": [{"start": 70, "end": 79, "exitOptions": satisfy}],
        "preProcessingError": {"dependencyAction": "block"},
    }
    assert "onTaskFailure" not in job_definition(JOB, "x", outputs())


def test_in_a_job_with_an_action_every_other_failure_is_told_to_do_nothing() -> None:
    rule = {"codes": [3], "job_action": "terminate"}
    task = Task.model_validate({"id": "a", "exit_codes": [rule, {"when": "default", "dependency_action": "satisfy"}]})
    assert define(task, acts_on_job=True)["exitConditions"] == {
        "default": {"jobAction": "none", "dependencyAction": "satisfy"},
        "exitCodes": [{"code": 3, "exitOptions": {"jobAction": "terminate"}}],
    }
    assert define(Task(id="b"), acts_on_job=True)["exitConditions"] == {"default": {"jobAction": "none"}}
    definition = job_definition(JOB, "x", outputs(), acts_on_job=True)
    assert definition["onTaskFailure"] == "performexitoptionsjobaction"


def test_the_preparation_is_hardened_and_has_the_jobs_limits() -> None:
    preparation = job_definition(prepared(), "x", outputs())["jobPreparationTask"]
    assert preparation["commandLine"] == "warm"
    assert preparation["containerSettings"] == define(Task(id="a"))["containerSettings"]
    assert preparation["constraints"] == {"maxTaskRetryCount": 2, "maxWallClockTime": "PT3600S"}
    assert preparation["waitForSuccess"] is True
    own = {"command": ["warm"], "max_retries": 0, "max_wall_clock": "5m", "wait_for_success": False}
    preparation = job_definition(prepared(preparation=own), "x", outputs())["jobPreparationTask"]
    assert preparation["constraints"] == {"maxTaskRetryCount": 0, "maxWallClockTime": "PT300S"}
    assert preparation["waitForSuccess"] is False


def test_the_release_ends_in_time_and_may_change_what_was_prepared() -> None:
    release = job_definition(prepared(), "x", outputs())["jobReleaseTask"]
    assert release["maxWallClockTime"] == "PT900S"
    assert release["containerSettings"]["containerHostBatchBindMounts"][1:] == [
        {"source": "JobPrep", "isReadOnly": False}
    ]
    assert release["commandLine"] == '-c "rm -f x"'


def test_tasks_read_what_was_prepared_and_cannot_change_it() -> None:
    mounts = define(Task(id="a"), prepared())["containerSettings"]["containerHostBatchBindMounts"]
    assert mounts == [{"source": "Task", "isReadOnly": False}, {"source": "JobPrep", "isReadOnly": True}]


@pytest.mark.parametrize("name", ["hello.yaml", "steps.yaml"])
def test_the_sdks_models_know_every_property(tmp_path: Path, name: str) -> None:
    """A wire name the models do not know would be sent, and refused by the service."""
    file = load(Path(__file__).parents[3] / "jobs" / "samples" / name)
    job = file.job if file.job.preparation is None else prepared()
    definition = job_definition(job, "hello-1", outputs(), uses_dependencies=True, acts_on_job=True)
    assert unknown(models.BatchJobCreateOptions, definition) == []
    for task in expand(file, job_id="hello-1", folder=tmp_path):
        assert unknown(models.BatchTaskCreateOptions, define(task, file.job, acts_on_job=file.acts_on_job)) == []


def unknown(model: Any, wire: dict[str, Any], place: str = "") -> list[str]:
    """Properties of `wire` that the SDK's model, or the models below it, do not have."""
    probe = model(wire)
    fields = {getattr(field, "_rest_name", name): name for name, field in model._attr_to_rest_field.items()}
    found = [f"{place}{name}" for name in wire if name not in fields]
    for name, value in wire.items():
        typed = getattr(probe, fields[name], None) if name in fields else None
        for item, plain in zip(
            typed if isinstance(typed, list) else [typed], value if isinstance(value, list) else [value], strict=False
        ):
            if isinstance(plain, dict) and hasattr(type(item), "_attr_to_rest_field"):
                found += unknown(type(item), plain, f"{place}{name}.")
    return found
