"""The real azure-batch SDK against a small server: what is sent, how answers are read, how errors are told.

Bodies have the recorded service's form (capitalised statuses, `message` as an object with RequestId and Time lines).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError

from jobs.errors import (
    Conflict,
    Forbidden,
    JobsError,
    NotFound,
    QuotaExceeded,
    Refused,
    RequestTooLarge,
    ServiceError,
    Throttled,
    Unreachable,
)
from jobs.service.client import AzureBatch, translate
from jobs.service.connection import Connection, SharedKey
from jobs.submission import Options, submit_tasks
from testbeds.http_server import serving


@dataclass
class Server:
    """Answers in order (the last one again and again), and remembers what was asked."""

    url: str = ""
    answers: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    asked: list[tuple[str, str, Any, dict[str, str]]] = field(default_factory=list)

    def answer(self, status: int, body: Any = None, **headers: str) -> None:
        self.answers.append((status, body, headers))


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            sent = self.rfile.read(length)
            state.asked.append((self.command, self.path, json.loads(sent) if sent else None, dict(self.headers)))
            status, body, headers = state.answers.pop(0) if len(state.answers) > 1 else state.answers[0]
            data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Type", "application/json;odata=minimalmetadata")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PATCH = do_DELETE = reply

        def log_message(self, format: str, *args: Any) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    with serving(httpd):
        yield state


@pytest.fixture
def batch(server: Server) -> AzureBatch:
    return AzureBatch(Connection(batch_endpoint=server.url, credential=SharedKey(account="a", key="a2V5")))


def wrong(code: str, said: str = "no", **values: str) -> dict[str, Any]:
    text = f"{said}\nRequestId:1\nTime:2"
    body: dict[str, Any] = {"code": code, "message": {"lang": "en-US", "value": text}}
    if values:
        body["values"] = [{"key": key, "value": value} for key, value in values.items()]
    return body


def test_capitalised_statuses_are_read_and_a_failed_task_is_not_lost(server: Server, batch: AzureBatch) -> None:
    """The SDK's own create_tasks returns normally here, with the bad task missing."""
    ok = {"taskId": "a", "status": "Success", "eTag": "0x1", "location": "x"}
    bad = {
        "taskId": "b",
        "status": "ClientError",
        "error": wrong("InvalidPropertyValue", "bad", PropertyName="commandLine"),
    }
    server.answer(200, {"value": [ok, bad]})
    server.answer(200, {"value": [{"id": "a"}]})
    result = submit_tasks(batch, "j", [{"id": "a"}, {"id": "b"}], Options(handle_signals=False))
    assert (result.accepted, result.failed, result.unsent, result.complete) == (1, 1, 0, False)
    assert [(v.task_id, v.code, v.message) for v in result.failures] == [
        ("b", "InvalidPropertyValue", "bad [PropertyName=commandLine]")
    ]


def test_definitions_are_sent_as_they_are(server: Server, batch: AzureBatch) -> None:
    server.answer(201)
    definition = {"id": "j", "poolInfo": {"poolId": "p"}, "commonEnvironmentSettings": [{"name": "A", "value": "1"}]}
    batch.create_job(definition)
    method, path, body, headers = server.asked[0]
    assert (method, path.split("?")[0], body) == ("POST", "/jobs", definition)
    assert headers["Authorization"].startswith("SharedKey a:")


def test_ending_by_itself_patches_that_one_property(server: Server, batch: AzureBatch) -> None:
    server.answer(200)
    batch.end_when_done("j")
    assert server.asked[0][0] == "PATCH"
    assert server.asked[0][2] == {"onAllTasksComplete": "terminatejob"}


TASK = {
    "id": "a",
    "state": "completed",
    "stateTransitionTime": "2026-11-23T12:00:00.1234567Z",
    "executionInfo": {
        "exitCode": 3, "result": "failure", "retryCount": 1, "requeueCount": 2,
        "failureInfo": {
            "category": "usererror", "code": "FailureExitCode", "message": "The task exited",
            "details": [{"name": "Message", "value": "unexpected"}],
        },
    },
    "nodeInfo": {"nodeId": "tvmps_1"},
}  # fmt: skip


def test_a_task_is_read_with_its_failure(server: Server, batch: AzureBatch) -> None:
    server.answer(200, TASK)
    task = batch.task("j", "a")
    assert (task.completed, task.succeeded, task.exit_code, task.node_id) == (True, False, 3, "tvmps_1")
    assert (task.retries, task.requeues) == (1, 2)
    assert task.changed == datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
    assert task.failure is not None
    assert task.failure.words() == "FailureExitCode: The task exited (Message: unexpected)"


def test_only_changed_tasks_are_asked_for_and_pages_are_followed(server: Server, batch: AzureBatch) -> None:
    server.answer(200, {"value": [TASK], "odata.nextLink": f"{server.url}/jobs/j/tasks?$skiptoken=1"})
    server.answer(200, {"value": [TASK | {"id": "b"}]})
    assert [task.id for task in batch.tasks("j", datetime(2026, 11, 23, tzinfo=UTC))] == ["a", "b"]
    assert "stateTransitionTime%20ge%20DateTime%272026-11-23T00%3A00%3A00.000000Z%27" in server.asked[0][1]


def test_a_service_without_that_filter_is_asked_for_all(server: Server, batch: AzureBatch) -> None:
    server.answer(400, wrong("InvalidQueryParameterValue"))
    server.answer(200, {"value": [TASK]})
    assert [task.id for task in batch.tasks("j", datetime(2026, 11, 23, tzinfo=UTC))] == ["a"]
    assert [task.id for task in batch.tasks("j", datetime(2026, 11, 23, tzinfo=UTC))] == ["a"]
    assert ["filter" in path for _, path, _, _ in server.asked] == [True, False, False]


