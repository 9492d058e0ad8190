"""The Batch service through azure-batch 15.1: `azure_schedules.py` is a part of this. SDK exceptions end here.

Known defects of azure-batch 15.1 that shape this file (read in the wheel and run):
- `create_tasks` returns normally with tasks missing when the service capitalises statuses; so tasks are added
  beneath it, over `transport`, and every item's status is read (`submission/`).
- The pollers of `begin_*` never raise, take no `polling=False`, and poll in a thread from the start; some fail without
  `options` (azure-sdk-for-python#46815). So long-running operations are begun by `_begin`, and states are asked for.
"""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError
from azure.core.rest import HttpRequest

from ..errors import (
    Conflict,
    Forbidden,
    NotFound,
    QuotaExceeded,
    Refused,
    RequestTooLarge,
    ServiceError,
    Throttled,
    Unreachable,
)
from ..submission.transport import Transport
from .azure_schedules import ScheduleCalls
from .batch import (
    Choice,
    Counts,
    JobState,
    NodeFile,
    NodeState,
    PoolState,
    PreparationState,
    Running,
    Shown,
    TaskPage,
    TaskState,
    autoscale_problem,
)
from .connection import Connection, SharedKey
from .credentials import token_credential

TASK_FIELDS: Final = [
    "id",
    "displayName",
    "state",
    "stateTransitionTime",
    "executionInfo",
    "nodeInfo",
    "dependsOn",
    "exitConditions",
]
RECORD_FIELDS: Final = [*TASK_FIELDS, "creationTime", "containerSettings", "requiredSlots"]
# Of a node in a list: what `NodeState` has, but not the start task's definition and the last tasks, which are long.
NODE_FIELDS: Final = [
    "id",
    "state",
    "stateTransitionTime",
    "schedulingState",
    "isDedicated",
    "errors",
    "startTaskInfo",
    "vmSize",
    "ipAddress",
    "allocationTime",
    "lastBootTime",
    "runningTasksCount",
    "runningTaskSlotsCount",
    "totalTasksRun",
    "totalTasksSucceeded",
]
OUTPUT_FIELDS: Final = ["id", "state", "executionInfo", "outputFiles", "environmentSettings"]
# Filters of `some_tasks`. `state` and `executionInfo/exitCode` are in Microsoft's examples of list filters; that
# `executionInfo/result` and `stateTransitionTime` can be filtered on is documented nowhere we found [guess]: refused,
# everything is read and chosen here.
CHOICES: Final[Mapping[Choice, tuple[str, Callable[[TaskState], bool]]]] = {
    "failed": ("executionInfo/result eq 'failure'", lambda task: task.completed and not task.succeeded),
    "running": ("state eq 'running'", lambda task: task.state == "running"),
    "unended": ("state ne 'completed'", lambda task: not task.completed),
    "changed": ("", lambda task: True),
}
# Filters of `task_page`; a service that refuses one is asked for a wider one, and the rest is chosen here.
SHOWN: Final[Mapping[Shown, tuple[tuple[str, ...], Callable[[TaskState], bool]]]] = {
    "all": ((), lambda task: True),
    "active": (("state eq 'active'",), lambda task: task.state == "active"),
    "running": (("state eq 'running'",), lambda task: task.state == "running"),
    "succeeded": (("executionInfo/result eq 'success'", "state eq 'completed'"), lambda task: task.succeeded),
    "failed": (
        ("executionInfo/result eq 'failure'", "state eq 'completed'"),
        lambda task: task.completed and not task.succeeded,
    ),
}
MOST_FILES: Final = 1000  # listed of a task or node, which is one page
API_VERSION: Final = "2025-06-01"
ACCEPT: Final = {"Accept": "application/json; odata=minimalmetadata"}
JSON: Final = {"Content-Type": "application/json; odata=minimalmetadata"}
PAGE: Final = 1000  # the most that one answer lists
# azure-core: three connection attempts with 0, 1.6 and 3.2 s between them: a dead service is told in seconds.
RETRIES: Final = {"retry_total": 5, "retry_connect": 2, "retry_status": 3, "connection_timeout": 20}
_FORBIDDEN: Final = "have yourself added to the stack's `submitters` (`role: operate` for pools and nodes)"


