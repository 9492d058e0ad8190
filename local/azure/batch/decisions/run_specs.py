"""From definitions (data-plane shape) to what a node is told: `RunSpec` of any kind of task, `NodeSpec` of a node.

Owns the translation only. Identities are looked up in the ARM resources by id; the same record gives the same spec, so
that a command can be repeated after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

from local.azure.batch.decisions import environment
from local.azure.batch.model import Job, JobTask, JobTaskKind, Node, Pool, Task
from local.azure.batch.model.durations import limit_seconds
from local.azure.batch.model.task import Instance
from local.azure.control_plane.resources import Resource
from local.node.contract import (
    ApplicationPackage,
    ContainerRegistry,
    ContainerSettings,
    FileSystemMount,
    Identity,
    NodeSpec,
    OutputFile,
    ResourceFile,
    RunSpec,
    UserAccount,
    UserIdentity,
)

Find = Callable[[str], Resource | None]
IssueToken = Callable[[str, str], str]
UNKNOWN_CLIENT = "00000000-0000-0000-0000-000000000000"


class Storage(Protocol):
    """What a node reads of storage accounts, and how."""

    def packages(self, references: Iterable[dict[str, str]]) -> tuple[ApplicationPackage, ...]: ...
    def auto_storage_container(self, name: str) -> tuple[str, str | None]: ...
    def mounts(self, pool: Pool) -> tuple[FileSystemMount, ...]: ...


class SpecWriter:
    """Writes specs for one account. `find` looks up an ARM resource by id; `issue_token` gives the authentication token
    of a run, by its job's id and its own."""

    def __init__(self, account: str, account_url: str, find: Find, storage: Storage, issue_token: IssueToken) -> None:
        self.account = account
        self.account_url = account_url
        self._find = find
        self._storage = storage
        self._issue_token = issue_token

    def node(self, node: Node, pool: Pool) -> NodeSpec:
        """The node as its executor shall make it."""
        containers = pool.containers
        images = None if containers is None else tuple(containers.get("containerImageNames") or ())
        passwords = pool.secrets.get("registries", {})
        registries = [] if containers is None else containers.get("containerRegistries") or []
        start = pool.body.get("startTask")
        return NodeSpec(
            node_id=node.id,
            pool_id=pool.id,
            account_name=self.account,
            account_url=self.account_url,
            dedicated=node.dedicated,
            slots=node.slots,
            identities=self.identities(pool),
            user_accounts=tuple(
                _user_account(one, pool.secrets.get("users", {})) for one in pool.body.get("userAccounts", ())
            ),
            container_images=images,
            container_registries=tuple(self._registry(one, passwords) for one in registries),
            application_packages=self._storage.packages(pool.body.get("applicationPackageReferences") or ()),
            mounts=self._storage.mounts(pool),
            start_task=None if not start else self._start_task(start, node, pool),
            start_task_retries=(start or {}).get("maxTaskRetryCount", 0),
            start_task_wait=(start or {}).get("waitForSuccess", True),
        )

    def task(self, task: Task, job: Job, node: Node, pool: Pool) -> RunSpec:
        """One attempt of a task."""
        limit = limit_seconds(task.body["constraints"].get("maxWallClockTime"))
        return self._of_job(task, task.body, job, node, pool, limit, job.preparation_directory)

    def coordination(self, task: Task, one: Instance, job: Job, node: Node, pool: Pool) -> RunSpec:
        """The coordination command of a multi-instance task on one of its nodes."""
        settings = task.multi_instance or {}
        main = self.task(task, job, node, pool)
        directory = f"{task.directory}/{one.number}"
        variables = {**main.environment, **environment.task_variables(directory, task.body["userIdentity"])}
        return replace(
            main,
            run_id=one.run_id,
            directory=directory,
            command_line=settings["coordinationCommandLine"],
            environment=variables,
            output_files=(),
            resource_files=tuple(self._resource_file(one) for one in settings.get("commonResourceFiles", ())),
        )

    def job_task(self, one: JobTask, job: Job, node: Node, pool: Pool) -> RunSpec:
        """One attempt of a job's preparation or release task."""
        if one.kind is JobTaskKind.PREPARATION:
            body = job.body["jobPreparationTask"]
            return self._of_job(one, body, job, node, pool, limit_seconds(body["constraints"]["maxWallClockTime"]), "")
        body = job.body["jobReleaseTask"]
        limit = limit_seconds(body["maxWallClockTime"])
        return self._of_job(one, body, job, node, pool, limit, job.preparation_directory)

    def _of_job(
        self,
        task: Task | JobTask,
        body: dict[str, Any],
        job: Job,
        node: Node,
        pool: Pool,
        limit: float | None,
        preparation: str,
    ) -> RunSpec:
        variables = {
            **environment.settings(job.body.get("commonEnvironmentSettings")),
            **environment.settings(body.get("environmentSettings")),
            **environment.node_variables(self.account, self.account_url, pool.id, node.id, node.dedicated),
            **environment.task_variables(task.directory, body["userIdentity"]),
            **environment.preparation_variables(preparation),
            **self._instance_variables(task, node),
            "AZ_BATCH_JOB_ID": job.id,
            "AZ_BATCH_TASK_ID": task.id,
        }
        assert task.run_id is not None, "an assigned task has a run id"
        if "job" in (body.get("authenticationTokenSettings") or {}).get("access", ()):
            variables["AZ_BATCH_AUTHENTICATION_TOKEN"] = self._issue_token(job.id, task.run_id)
        return RunSpec(
            run_id=task.run_id,
            directory=task.directory,
            command_line=body["commandLine"],
            job_id=job.id,
            task_id=task.id,
            environment=variables,
            user=_user(body["userIdentity"]),
            container=self._container(body.get("containerSettings")),
            resource_files=tuple(self._resource_file(one) for one in body.get("resourceFiles", ())),
            output_files=tuple(self._output_file(one) for one in body.get("outputFiles", ())),
            max_wall_clock_seconds=limit,
            preparation_directory=preparation,
            application_packages=self._storage.packages(body.get("applicationPackageReferences") or ()),
        )

    @staticmethod
    def _instance_variables(task: Task | JobTask, node: Node) -> dict[str, str]:
        if isinstance(task, JobTask) or not task.instances:
            return {}
        return environment.instance_variables(task.directory, [one["node_id"] for one in task.instances], node.id)

    def identities(self, pool: Pool) -> tuple[Identity, ...]:
        """The pool's identities, as far as they still exist."""
        identities = []
        for resource_id in pool.body.get("identity", {}).get("userAssignedIdentities", ()):
            resource = self._find(resource_id["resourceId"])
            if resource is not None:
                client_id, principal_id = identity_ids(resource)
                identities.append(Identity(resource_id=resource.id, client_id=client_id, principal_id=principal_id))
        return tuple(identities)

    def _start_task(self, start: dict[str, Any], node: Node, pool: Pool) -> RunSpec:
        identity = start.get("userIdentity") or {"autoUser": {"scope": "pool", "elevationLevel": "nonadmin"}}
        variables = {
            **environment.settings(start.get("environmentSettings")),
            **environment.node_variables(self.account, self.account_url, pool.id, node.id, node.dedicated),
            **environment.task_variables("startup", identity),
        }
        return RunSpec(
            run_id=f"start-{node.id}",
            directory="startup",
            command_line=start["commandLine"],
            environment=variables,
            user=_user(identity),
            container=self._container(start.get("containerSettings")),
            resource_files=tuple(self._resource_file(one) for one in start.get("resourceFiles", ())),
        )

    def _container(self, settings: dict[str, Any] | None) -> ContainerSettings | None:
        if not settings:
            return None
        mounts = settings.get("containerHostBatchBindMounts")
        registry = settings.get("registry")
        return ContainerSettings(
            image=settings["imageName"],
            run_options=settings.get("containerRunOptions", ""),
            registry=None if not registry else self._registry(registry, {}),
            working_directory=settings.get("workingDirectory", "taskWorkingDirectory"),
            bind_mounts=None if mounts is None else tuple(mounts),
        )

    def _registry(self, registry: dict[str, Any], passwords: dict[str, str]) -> ContainerRegistry:
        server = registry.get("registryServer") or "docker.io"
        return ContainerRegistry(
            server=server,
            identity_client_id=self._client_id(registry.get("identityReference")),
            username=registry.get("username"),
            password=registry.get("password") or passwords.get(server),
        )

    def _resource_file(self, file: dict[str, Any]) -> ResourceFile:
        container_url, client_id = file.get("storageContainerUrl"), self._client_id(file.get("identityReference"))
        if file.get("autoStorageContainerName"):
            container_url, client_id = self._storage.auto_storage_container(file["autoStorageContainerName"])
        return ResourceFile(
            http_url=file.get("httpUrl"),
            storage_container_url=container_url or None,
            auto_storage_container_name=file.get("autoStorageContainerName"),
            blob_prefix=file.get("blobPrefix"),
            file_path=file.get("filePath"),
            file_mode=file.get("fileMode"),
            identity_client_id=client_id,
        )

    def _output_file(self, file: dict[str, Any]) -> OutputFile:
        container = file["destination"]["container"]
        return OutputFile(
            file_pattern=file["filePattern"],
            container_url=container["containerUrl"],
            path=container.get("path"),
            identity_client_id=self._client_id(container.get("identityReference")),
            condition=file["uploadOptions"]["uploadCondition"].lower(),
            headers=tuple((one["name"], one.get("value", "")) for one in container.get("uploadHeaders", ())),
        )

    def _client_id(self, reference: dict[str, str] | None) -> str | None:
        if not reference or not reference.get("resourceId"):
            return None
        resource = self._find(reference["resourceId"])
        return UNKNOWN_CLIENT if resource is None else identity_ids(resource)[0]


def identity_ids(resource: Resource) -> tuple[str, str]:
    """(client id, principal id) of a user-assigned identity resource."""
    facts = {**resource.properties, **resource.system}
    return str(facts.get("clientId", UNKNOWN_CLIENT)), str(facts.get("principalId", UNKNOWN_CLIENT))


def _user(identity: dict[str, Any]) -> UserIdentity:
    if identity.get("username"):
        return UserIdentity(username=identity["username"])
    auto = identity.get("autoUser", {})
    return UserIdentity(
        auto_user_scope=auto.get("scope", "pool"), admin=auto.get("elevationLevel", "nonadmin") == "admin"
    )


def _user_account(account: dict[str, Any], passwords: dict[str, str]) -> UserAccount:
    linux = account.get("linuxUserConfiguration") or {}
    return UserAccount(
        name=account["name"],
        password=passwords.get(account["name"]),
        admin=account.get("elevationLevel", "nonadmin") == "admin",
        uid=linux.get("uid"),
        gid=linux.get("gid"),
    )