def test_a_file_is_read_from_an_offset_and_past_its_end_is_nothing(server: Server, batch: AzureBatch) -> None:
    server.answer(200, b"tail")
    assert b"".join(batch.read_task_file("j", "a", "stdout.txt", 7)) == b"tail"
    assert {name.lower(): value for name, value in server.asked[0][3].items()}["ocp-range"].startswith("bytes=7-")
    server.answers = [(416, wrong("InvalidRange"), {})]
    assert b"".join(batch.read_task_file("j", "a", "stdout.txt", 99)) == b""


ERRORS = [
    (401, "AuthenticationFailed", Forbidden, "submitters"),
    (403, "InsufficientAccountPermissions", Forbidden, "added to the stack's `submitters`"),
    (404, "JobNotFound", NotFound, "job j does not exist (JobNotFound)"),
    (409, "JobExists", Conflict, "no (JobExists)"),
    (409, "ActiveJobAndScheduleQuotaReached", QuotaExceeded, "more quota"),
    (413, "RequestBodyTooLarge", RequestTooLarge, "no"),
    (429, "TooManyRequests", Throttled, "no"),
    (400, "InvalidPropertyValue", Refused, "no [PropertyName=x]"),
    (501, "NotImplemented", Refused, "does not have this: no (NotImplemented)"),
]


@pytest.mark.parametrize(("status", "code", "kind", "said"), ERRORS)
def test_service_errors_become_ours(
    server: Server, batch: AzureBatch, status: int, code: str, kind: type[JobsError], said: str
) -> None:
    server.answer(status, wrong(code, PropertyName="x") if status == 400 else wrong(code))
    with pytest.raises(kind) as caught:
        batch.end_when_done("j")
    assert said in str(caught.value)
    assert "RequestId" not in str(caught.value)
    assert isinstance(caught.value, ServiceError)
    assert caught.value.code == code


def test_an_error_without_a_body_is_still_told(server: Server, batch: AzureBatch) -> None:
    server.answer(404, b"not json")
    with pytest.raises(NotFound):
        batch.job("j")


@pytest.mark.parametrize(
    "body",
    [{}, [], "text", None, {"id": "j", "creationTime": "yesterday"}, {"id": "j", "metadata": "x"},
     {"id": "j", "poolInfo": 7}, {"id": "j", "metadata": [{"value": "x"}]}],
)  # fmt: skip
def test_an_answer_that_is_none_of_batch_is_the_services_failure(
    server: Server, batch: AzureBatch, body: object
) -> None:
    server.answer(200, body)
    with pytest.raises(ServiceError, match="job j: "):
        batch.job("j")


def test_a_service_that_is_not_there_is_unreachable() -> None:
    batch = AzureBatch(Connection(batch_endpoint="http://127.0.0.1:1", credential=SharedKey(account="a", key="a2V5")))
    batch._client._config.retry_policy.connect_retries = 0
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1 cannot be reached"):
        batch.job("j")


def test_no_token_is_told_with_what_to_do() -> None:
    told = translate(ClientAuthenticationError("no account"), "job j", "https://x")
    assert isinstance(told, Forbidden)
    assert "az login" in str(told)


def test_preparations_of_all_nodes_are_read(server: Server, batch: AzureBatch) -> None:
    info = {"startTime": "2026-11-23T12:00:00.1234567Z", "state": "completed", "retryCount": 1}
    failed = {"category": "UserError", "code": "FailureExitCode", "message": "it failed"}
    wire = {
        "poolId": "p",
        "nodeId": "n1",
        "nodeUrl": "https://x/pools/p/nodes/n1",
        "jobPreparationTaskExecutionInfo": {**info, "exitCode": 3, "result": "Failure", "failureInfo": failed},
        "jobReleaseTaskExecutionInfo": {**info, "exitCode": 0, "result": "Success"},
    }
    server.answer(200, {"value": [wire]})
    preparation, release = batch.preparations("j")
    assert server.asked[0][1].startswith("/jobs/j/jobpreparationandreleasetaskstatus?")
    assert (preparation.task, preparation.failed, preparation.exit_code, preparation.retries) == (
        "preparation", True, 3, 1,
    )  # fmt: skip
    assert (release.task, release.failed, release.folder) == ("release", False, "workitems/j/job-1/jobrelease")


def test_what_a_task_depends_on_and_whether_it_blocks_come_with_its_state(server: Server, batch: AzureBatch) -> None:
    parents = {"taskIds": ["x"], "taskIdRanges": [{"start": 1, "end": 3}]}
    rule = {"default": {"dependencyAction": "satisfy", "jobAction": "none"}}
    ended = {"result": "failure", "exitCode": 3, "retryCount": 0, "requeueCount": 0}
    tasks = [
        {"id": "a", "state": "completed", "executionInfo": ended},
        {"id": "b", "state": "completed", "executionInfo": ended, "exitConditions": rule},
        {"id": "c", "state": "active", "dependsOn": parents},
    ]
    server.answer(200, {"value": tasks})
    a, b, c = batch.tasks("j")
    assert (a.blocks, b.blocks, c.blocks) == (True, False, False)
    assert (c.parents, c.parent_ranges, a.depends) == (("x",), ((1, 3),), False)
    assert c.parent_among({"2"}) == "2"
    assert c.parent_among({"4", "y"}) is None
    assert "nodeInfo,dependsOn,exitConditions" in server.asked[0][1]
