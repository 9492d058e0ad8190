"""Job file + stack outputs -> definitions of jobs, tasks and schedules as the Batch data plane takes them.

Nothing is sent. Wire names are those of the data plane 2025-06-01 (azure-batch 15.1.0 models).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from ..errors import UsageError
from ..files.checks.dependencies import parents
from ..files.expand.placeholders import fill
from ..files.model import patterns
from ..files.model.container import ROOT, Container
from ..files.model.exit_codes import ExitRule
from ..files.model.fields import ID
from ..files.model.job import RELEASE_LIMIT, Job, Program, Task
from ..files.model.schedule import Schedule
from ..service.connection import Outputs

# Without this Batch mounts the whole node root read-write into every container (batch-container-isolation-task).
BIND_MOUNTS: Final = ({"source": "Task", "isReadOnly": False},)
# What the job's preparation left on the node, for its tasks to read.
PREPARED_MOUNT: Final = {"source": "JobPrep", "isReadOnly": True}
WAYS_TO_END: Final = {
    "default": "default",
    "pre_processing_error": "preProcessingError",
    "file_upload_error": "fileUploadError",
}
CONDITIONS: Final = {"success": "tasksuccess", "failure": "taskfailure", "always": "taskcompletion"}
WORKER: Final = "worker"
# What the worker reads (worker/docker_worker/settings.py). None is a secret.
SQL_SERVER, SQL_DATABASE, CLIENT_ID = "SQL_SERVER", "SQL_DATABASE", "AZURE_CLIENT_ID"

OF_SCHEDULED_JOBS: Final = (
    "priority",
    "maxParallelTasks",
    "constraints",
    "poolInfo",
    "commonEnvironmentSettings",
    "metadata",
    "jobPreparationTask",
    "jobReleaseTask",
)

Wire = Mapping[str, Any]
_PLAIN: Final = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


def run_options(container: Container) -> str:
    """The `docker create` options of a task's container, which is what Batch documents containerRunOptions to be.

    No capabilities, no way to gain any, no root file system to write to, and init as PID 1, which passes signals on and
    reaps. What a job file's `container` says is put in.
    """
    tmp = "/tmp:exec" if container.tmp_exec else "/tmp"  # noqa: S108 - in the container
    if container.tmp_size is not None:
        tmp += f"{',' if ':' in tmp else ':'}size={container.tmp_size}"
    options = ["--rm", "--init"]
    if ROOT not in container.writable:
        options.append("--read-only")
    for place in (tmp, *(place for place in container.writable if place != ROOT)):
        options += ["--tmpfs", place]
    options += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--pids-limit", str(container.pids_limit)]
    if container.shm_size is not None:
        options += ["--shm-size", container.shm_size]
    for name, limit in container.ulimits.items():
        options += ["--ulimit", f"{name}={limit}"]
    return " ".join(options)


RUN_OPTIONS: Final = run_options(Container())


def job_id(job: Job, *, now: datetime) -> str:
    """The job's id with its placeholders filled."""
    result = fill(job.id, {"family": job.family, "time": now.strftime("%Y%m%d-%H%M%S")})
    if not ID.fullmatch(result):
        raise UsageError(
            f"job id {result!r}: expected 1 to 64 letters, digits, '-' and '_'",
            next_step="change job.id or use --job-id",
        )
    return result


def container_of(job: Job, outputs: Outputs | None) -> str | None:
    """The blob container of the job's family. Without a stack there is none, and outputs stay on the node."""
    if outputs is None:
        return None
    if job.family not in outputs.job_containers:
        known = ", ".join(sorted(outputs.job_containers)) or "none"
        raise UsageError(
            f"job.family {job.family!r} has no container in this stack (known: {known})",
            next_step="add it to the stack's job families and run up",
        )
    return outputs.job_containers[job.family]


def pool_of(job: Job, outputs: Outputs | None) -> str:
    """The pool's id. The file names it as the stack does; without a stack it is the id itself."""
    if outputs is None:
        return job.pool
    if job.pool not in outputs.pools:
        known = ", ".join(sorted(outputs.pools)) or "none"
        raise UsageError(
            f"job.pool {job.pool!r} is not a pool of this stack (known: {known})", next_step="correct job.pool"
        )
    return outputs.pools[job.pool]


