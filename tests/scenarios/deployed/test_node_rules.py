"""How Batch runs commands on a node, each rule shown through the service on a pool without containers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from azure.batch import models
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest
from azure.mgmt.authorization.models import RoleAssignmentCreateParameters

from infra.access.roles import Role
from tests.scenarios.deployed import rules_pool
from tests.scenarios.deployed.rules_pool import ADMIN, MEMBER, USER
from tests.scenarios.deployed.stack import Job, Stack, code_of

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def rules(stack: Stack) -> Iterator[str]:
    """A host pool with one node; its id."""
    pool_id = f"rules-{uuid.uuid4().hex[:8]}"
    rules_pool.create(stack, pool_id, start=rules_pool.START)
    stack.steady(pool_id, 1)
    yield pool_id
    rules_pool.delete(stack, pool_id)


@pytest.fixture(scope="module")
def job(stack: Stack, rules: str) -> Job:
    greeting = models.EnvironmentSetting(name="GREETING", value="hello from the job")
    return stack.job(f"rules-{uuid.uuid4().hex[:8]}", rules, common_environment_settings=[greeting])


def as_user(name: str) -> dict[str, Any]:
    return {"user_identity": models.UserIdentity(username=name)}


def test_date_and_hostname_runs_only_date_with_arguments(job: Job) -> None:
    ended = job.run("date", "date && hostname")
    assert (ended.code, ended.out) == (1, "")
    assert "extra operand" in ended.err or "invalid date" in ended.err
    assert ended.failure.code == "FailureExitCode"


def test_variables_and_patterns_are_not_expanded(job: Job) -> None:
    assert job.run("echo", "echo $AZ_BATCH_TASK_ID ~ *").out == "$AZ_BATCH_TASK_ID ~ *\n"


def test_a_shell_that_is_asked_for_expands_them(job: Job) -> None:
    assert job.run("shell", "/bin/sh -c 'echo $AZ_BATCH_TASK_ID && pwd'").out == (
        f"shell\n/mnt/batch/tasks/workitems/{job.id}/job-1/shell/wd\n"
    )


def test_a_word_that_is_no_program_is_told(job: Job) -> None:
    ended = job.run("builtin", "cd /tmp")
    assert ended.code is None
    assert ended.failure.code == "CommandProgramNotFound"


def test_the_environment_of_the_job_reaches_every_task_and_a_task_may_change_it(job: Job) -> None:
    assert job.run("environment", "printenv GREETING").out == "hello from the job\n"
    own = [models.EnvironmentSetting(name="GREETING", value="my own")]
    assert job.run("own-environment", "printenv GREETING", environment_settings=own).out == "my own\n"


PROBE = (
    "/bin/sh -c 'id -un; sudo -n id -un || echo no sudo; docker version >/dev/null && echo docker || echo no docker'"
)


def test_an_admin_user_has_sudo_and_docker(job: Job) -> None:
    ended = job.run("admin", "/bin/sh -c 'id -un; sudo -n id -un; sudo -n docker ps >/dev/null'", **as_user(ADMIN))
    assert (ended.code, ended.out) == (0, f"{ADMIN}\nroot\n"), ended.err


def test_a_user_in_the_docker_group_runs_docker_without_sudo(job: Job) -> None:
    assert job.run("member", PROBE, **as_user(MEMBER)).out == f"{MEMBER}\nno sudo\ndocker\n"


def test_another_user_has_neither(job: Job) -> None:
    ended = job.run("user", PROBE, **as_user(USER))
    assert ended.out == f"{USER}\nno sudo\nno docker\n"
    assert "permission denied" in ended.err


def test_the_start_tasks_output_is_kept(stack: Stack, rules: str) -> None:
    (node,) = stack.nodes(rules)
    assert node.start_task_info is not None and node.start_task_info.exit_code == 0
    text = b"".join(stack.batch.download_node_file(rules, str(node.id), "startup/stdout.txt")).decode()
    assert text == "started by root\n"


def test_a_failing_start_task_makes_the_node_starttaskfailed_with_evidence(stack: Stack) -> None:
    pool_id = f"failing-{uuid.uuid4().hex[:8]}"
    rules_pool.create(stack, pool_id, start="/bin/sh -c 'echo why >&2; exit 9'")
    try:
        (node,) = stack.steady(pool_id, 1, "starttaskfailed")
        assert node.start_task_info is not None and node.start_task_info.failure_info is not None
        assert (node.start_task_info.exit_code, node.start_task_info.failure_info.code) == (9, "FailureExitCode")
        evidence = b"".join(stack.batch.download_node_file(pool_id, str(node.id), "startup/stderr.txt"))
        assert evidence == b"why\n"
    finally:
        rules_pool.delete(stack, pool_id)


def test_a_task_cannot_be_edited(stack: Stack, job: Job) -> None:
    job.add("later", "/bin/sleep 1000")
    task = job.task("later")
    task.command_line = "/bin/echo other"
    stack.batch.replace_task(job.id, "later", task)  # the SDK sends what can change only: the constraints
    assert job.task("later").command_line == "/bin/sleep 1000"
    raw = HttpRequest(
        "PUT",
        f"/jobs/{job.id}/tasks/later",
        params={"api-version": "2025-06-01"},
        headers={"Content-Type": "application/json; odata=minimalmetadata"},
        json={"commandLine": "/bin/echo other"},
    )
    with pytest.raises(HttpResponseError) as refused:
        stack.batch.send_request(raw)
    assert (refused.value.status_code, code_of(refused.value)) == (400, "InvalidPropertyValue")
    assert job.task("later").command_line == "/bin/sleep 1000"
    stack.batch.terminate_task(job.id, "later")
    assert job.ended("later").failure.code == "TaskEnded"
    with pytest.raises(HttpResponseError) as over:
        stack.batch.replace_task(job.id, "later", job.task("later"))
    assert code_of(over.value) == "TaskCompleted"


def test_files_are_readable_while_the_task_runs(stack: Stack, job: Job) -> None:
    # The program's own proof that it wrote is a file: stdout is looked at once that is there.
    job.add("live", "/bin/sh -c 'echo early; touch written; exec sleep 1000'")
    job.in_state("live", "running")
    stack.until(
        lambda: [str(file.name) for file in stack.batch.list_task_files(job.id, "live", recursive=True)],
        lambda names: "wd/written" in names,
        "written",
    )
    assert job.text("live", "stdout.txt") == "early\n"
    assert job.task("live").state == "running"
    stack.batch.terminate_task(job.id, "live")
    job.ended("live")


def output_to(stack: Stack, container: str) -> list[models.OutputFile]:
    identity = models.BatchNodeIdentityReference(resource_id=stack.outputs["worker_identity"]["resource_id"])
    url = f"{stack.outputs['blob_endpoint'].rstrip('/')}/{container}"
    return [
        models.OutputFile(
            file_pattern="../std*.txt",
            destination=models.OutputFileDestination(
                container=models.OutputFileBlobContainerDestination(container_url=url, identity_reference=identity)
            ),
            upload_options=models.OutputFileUploadConfiguration(
                upload_condition=models.OutputFileUploadCondition.TASK_COMPLETION
            ),
        )
    ]


def test_output_to_a_missing_container_is_the_services_error(stack: Stack, job: Job) -> None:
    # Only who may write to the whole account learns that a container is missing; the nodes may for the time of this.
    name = str(uuid.uuid4())
    (node,) = {one.principal_id for one in stack.assignments() if one.role_definition_id.endswith(Role.ACR_PULL.value)}
    reader = next(
        one for one in stack.assignments() if one.role_definition_id.endswith(Role.STORAGE_BLOB_DATA_READER.value)
    )
    subscription = stack.cloud["subscription_id"]
    stack.authorization.role_assignments.create(
        reader.scope,
        name,
        RoleAssignmentCreateParameters(
            role_definition_id=Role.STORAGE_BLOB_DATA_CONTRIBUTOR.definition_id(subscription),
            principal_id=node,
            principal_type="ServicePrincipal",
        ),
    )
    try:
        ended = job.run("missing", "/bin/echo hi", output_files=output_to(stack, "job-that-is-not-there"))
    finally:
        stack.authorization.role_assignments.delete(reader.scope, name)
    assert ended.code == 0
    assert ended.failure.code == "FileUploadContainerNotFound"
    assert "ContainerNotFound" in str([(one.name, one.value) for one in ended.failure.details or ()])
    assert ended.out == "hi\n"


def test_output_to_a_container_without_a_role_is_denied(stack: Stack, job: Job) -> None:
    ended = job.run("foreign", "/bin/echo hi", output_files=output_to(stack, "job-that-is-not-there"))
    assert ended.failure.code == "FileUploadAccessDenied"


def test_a_container_task_on_a_host_pool_is_refused(stack: Stack, job: Job) -> None:
    image = models.BatchTaskContainerSettings(image_name=stack.outputs["worker_image"])
    ended = job.run("container", "/bin/true", container_settings=image)
    assert ended.failure.code == "ContainerPoolNotSupported"
