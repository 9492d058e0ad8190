"""How Batch runs containers, on the stack's own pool."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from azure.batch import models

from tests.scenarios.checkout import Checkout
from tests.scenarios.deployed.stack import Job, Stack

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def job(stack: Stack) -> Job:
    return stack.job(f"containers-{uuid.uuid4().hex[:8]}", stack.pool_id)


def container(stack: Stack, options: str) -> models.BatchTaskContainerSettings:
    return models.BatchTaskContainerSettings(
        image_name=stack.outputs["worker_image"], container_run_options=f"--rm --entrypoint /bin/sh {options}".strip()
    )


def test_a_task_without_container_settings_is_refused(job: Job) -> None:
    ended = job.run("host", "/bin/true")
    assert ended.code is None
    assert ended.failure.code == "ContainerTaskSettingsNotFound"


def test_a_container_runs_as_the_task_users_uid_and_its_files_belong_to_it(stack: Stack, job: Job) -> None:
    ended = job.run("own-uid", "-c 'id -u; touch made; stat -c %u made'", container_settings=container(stack, ""))
    made, owner = ended.out.split()
    assert made == owner != "0"


def test_unless_the_run_options_name_a_user(stack: Stack, job: Job) -> None:
    ended = job.run("named-uid", "-c 'id -u'", container_settings=container(stack, "--user 0"))
    assert ended.out == "0\n"


def test_an_image_that_does_not_exist_is_the_users_error(stack: Stack, job: Job) -> None:
    image = f"{stack.outputs['registry_server']}/docker-worker:none"
    ended = job.run("no-image", "-c true", container_settings=models.BatchTaskContainerSettings(image_name=image))
    assert (ended.failure.category, ended.failure.code) == ("UserError", "ContainerInvalidImage")


def test_a_job_none_of_whose_tasks_is_accepted_is_deleted_again(
    deployed: Checkout, stack: Stack, tmp_path: Path
) -> None:
    file, job_id = tmp_path / "job.yaml", f"refused-{uuid.uuid4().hex[:8]}"
    file.write_text("job: {family: hello}\ntasks: {list: [{id: big, command: [check], slots: 9}]}\n")
    done = deployed.module("jobs", "submit", str(file), "--yes", "--job-id", job_id, expect=3)
    assert "big: InvalidPropertyValue" in done.err and "the job was deleted again" in done.err
    stack.until(lambda: [job.id for job in stack.batch.list_jobs()], lambda ids: job_id not in ids, "deleted")