def job_definition(
    job: Job,
    identifier: str,
    outputs: Outputs | None,
    *,
    uses_dependencies: bool = False,
    acts_on_job: bool = False,
    resources: Mapping[str, Sequence[Wire]] | None = None,
) -> dict[str, Any]:
    """The job, without `onAllTasksComplete`: an empty job counts as complete, so that is set after the last task.

    `uses_dependencies`: some task depends on others. `acts_on_job`: some rule for exit codes has an action on the job.
    `resources`: the resource files of `preparation` and `release`.
    """
    resources = resources or {}
    environment: dict[str, str] = {}
    if outputs is not None:
        if outputs.sql_server:
            environment |= {SQL_SERVER: outputs.sql_server, SQL_DATABASE: outputs.sql_database}
        if outputs.identity_client_id:
            environment[CLIENT_ID] = outputs.identity_client_id
    constraints: dict[str, Any] = {"maxTaskRetryCount": job.max_retries}
    if job.max_wall_clock is not None:
        constraints["maxWallClockTime"] = iso(job.max_wall_clock)
    optional: dict[str, Any] = {"priority": job.priority} if job.priority else {}
    if job.max_parallel is not None:
        optional["maxParallelTasks"] = job.max_parallel
    if uses_dependencies:
        optional["usesTaskDependencies"] = True
    if acts_on_job:
        optional["onTaskFailure"] = "performexitoptionsjobaction"
    if job.preparation is not None:
        optional["jobPreparationTask"] = _preparation(job, outputs) | _resource_files(resources.get("preparation"))
    if job.release is not None:
        optional["jobReleaseTask"] = _release(job, outputs) | _resource_files(resources.get("release"))
    container = container_of(job, outputs)
    metadata = {"family": job.family, **({"container": container} if container else {})}
    return {
        "id": identifier,
        "poolInfo": {"poolId": pool_of(job, outputs)},
        "constraints": constraints,
        **optional,
        "commonEnvironmentSettings": _pairs(environment | job.environment),
        "metadata": _pairs(metadata),
    }


def _resource_files(found: Sequence[Wire] | None) -> dict[str, Any]:
    return {"resourceFiles": [dict(one) for one in found]} if found else {}


def _preparation(job: Job, outputs: Outputs | None) -> dict[str, Any]:
    """It has no output files (azure-batch 15.1 `BatchJobPreparationTask`): what it wrote is on its node."""
    task = job.preparation
    assert task is not None
    retries = job.max_retries if task.max_retries is None else task.max_retries
    constraints: dict[str, Any] = {"maxTaskRetryCount": retries}
    if (limit := task.max_wall_clock or job.max_wall_clock) is not None:
        constraints["maxWallClockTime"] = iso(limit)
    if job.retention is not None:
        constraints["retentionTime"] = iso(job.retention)
    return {
        **_program(task, outputs, BIND_MOUNTS),
        "constraints": constraints,
        "waitForSuccess": task.wait_for_success,
    }


def _release(job: Job, outputs: Outputs | None) -> dict[str, Any]:
    """It may change what the preparation left: undoing that is what it is for."""
    task = job.release
    assert task is not None
    limit = task.max_wall_clock or min(job.max_wall_clock or RELEASE_LIMIT, RELEASE_LIMIT)
    kept = {} if job.retention is None else {"retentionTime": iso(job.retention)}
    mounts = (*BIND_MOUNTS, {**PREPARED_MOUNT, "isReadOnly": False})
    return {**_program(task, outputs, mounts), "maxWallClockTime": iso(limit), **kept}


