"""The deployed stack as its users see it: the real SDKs, signed in with what `.local/cloud.json` says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

from azure.batch import BatchClient, models
from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.models import RoleAssignmentCreateParameters
from azure.mgmt.batch import BatchManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient

from tests.scenarios.checkout import Checkout

T = TypeVar("T")
SECONDS = 180.0  # generous: a loaded machine is slow, and nothing here measures time


def eventually(ask: Callable[[], T], wanted: Callable[[T], object], what: str, seconds: float = SECONDS) -> T:
    """Ask again until the answer is as wanted."""
    deadline = time.monotonic() + seconds
    while not wanted(answer := ask()):
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not {what}: {answer}"
        time.sleep(0.2)
    return answer


def code_of(error: HttpResponseError) -> str:
    """The service's code of a data plane error (the SDK does not read it)."""
    assert error.response is not None
    return json.loads(error.response.text())["code"]


class Stack:
    """Clients of a running local Azure, made when first asked for, and what tests do with them again and again."""

    def __init__(self, checkout: Checkout) -> None:
        self.checkout = checkout
        self.cloud: dict[str, Any] = checkout.cloud
        self.verify = str(checkout.home / "ca.pem")

    @cached_property
    def credential(self) -> ClientSecretCredential:
        return ClientSecretCredential(
            self.cloud["tenant_id"],
            self.cloud["client_id"],
            self.cloud["client_secret"],
            authority=self.cloud["authority"],
            disable_instance_discovery=True,
            connection_verify=self.verify,
        )

    def management(self, kind: Callable[..., T]) -> T:
        """A client of ARM."""
        return kind(
            self.credential,
            self.cloud["subscription_id"],
            base_url=self.cloud["arm"],
            credential_scopes=["https://management.azure.com/.default"],
            connection_verify=self.verify,
        )

    @cached_property
    def authorization(self) -> Any:  # its operations have types per api-version only
        return self.management(AuthorizationManagementClient)

    @cached_property
    def batch_management(self) -> BatchManagementClient:
        return self.management(BatchManagementClient)

    @cached_property
    def resources(self) -> ResourceManagementClient:
        return self.management(ResourceManagementClient)

    @cached_property
    def batch(self) -> BatchClient:
        return BatchClient(self.cloud["batch"]["endpoint"], self.credential, connection_verify=self.verify)

    @cached_property
    def outputs(self) -> dict[str, Any]:
        return self.checkout.outputs()

    @property
    def pool_id(self) -> str:
        return self.outputs["pools"]["default"]["id"]

    @property
    def group(self) -> str:
        return self.cloud["resource_group"]

    # -- roles -------------------------------------------------------------------------------------------------------

    def assignments(self) -> list[Any]:
        """The stack's role assignments: those whose scope lies in its group."""
        every = self.authorization.role_assignments.list_for_subscription()
        return [one for one in every if f"/resourcegroups/{self.group}/".lower() in one.scope.lower()]

    def remove(self, assignment: Any) -> None:
        self.authorization.role_assignments.delete(assignment.scope, assignment.name)

    def put_back(self, assignment: Any) -> None:
        """Make it again under the same name, so that the stack's state is right again."""
        self.authorization.role_assignments.create(
            assignment.scope,
            assignment.name,
            RoleAssignmentCreateParameters(
                role_definition_id=assignment.role_definition_id,
                principal_id=assignment.principal_id,
                principal_type=assignment.principal_type,
            ),
        )

    # -- tasks and nodes ---------------------------------------------------------------------------------------------

    until = staticmethod(eventually)

    def nodes(self, pool_id: str) -> list[models.BatchNode]:
        return list(self.batch.list_nodes(pool_id))

    def steady(self, pool_id: str, count: int, state: str = "idle") -> list[models.BatchNode]:
        """Wait until the pool has so many nodes, all in that state."""
        return eventually(
            lambda: self.nodes(pool_id),
            lambda found: len(found) == count and all(node.state == state for node in found),
            f"{count} {state} nodes in {pool_id}",
        )

    def job(self, job_id: str, pool_id: str, **more: Any) -> Job:
        self.batch.create_job(
            models.BatchJobCreateOptions(id=job_id, pool_info=models.BatchPoolInfo(pool_id=pool_id), **more)
        )
        return Job(self, job_id)


class Job:
    """A job that a test made."""

    def __init__(self, stack: Stack, job_id: str) -> None:
        self.stack = stack
        self.id = job_id

    def add(self, task_id: str, command_line: str, **more: Any) -> None:
        self.stack.batch.create_task(
            self.id, models.BatchTaskCreateOptions(id=task_id, command_line=command_line, **more)
        )

    def task(self, task_id: str) -> models.BatchTask:
        return self.stack.batch.get_task(self.id, task_id)

    def in_state(self, task_id: str, state: str) -> models.BatchTask:
        return eventually(lambda: self.task(task_id), lambda task: task.state == state, f"task {task_id} {state}")

    def text(self, task_id: str, name: str) -> str:
        return b"".join(self.stack.batch.download_task_file(self.id, task_id, name)).decode()

    def run(self, task_id: str, command_line: str, **more: Any) -> Ended:
        """Add the task and wait for its end."""
        self.add(task_id, command_line, **more)
        return self.ended(task_id)

    def ended(self, task_id: str) -> Ended:
        return Ended(self, self.in_state(task_id, "completed"))


class Ended:
    """A completed task, with what it wrote."""

    def __init__(self, job: Job, task: models.BatchTask) -> None:
        assert task.execution_info is not None
        self.task = task
        self.execution = task.execution_info
        self._job = job
        self._id = str(task.id)

    @property
    def code(self) -> int | None:
        return self.execution.exit_code

    @property
    def failure(self) -> models.BatchTaskFailureInfo:
        assert self.execution.failure_info is not None, f"task {self._id} did not fail"
        return self.execution.failure_info

    @property
    def out(self) -> str:
        return self._job.text(self._id, "stdout.txt")

    @property
    def err(self) -> str:
        return self._job.text(self._id, "stderr.txt")