class AzureBatch(ScheduleCalls):
    """`batch.Batch` on the real data plane (or anything that speaks it)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        if isinstance(connection.credential, SharedKey):
            credential: Any = AzureNamedKeyCredential(connection.credential.account, connection.credential.key)
        else:
            credential = token_credential(connection)
        verify: dict[str, Any] = {} if connection.ca is None else {"connection_verify": str(connection.ca)}
        self._endpoint = connection.batch_endpoint
        # It logs a traceback for every error without a JSON body, also for a range past a file's end.
        logging.getLogger("azure.batch._utils.model_base").setLevel(logging.CRITICAL)
        self._client = BatchClient(connection.batch_endpoint, credential, **RETRIES, **verify)
        self._time_filter = True
        self._refused: set[str] = set()  # filters that this service does not take

    def create_job(self, definition: Mapping[str, Any]) -> None:
        with self._translated(f"job {definition['id']}"):
            self._client.create_job(models.BatchJobCreateOptions(dict(definition)))

    def transport(self, *, timeout: float) -> Transport:
        """The way beneath `create_tasks`: the SDK's api-version, and its signing or the scope of its tokens."""
        from ..submission.http import HttpTransport, SharedKeyAuthority, TokenAuthority

        settings = self._client._config
        connection = self._connection
        if isinstance(connection.credential, SharedKey):
            authority: Any = SharedKeyAuthority(settings.authentication_policy)
        else:
            authority = TokenAuthority(lambda: token_credential(connection), tuple(settings.credential_scopes))
        return HttpTransport(
            endpoint=self._endpoint,
            api_version=settings.api_version,
            authority=authority,
            ca=connection.ca,
            timeout=timeout,
        )

    def end_when_done(self, job_id: str) -> None:
        # A PATCH replaces whole sub-objects; this one names a single plain property, so nothing else is reset.
        with self._translated(f"job {job_id}"):
            self._client.update_job(job_id, models.BatchJobUpdateOptions({"onAllTasksComplete": "terminatejob"}))

    def terminate_job(self, job_id: str, reason: str) -> None:
        self._begin("POST", f"/jobs/{job_id}/terminate", f"job {job_id}", {"terminateReason": reason})

    def delete_job(self, job_id: str) -> None:
        self._begin("DELETE", f"/jobs/{job_id}", f"job {job_id}")

    def disable_job(self, job_id: str, running: Running) -> None:
        self._begin("POST", f"/jobs/{job_id}/disable", f"job {job_id}", {"disableTasks": running})

    def enable_job(self, job_id: str) -> None:
        self._begin("POST", f"/jobs/{job_id}/enable", f"job {job_id}")

    def mark_job(self, job_id: str, name: str, value: str) -> None:
        """One item of the job's metadata gets this value; an empty one removes it. The other items stay."""
        with self._translated(f"job {job_id}"):
            found = self._client.get_job(job_id, select=["id", "metadata"]).as_dict().get("metadata") or []
            kept = [item for item in found if item["name"] != name]
            metadata = [*kept, {"name": name, "value": value}] if value else kept
            self._client.update_job(job_id, models.BatchJobUpdateOptions({"metadata": metadata}))

    def move_job(self, job_id: str, pool_id: str) -> None:
        with self._translated(f"job {job_id}"):
            self._client.update_job(job_id, models.BatchJobUpdateOptions({"poolInfo": {"poolId": pool_id}}))

    def job(self, job_id: str) -> JobState:
        with self._translated(f"job {job_id}"):
            return JobState.parse(self._client.get_job(job_id).as_dict())

    def job_definition(self, job_id: str) -> dict[str, Any]:
        with self._translated(f"job {job_id}"):
            return self._client.get_job(job_id).as_dict()

    def jobs(self, prefix: str, *, state: str = "") -> Iterator[JobState]:
        with self._translated("the jobs"):
            wanted = [f"startswith(id,'{prefix}')"] if prefix else []
            wanted += [f"state eq '{state}'"] if state else []
            for job in self._client.list_jobs(filter=" and ".join(wanted) or None):
                yield JobState.parse(job.as_dict())

    def counts(self, job_id: str) -> Counts:
        with self._translated(f"job {job_id}"):
            return Counts.parse(self._client.get_job_task_counts(job_id).as_dict())

    def task(self, job_id: str, task_id: str) -> TaskState:
        with self._translated(f"task {task_id} of job {job_id}"):
            return TaskState.parse(self._client.get_task(job_id, task_id, select=TASK_FIELDS).as_dict())

    def task_definition(self, job_id: str, task_id: str) -> dict[str, Any]:
        with self._translated(f"task {task_id} of job {job_id}"):
            return self._client.get_task(job_id, task_id).as_dict()

    def tasks(self, job_id: str, changed_since: datetime | None = None) -> Iterator[TaskState]:
        """All tasks, or those whose state changed at that time or later (a service without that filter sends all)."""
        chosen: str | None = None
        if changed_since is not None and self._time_filter:
            instant = changed_since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            chosen = f"stateTransitionTime ge DateTime'{instant}'"
        try:
            with self._translated(f"job {job_id}"):
                found = [
                    TaskState.parse(task.as_dict())
                    for task in self._client.list_tasks(job_id, filter=chosen, select=TASK_FIELDS)
                ]
        except Refused:
            if chosen is None:
                raise
            self._time_filter = False  # that the property can be filtered on is documented nowhere we found
            yield from self.tasks(job_id)
            return
        yield from found

    def some_tasks(self, job_id: str, chosen: Choice, most: int, since: datetime | None = None) -> list[TaskState]:
        """At most so many tasks, in one request of one page: what it costs does not grow with the job."""
        text, fits = CHOICES[chosen]
        parts = [text] if text else []
        if since is not None:
            parts.append(f"stateTransitionTime ge DateTime'{since.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}'")
        most = min(most, PAGE)
        try:
            if self._refused.isdisjoint(parts):
                with self._translated(f"job {job_id}"):
                    pages = self._client.list_tasks(
                        job_id, filter=" and ".join(parts) or None, select=TASK_FIELDS, max_results=most
                    ).by_page()
                    return [TaskState.parse(task.as_dict()) for task in next(iter(pages), [])]
        except Refused:
            if not parts:
                raise
            self._refused.update(parts if since is None else [text])
        found = (task for task in self.tasks(job_id, since) if fits(task))
        return list(itertools.islice(found, most))

    def task_page(
        self, job_id: str, *, shown: Shown = "all", prefix: str = "", most: int = 100, following: str = ""
    ) -> TaskPage:
        """At most so many tasks in the service's order, in one request. `prefix`: how their ids begin.

        Where the service refuses a filter, a page has fewer tasks than asked for, and there may be more behind it.
        """
        filters, fits = SHOWN[shown]
        wanted = next((text for text in filters if text not in self._refused), "")
        parts = [text for text in (wanted, f"startswith(id,'{prefix}')" if prefix else "") if text]
        try:
            with self._translated(f"job {job_id}"):
                pages = self._client.list_tasks(
                    job_id, filter=" and ".join(parts) or None, select=TASK_FIELDS, max_results=min(most, PAGE)
                ).by_page(continuation_token=following or None)
                tasks = [TaskState.parse(task.as_dict()) for task in next(iter(pages), [])]
        except Refused:
            if not wanted or following:
                raise
            self._refused.add(wanted)
            return self.task_page(job_id, shown=shown, prefix=prefix, most=most)
        token = getattr(pages, "continuation_token", None)
        return TaskPage(tuple(task for task in tasks if fits(task)), token or "")

    def task_records(self, job_id: str) -> Iterator[TaskState]:
        """All tasks with all that `TaskState` has: for figures about a whole job."""
        with self._translated(f"job {job_id}"):
            for task in self._client.list_tasks(job_id, select=RECORD_FIELDS):
                yield TaskState.parse(task.as_dict())

    def first_definition(self, job_id: str) -> dict[str, Any] | None:
        """The definition of one task of the job, the first in the service's order; None while it has none."""
        with self._translated(f"job {job_id}"):
            pages = self._client.list_tasks(job_id, max_results=1).by_page()
            return next((task.as_dict() for task in next(iter(pages), [])), None)

    def output_definitions(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Each task's state and output files, and what its patterns may name."""
        with self._translated(f"job {job_id}"):
            for task in self._client.list_tasks(job_id, select=OUTPUT_FIELDS):
                yield task.as_dict()

    def failed_definitions(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Whole definitions of the failed tasks, one after the other."""
        text, fits = CHOICES["failed"]
        for chosen in (text, "state eq 'completed'"):
            if chosen in self._refused:
                continue
            try:
                with self._translated(f"job {job_id}"):
                    for task in self._client.list_tasks(job_id, filter=chosen):
                        wire = task.as_dict()
                        if fits(TaskState.parse(wire)):
                            yield wire
                return
            except Refused:
                if chosen != text:
                    raise
                self._refused.add(text)

    def terminate_task(self, job_id: str, task_id: str) -> None:
        with self._translated(f"task {task_id} of job {job_id}"):
            self._client.terminate_task(job_id, task_id)

    def delete_task(self, job_id: str, task_id: str) -> None:
        with self._translated(f"task {task_id} of job {job_id}"):
            self._client.delete_task(job_id, task_id)

    def preparations(self, job_id: str) -> Iterator[PreparationState]:
        with self._translated(f"the preparation of job {job_id}"):
            for node in self._client.list_job_preparation_and_release_task_status(job_id):
                yield from PreparationState.parse(node.as_dict(), job_id)

    def pool(self, pool_id: str) -> PoolState:
        with self._translated(f"pool {pool_id}"):
            return PoolState.parse(self._client.get_pool(pool_id).as_dict())

    def pools(self) -> Iterator[PoolState]:
        with self._translated("the pools"):
            for pool in self._client.list_pools():
                yield PoolState.parse(pool.as_dict())

    def resize(self, pool_id: str, dedicated: int | None, low_priority: int | None) -> None:
        targets = {"targetDedicatedNodes": dedicated, "targetLowPriorityNodes": low_priority}
        given = {name: value for name, value in targets.items() if value is not None}
        self._begin("POST", f"/pools/{pool_id}/resize", f"pool {pool_id}", given)

    def stop_resize(self, pool_id: str) -> None:
        self._begin("POST", f"/pools/{pool_id}/stopresize", f"pool {pool_id}")

    def evaluate_autoscale(self, pool_id: str, formula: str) -> str:
        with self._translated(f"pool {pool_id}"):
            options = models.BatchPoolEvaluateAutoScaleOptions({"autoScaleFormula": formula})
            run = self._client.evaluate_pool_auto_scale(pool_id, options).as_dict()
        if wrong := autoscale_problem(run):
            raise Refused(
                f"pool {pool_id}: its formula cannot be evaluated now, and the pool keeps its size", cause=str(wrong)
            )
        return str(run.get("results") or "")

    def image_ends(self) -> dict[tuple[str, str], datetime | None]:
        """(OS image, node agent) -> when Batch ends its support, for every image that Batch supports."""
        with self._translated("the supported images"):
            found = {}
            for one in self._client.list_supported_images():
                wire = one.as_dict()
                image = wire.get("imageReference") or {}
                name = ":".join(image.get(part) or "" for part in ("publisher", "offer", "sku")).casefold()
                end = wire.get("batchSupportEndOfLife")
                found[name, wire["nodeAgentSKUId"].casefold()] = datetime.fromisoformat(end) if end else None
            return found

    def node(self, pool_id: str, node_id: str) -> NodeState:
        with self._translated(f"node {node_id} of pool {pool_id}"):
            return NodeState.parse(self._client.get_node(pool_id, node_id).as_dict())

    def create_user(self, pool_id: str, node_id: str, user: Mapping[str, Any]) -> None:
        with self._translated(f"user {user['name']} on node {node_id}"):
            self._client.create_node_user(pool_id, node_id, models.BatchNodeUserCreateOptions(dict(user)))

    def delete_user(self, pool_id: str, node_id: str, name: str) -> None:
        with self._translated(f"user {name} on node {node_id}"):
            self._client.delete_node_user(pool_id, node_id, name)

    def ssh_address(self, pool_id: str, node_id: str) -> tuple[str, int]:
        with self._translated(f"node {node_id}"):
            settings = self._client.get_node_remote_login_settings(pool_id, node_id).as_dict()
            return settings["remoteLoginIPAddress"], settings["remoteLoginPort"]

    def pool_state(self, pool_id: str) -> str:
        with self._translated(f"pool {pool_id}"):
            return str(self._client.get_pool(pool_id, select=["id", "state"]).as_dict().get("state", "")).casefold()

    def nodes(self, pool_id: str) -> Iterator[NodeState]:
        with self._translated(f"pool {pool_id}"):
            for node in self._listed(f"/pools/{pool_id}/nodes", NODE_FIELDS):
                yield NodeState.parse(node)

    def task_files(self, job_id: str, task_id: str) -> list[NodeFile]:
        """What is in the task's folder on its node, with its folders; at most one page."""
        with self._translated(f"the files of task {task_id}"):
            pages = self._client.list_task_files(job_id, task_id, recursive=True, max_results=MOST_FILES).by_page()
            return [NodeFile.parse(one.as_dict()) for one in next(iter(pages), [])]

    def node_files(self, pool_id: str, node_id: str) -> list[NodeFile]:
        """What is on the node below Batch's root folder, with its folders; at most one page."""
        with self._translated(f"the files of node {node_id}"):
            pages = self._client.list_node_files(pool_id, node_id, recursive=True, max_results=MOST_FILES).by_page()
            return [NodeFile.parse(one.as_dict()) for one in next(iter(pages), [])]

    def read_task_file(self, job_id: str, task_id: str, path: str, start: int = 0) -> Iterator[bytes]:
        """The file from `start` on. Past its end is nothing, not an error."""
        with self._translated(f"{path} of task {task_id}"):
            # The range is inclusive; a last byte far beyond the end means "to the end".
            ranged = f"bytes={start}-{start + 2**40}" if start else None
            try:
                yield from self._client.download_task_file(job_id, task_id, path, ocp_range=ranged)
            except HttpResponseError as error:
                if error.status_code != 416:
                    raise

    def read_node_file(self, pool_id: str, node_id: str, path: str) -> Iterator[bytes]:
        with self._translated(f"{path} of node {node_id}"):
            yield from self._client.download_node_file(pool_id, node_id, path)

    def _listed(self, path: str, fields: Iterable[str]) -> Iterator[dict[str, Any]]:
        """What a list has, by the SDK's pipeline and without its models, which take most of the time for 1,000 nodes
        (benchmarks/dashboard.py, pools)."""
        where: str | None = f"{{endpoint}}{path}"
        params: dict[str, str] | None = {"api-version": API_VERSION, "$select": ",".join(fields)}
        while where:
            answer = self._client.send_request(HttpRequest("GET", where, params=params, headers=ACCEPT))
            answer.raise_for_status()
            body = answer.json()
            yield from body["value"]
            where, params = body.get("odata.nextLink"), None
            if where and not where.lower().startswith(f"{self._endpoint.rstrip('/')}/".lower()):
                raise ValueError(f"the next page is at {where}")  # no token goes to another host

    def _begin(self, method: str, path: str, what: str, body: Mapping[str, Any] | None = None) -> None:
        """Start a long-running operation with the SDK's pipeline, and no poller: its thread would outlive the verb."""
        request = HttpRequest(
            method,
            f"{{endpoint}}{path}",
            params={"api-version": API_VERSION},
            json=body,
            headers=JSON if body else None,
        )
        with self._translated(what):
            self._client.send_request(request).raise_for_status()

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except AzureError as error:
            raise translate(error, what, self._endpoint) from error
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            said = f"{type(error).__name__}: {error}"
            raise ServiceError(f"{what}: {self._endpoint} gave an answer that is none of Batch ({said})") from error


def translate(error: AzureError, what: str, endpoint: str) -> ServiceError:
    """One SDK exception as one of ours. `what` is the thing that was asked for."""
    if not isinstance(error, HttpResponseError) or error.response is None:
        if isinstance(error, ClientAuthenticationError):
            said = " ".join(str(error.message).split())
            if "Failed to establish a new connection" in said:  # azure-identity makes every failure one of this class
                return Unreachable(
                    f"nobody answers where tokens are had: {said}", next_step="start the local Azure (make up)"
                )
            return Forbidden(f"no token could be had: {said}", next_step="log in: az login")
        verb = "cannot be reached" if isinstance(error, ServiceRequestError) else "did not answer"
        return Unreachable(
            f"{endpoint} {verb}: {error.message}",
            next_step="check the network, and that the account (or local Azure) is up",
        )
    code, said = _body(error)
    status = error.status_code
    if status == 401 or status == 403:
        return Forbidden(f"{what}: the service refused you: {code}: {said}", next_step=_FORBIDDEN, code=code)
    if status == 404:
        return NotFound(
            f"{what} does not exist ({code})",
            next_step="check the name, and that the stack is the right one",
            code=code,
        )
    if status == 413:
        return RequestTooLarge(f"{what}: {said}", code=code)
    if status == 429 or (status == 503 and code == "ServerBusy"):
        after = str(getattr(error.response, "headers", {}).get("Retry-After") or "")
        return Throttled(f"{what}: {said}", code=code, retry_after=float(after) if after.isdecimal() else None)
    if code.endswith("QuotaReached"):
        return QuotaExceeded(
            f"{what}: {said} ({code})", next_step="delete jobs that ended, or ask for more quota", code=code
        )
    if status == 409:
        return Conflict(f"{what}: {said} ({code})", code=code)
    if status == 501:
        return Refused(
            f"{what}: {endpoint} does not have this: {said} ({code})", cause="the real service has it", code=code
        )
    if status is not None and 400 <= status < 500:
        return Refused(f"{what}: the service refused the request: {code}: {said}", code=code)
    return ServiceError(f"{what}: the service failed: {status} {code}: {said}", next_step="try again", code=code)


def _body(error: HttpResponseError) -> tuple[str, str]:
    """Code and message of the service's error, with its values; the message's RequestId and Time lines left out."""
    try:
        body = json.loads(error.response.text()) if error.response is not None else {}
    except (ValueError, AttributeError, AzureError):
        body = {}
    if not isinstance(body, dict):
        body = {}
    message = body.get("message")
    text = message.get("value", "") if isinstance(message, dict) else str(message or error.reason or "")
    said = " ".join(line for line in text.splitlines() if not line.startswith(("RequestId:", "Time:")))
    values = ", ".join(f"{item.get('key')}={item.get('value')}" for item in body.get("values") or ())
    return str(body.get("code") or ""), f"{said} [{values}]" if values else said