def _program(program: Program, outputs: Outputs | None, mounts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Command line, container and own environment of whatever runs in a container."""
    options, command = run_options(program.container), program.command
    if program.shell:
        assert isinstance(command, str)
        options, command = f"{options} --entrypoint /bin/sh", ["-c", command]
    elif program.entrypoint is not None:
        options = f"{options} --entrypoint {quote(program.entrypoint)}"
    assert not isinstance(command, str)
    definition: dict[str, Any] = {
        "commandLine": command_line(command),
        "containerSettings": {
            "imageName": image(program.image, outputs),
            "containerRunOptions": options,
            "containerHostBatchBindMounts": [dict(mount) for mount in mounts],
        },
    }
    if program.container.working_dir == "image":
        definition["containerSettings"]["workingDirectory"] = "containerImageDefault"
    if program.environment:
        definition["environmentSettings"] = _pairs(program.environment)
    return definition


def task_definition(
    task: Task,
    *,
    job: Job,
    identifier: str,
    outputs: Outputs | None,
    acts_on_job: bool = False,
    resources: Sequence[Wire] = (),
) -> dict[str, Any]:
    """One task. Its wall clock is its own, or the job's. `acts_on_job` is of the job, as in `job_definition`.

    `resources`: its resource files (`resource_files.py`).
    """
    mounts = BIND_MOUNTS if job.preparation is None else (*BIND_MOUNTS, PREPARED_MOUNT)
    definition = {"id": task.id, **_program(task, outputs, mounts), **_resource_files(resources)}
    constraints: dict[str, Any] = {}
    if task.max_retries is not None:
        constraints["maxTaskRetryCount"] = task.max_retries
    if (limit := task.max_wall_clock or job.max_wall_clock) is not None:
        constraints["maxWallClockTime"] = iso(limit)
    if (kept := task.retention or job.retention) is not None:
        constraints["retentionTime"] = iso(kept)
    if constraints:
        definition["constraints"] = constraints
    if task.slots != 1:
        definition["requiredSlots"] = task.slots
    if task.depends_on:
        definition |= _depends_on(task)
    if task.exit_codes or acts_on_job:
        definition["exitConditions"] = _exit_conditions(task.exit_codes, acts_on_job)
    if (container := container_of(job, outputs)) is not None:
        assert outputs is not None
        definition["outputFiles"] = _output_files(task, job, identifier, container, outputs)
    elif task.outputs:
        raise UsageError(
            f"task {task.id!r} has outputs, but without a stack there is no container for them", next_step="use --stack"
        )
    return definition


def _depends_on(task: Task) -> dict[str, Any]:
    """Nothing for a row whose placeholders gave no parent."""
    ids, spans = parents(task)
    found: dict[str, Any] = {"taskIds": ids} if ids else {}
    if spans:
        found["taskIdRanges"] = [{"start": first, "end": last} for first, last in spans]
    return {"dependsOn": found} if found else {}


def _exit_conditions(rules: Sequence[ExitRule], acts_on_job: bool) -> dict[str, Any]:
    """In a job that acts, the service's default for a failure is to terminate the job (azure-batch 15.1,
    `ExitOptions.job_action`; Azure/Batch#55): so `none` is said wherever no rule says otherwise."""
    found: dict[str, Any] = {"default": {"jobAction": "none"}} if acts_on_job else {}
    for rule in rules:
        actions = {"jobAction": rule.job_action or "none"} if acts_on_job else {}
        if rule.dependency_action is not None:
            actions["dependencyAction"] = rule.dependency_action
        if not actions:  # `job_action: none` where nothing acts on the job
            continue
        if rule.when is not None:
            found[WAYS_TO_END[rule.when]] = actions
        for first, last in rule.codes or ():
            if first == last:
                found.setdefault("exitCodes", []).append({"code": first, "exitOptions": actions})
            else:
                found.setdefault("exitCodeRanges", []).append({"start": first, "end": last, "exitOptions": actions})
    return found


def image(reference: str, outputs: Outputs | None) -> str:
    """`worker` is the stack's worker image by digest; any other reference is taken as it is."""
    if reference != WORKER:
        return reference
    if outputs is None or not outputs.worker_image:
        raise UsageError(
            "`image: worker` is the stack's worker image, and there is no stack",
            next_step="use --stack, or name an image",
        )
    return outputs.worker_image


def command_line(words: list[str]) -> str:
    """Words as Batch's command line, which no shell reads. Empty: the image's own entrypoint and command."""
    return " ".join(quote(word) for word in words)


def quote(word: str) -> str:
    """Double quotes, as in Batch's documentation (/bin/sh -c "..."), with `"` and `\\` escaped; `$` stays as it is."""
    if _PLAIN.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def iso(span: timedelta) -> str:
    """A time span in ISO 8601, as the service takes it."""
    return f"PT{int(span.total_seconds())}S"


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items()]


def _output_files(task: Task, job: Job, identifier: str, container: str, outputs: Outputs) -> list[dict[str, Any]]:
    """stdout and stderr always, then the file's patterns; uploaded by the node's identity, so no SAS is anywhere."""
    wanted = [(patterns.LOGS, "always"), *((patterns.sent(output.files), output.when) for output in task.outputs)]
    identity = (
        {"identityReference": {"resourceId": outputs.identity_resource_id}} if outputs.identity_resource_id else {}
    )
    values = {**job.environment, **task.environment, **patterns.of_task(identifier, task.id)}
    return [
        {
            "filePattern": pattern,
            "destination": {
                "container": {
                    "containerUrl": f"{outputs.blob_endpoint.rstrip('/')}/{container}",
                    "path": patterns.blob_path(f"{identifier}/{task.id}", pattern, values),
                    **identity,
                }
            },
            "uploadOptions": {"uploadCondition": CONDITIONS[when]},
        }
        for pattern, when in wanted
    ]


def schedule_definition(schedule: Schedule, job: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
    """The job schedule of a file with `schedule`, from the definitions of its job and its task. It has the job's id.

    Batch makes the jobs, so nobody is there who could add tasks to them: the file's one task is each job's *job manager
    task*, and the job ends with it (azure-batch 15.1, `BatchJobManagerTask.kill_job_on_completion`). Its output files
    have one path for all jobs, because Batch puts no variables into blobs' names: each job replaces what the one before
    left.
    """
    times: dict[str, str] = {}
    for name, instant in (
        ("doNotRunUntil", schedule.do_not_run_until),
        ("doNotRunAfter", schedule.do_not_run_after),
    ):
        if instant is not None:
            times[name] = wire_time(instant)
    for name, span in (("startWindow", schedule.start_window), ("recurrenceInterval", schedule.recurrence_interval)):
        if span is not None:
            times[name] = iso(span)
    manager = {**task, "killJobOnCompletion": True, "runExclusive": False}  # exclusive: alone on its node
    jobs = {name: job[name] for name in OF_SCHEDULED_JOBS if name in job}
    return {"id": job["id"], "schedule": times, "jobSpecification": {**jobs, "jobManagerTask": manager}}


def wire_time(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
