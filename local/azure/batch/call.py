"""One request on its way through an operation: the account it is for, its parameters, and how to find what it names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.azure.arm.check import parse
from local.azure.batch.account import Account
from local.azure.batch.conditions import check_conditions
from local.azure.batch.model import Job, Node, Pool, Stamped, Task
from local.azure.batch.schema import Object
from local.azure.errors import batch as errors


@dataclass
class Call:
    """`params` come from the path, `query` from the query string (its names in the service's spelling)."""

    account: Account
    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes = b""

    @property
    def url(self) -> str:
        """This request's address without its query."""
        return f"{self.account.url}{self.path}"

    @property
    def now(self) -> datetime:
        """The time."""
        return self.account.clock.now()

    def body(self, schema: Object, *, optional: bool = False) -> dict[str, Any]:
        """The checked body; an empty one counts as {} when it is optional."""
        if not self.content.strip() and optional:
            return {}
        return schema.check(self.raw(), "")

    def raw(self) -> dict[str, Any]:
        """The body as sent: a JSON object."""
        try:
            value = parse(self.content)
        except ValueError as error:
            raise errors.InvalidRequestBody(details=[("Reason", f"The body is not JSON: {error}")]) from error
        if not isinstance(value, dict):
            raise errors.InvalidRequestBody(details=[("Reason", "The body is not a JSON object.")])
        return value

    def job(self) -> Job:
        """The job in the path."""
        job = self.account.state.jobs.get(self.params["jobId"].lower())
        if job is None:
            raise errors.JobNotFound
        return job

    def task(self) -> Task:
        """The task in the path."""
        task = self.account.state.tasks(self.job()).get(self.params["taskId"].lower())
        if task is None or task.deleting:
            raise errors.TaskNotFound
        return task

    def pool(self) -> Pool:
        """The pool in the path."""
        pool = self.account.state.pools.get(self.params["poolId"].lower())
        if pool is None:
            raise errors.PoolNotFound
        return pool

    def node(self) -> Node:
        """The node in the path."""
        pool = self.pool()
        node = self.account.state.nodes.get(self.params["nodeId"])
        if node is None or node.pool_id.lower() != pool.id.lower():
            raise errors.NodeNotFound
        return node

    def check(self, record: Stamped) -> None:
        """The request's conditional headers against this record."""
        check_conditions(self.headers, record.etag, record.changed, read=self.method in ("GET", "HEAD"))
