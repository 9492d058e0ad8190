"""One request on its way through an operation: the account it is for, its parameters, and how to find what it names."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from local.azure.batch import errors
from local.azure.batch.account.account import Account
from local.azure.batch.data_plane.former import FIRST, without_former
from local.azure.batch.data_plane.query import select, shown, wrong
from local.azure.batch.data_plane.schema import Object
from local.azure.batch.data_plane.wire import Answer
from local.azure.batch.model import Job, JobSchedule, Node, Pool, Stamped, Task
from local.azure.batch.scheduling.turn import Turn
from local.azure.platform.json_body import parse


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
        """The body as sent, a JSON object; of an earlier api-version without what there is not any more."""
        try:
            value = parse(self.content)
        except ValueError as error:
            raise errors.InvalidRequestBody(details=[("Reason", f"The body is not JSON: {error}")]) from error
        if not isinstance(value, dict):
            raise errors.InvalidRequestBody(details=[("Reason", "The body is not a JSON object.")])
        return without_former(value, self.query.get("api-version", FIRST))

    def turn(self) -> AbstractContextManager[Turn]:
        """The turn in which the request changes something; what is raised inside changes nothing."""
        return self.account.loop.turn()

    @contextmanager
    def changing(self, record: JobSchedule | Job | Task | Pool | Node) -> Iterator[Turn]:
        """The turn of a request that changes a record: it has a new etag from now on."""
        with self.turn() as turn:
            with turn.change(record):
                record.touch(turn.now)
            yield turn

    def job(self) -> Job:
        """The job in the path."""
        job = self.account.state.jobs.get(self.params["jobId"].lower())
        if job is None:
            raise errors.JobNotFound
        return job

    def schedule(self) -> JobSchedule:
        """The job schedule in the path."""
        schedule = self.account.state.schedules.get(self.params["jobScheduleId"].lower())
        if schedule is None:
            raise errors.JobScheduleNotFound
        return schedule

    def flag(self, name: str) -> bool:
        """A query parameter that is true or false; absent means false."""
        text = self.query.get(name, "false").lower()
        if text not in ("true", "false"):
            raise wrong(name, text, "expected true or false")
        return text == "true"

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

    def show(self, record: Stamped, wire: dict[str, Any], properties: Collection[str], entity: str) -> Answer:
        """The answer of a GET of one record: what `$select` leaves of its wire form, unless a header says otherwise."""
        self.check(record)
        body = shown(wire, select(self.query, properties))
        return Answer(body=body, entity=f"{entity}/@Element", etag=record.etag, changed=record.changed)


def check_conditions(headers: Mapping[str, str], etag: str | None, changed: datetime, *, read: bool) -> None:
    """Raise unless the resource fulfils If-Match and its three siblings (412, or 304 for a read).

    Dates have whole seconds.
    """
    second = changed.astimezone(UTC).replace(microsecond=0)
    match, none_match = headers.get("If-Match"), headers.get("If-None-Match")
    if match is not None and none_match is not None:
        raise errors.MultipleConditionHeadersNotSupported
    since, not_since = _date(headers, "If-Modified-Since"), _date(headers, "If-Unmodified-Since")
    if match is not None and match != "*" and _bare(match) != _bare(etag or ""):
        raise errors.ConditionNotMet
    if not_since is not None and second > not_since:
        raise errors.ConditionNotMet
    if none_match is not None and (none_match == "*" or _bare(none_match) == _bare(etag or "")):
        raise errors.NotModified if read else errors.ConditionNotMet
    if since is not None and second <= since:
        raise errors.NotModified if read else errors.ConditionNotMet


def _bare(etag: str) -> str:
    return etag.removeprefix("W/").strip('"')


def _date(headers: Mapping[str, str], name: str) -> datetime | None:
    text = headers.get(name)
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError as error:
        details = [("HeaderName", name), ("HeaderValue", text), ("Reason", "expected an RFC 1123 date")]
        raise errors.InvalidHeaderValue(details=details) from error
