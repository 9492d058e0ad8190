"""The Batch service through azure-batch 15.1: its only importer. SDK exceptions end here.

Known defects of azure-batch 15.1 that shape this file (read in the wheel and run):
- `create_tasks` returns normally with tasks missing when the service capitalises statuses; so tasks are added
  beneath it, over `lane`, and every item's status is read (`submission/`).
- The pollers of `begin_*` never raise: on an error `.result()` is None. Here nothing waits on a poller.
- `begin_terminate_job`, `begin_reboot_node` and others fail without `options` (azure-sdk-for-python#46815).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from azure.batch import BatchClient, models
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError, ServiceRequestError

from .batch import JobState, NodeState, TaskState
from .connection import Connection, SharedKey
from .credentials import token_credential
from .errors import (
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
from .submission.lane import Lane

TASK_FIELDS: Final = ["id", "state", "stateTransitionTime", "executionInfo", "nodeInfo"]
# azure-core: three connection attempts with 0, 1.6 and 3.2 s between them: a dead service is told in seconds.
RETRIES: Final = {"retry_total": 5, "retry_connect": 2, "retry_status": 3, "connection_timeout": 20}
_FORBIDDEN: Final = "Have yourself added to the stack's `submitters` (role Azure Batch Data Contributor)"


class AzureBatch:
    """`batch.Batch` on the real data plane (or anything that speaks it)."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        if isinstance(connection.credential, SharedKey):
            credential: Any = AzureNamedKeyCredential(connection.credential.account, connection.credential.key)
        else:
            credential = token_credential(connection)
        verify: dict[str, Any] = {} if connection.ca is None else {"connection_verify": str(connection.ca)}
        self._endpoint = connection.batch_endpoint
        self._client = BatchClient(connection.batch_endpoint, credential, **RETRIES, **verify)
        self._time_filter = True

    def create_job(self, definition: Mapping[str, Any]) -> None:
        with self._translated(f"job {definition['id']}"):
            self._client.create_job(models.BatchJobCreateOptions(dict(definition)))

    def lane(self, *, timeout: float) -> Lane:
        """The way beneath `create_tasks`: the SDK's api-version, and its signing or the scope of its tokens."""
        from .submission.authority import SharedKeyAuthority, TokenAuthority
        from .submission.http import HttpLane

        settings = self._client._config
        connection = self._connection
        if isinstance(connection.credential, SharedKey):
            authority: Any = SharedKeyAuthority(settings.authentication_policy)
        else:
            authority = TokenAuthority(lambda: token_credential(connection), tuple(settings.credential_scopes))
        return HttpLane(
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

    def delete_job(self, job_id: str) -> None:
        with self._translated(f"job {job_id}"):
            self._client.begin_delete_job(job_id)  # `polling=False` ends as an argument of requests: TypeError

    def job(self, job_id: str) -> JobState:
        with self._translated(f"job {job_id}"):
            return JobState.parse(self._client.get_job(job_id).as_dict())

    def jobs(self, prefix: str) -> Iterator[JobState]:
        with self._translated("the jobs"):
            chosen = f"startswith(id,'{prefix}')" if prefix else None
            for job in self._client.list_jobs(filter=chosen):
                yield JobState.parse(job.as_dict())

    def task(self, job_id: str, task_id: str) -> TaskState:
        with self._translated(f"task {task_id} of job {job_id}"):
            return TaskState.parse(self._client.get_task(job_id, task_id).as_dict())

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

    def pool_state(self, pool_id: str) -> str:
        with self._translated(f"pool {pool_id}"):
            return str(self._client.get_pool(pool_id, select=["id", "state"]).as_dict().get("state", "")).casefold()

    def nodes(self, pool_id: str) -> Iterator[NodeState]:
        with self._translated(f"pool {pool_id}"):
            for node in self._client.list_nodes(pool_id):
                yield NodeState.parse(node.as_dict())

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

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except AzureError as error:
            raise translate(error, what, self._endpoint) from error


def translate(error: AzureError, what: str, endpoint: str) -> ServiceError:
    """One SDK exception as one of ours. `what` is the thing that was asked for."""
    if not isinstance(error, HttpResponseError) or error.response is None:
        if isinstance(error, ClientAuthenticationError):
            said = " ".join(str(error.message).split())
            if "Failed to establish a new connection" in said:  # azure-identity makes every failure one of this class
                return Unreachable(f"nobody answers where tokens are had: {said}. Start the local Azure (make up)")
            return Forbidden(f"no token could be had: {said}. Log in: az login")
        verb = "cannot be reached" if isinstance(error, ServiceRequestError) else "did not answer"
        return Unreachable(
            f"{endpoint} {verb}: {error.message}. Check the network, and that the account (or local Azure) is up"
        )
    code, said = _body(error)
    status = error.status_code
    if status == 401 or status == 403:
        return Forbidden(f"{what}: the service refused you: {code}: {said}. {_FORBIDDEN}", code)
    if status == 404:
        return NotFound(f"{what} does not exist ({code}). Check the name, and that the stack is the right one", code)
    if status == 413:
        return RequestTooLarge(f"{what}: {said}", code)
    if status == 429 or (status == 503 and code == "ServerBusy"):
        after = str(getattr(error.response, "headers", {}).get("Retry-After") or "")
        return Throttled(f"{what}: {said}", code, float(after) if after.isdecimal() else None)
    if code.endswith("QuotaReached"):
        return QuotaExceeded(f"{what}: {said} ({code}). Delete jobs that ended, or ask for more quota", code)
    if status == 409:
        return Conflict(f"{what}: {said} ({code})", code)
    if status is not None and 400 <= status < 500:
        return Refused(f"{what}: the service refused the request: {code}: {said}", code)
    return ServiceError(f"{what}: the service failed: {status} {code}: {said}. Try again", code)


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
