"""What recordings of the real service prove about the data plane's answers (docs/azure-facts.md#forms-on-the-wire)."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from azure.batch import models
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest, HttpResponse

from local.azure.batch.model.durations import dotnet_ticks, parse_stamp
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, make_job


def ask(local: LocalBatch, method: str, path: str, body: object = None) -> HttpResponse:
    """A request as it is on the wire, and its answer settled."""
    query = "&" if "?" in path else "?"
    request = HttpRequest(method, f"{local.endpoint()}{path}{query}api-version=2025-06-01", json=body)
    try:
        response = local.client().send_request(request)
    except HttpResponseError as refused:
        assert refused.response is not None
        return refused.response  # type: ignore[return-value]
    finally:
        local.settle()
    return response


def test_lists_come_in_the_order_of_ids_and_pages_go_on_when_something_was_deleted(azure: LocalBatch) -> None:
    client = azure.client()
    for name in ("b", "C", "a"):
        make_job(client, name)
        azure.pool(name, nodes=0)
    add(client, *(f"t{number}" for number in (3, 1, 2)), job="a")
    assert [job.id for job in client.list_jobs()] == [pool.id for pool in client.list_pools()] == ["a", "b", "C"]
    assert [counts.pool_id for counts in client.list_pool_node_counts()] == ["a", "b", "C"]
    pages = client.list_tasks("a", max_results=1).by_page()
    assert [task.id for task in next(pages)] == ["t1"]
    client.delete_task("a", "t1")
    assert [task.id for page in pages for task in page] == ["t2", "t3"]


def test_etags_are_the_ticks_of_the_last_change_and_what_the_service_does_leaves_them(node: LocalBatch) -> None:
    client = node.client()
    make_job(client)
    add(client, "t")
    before = client.get_task("job", "t")
    assert before.etag == f"0x{dotnet_ticks(before.last_modified):X}"
    node.settle()
    node.do(node.executor.end, node.executor.run_of("t"), 0)
    after = client.get_task("job", "t")
    assert after.state == "completed" and (after.etag, after.last_modified) == (before.etag, before.last_modified)
    job = client.get_job("job").etag
    client.begin_disable_job("job", models.BatchJobDisableOptions(disable_tasks="wait")).wait()
    assert client.get_job("job").etag != job


def test_an_etag_from_before_a_run_still_holds(node: LocalBatch) -> None:
    client = node.client()
    make_job(client)
    add(client, "t")
    etag = client.get_task("job", "t").etag
    node.settle()
    client.terminate_task("job", "t", etag=etag, match_condition=MatchConditions.IfNotModified)


def test_durations_come_back_canonical(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client)
    body = {"constraints": {"maxWallClockTime": "P3Y6M4DT12H30M5S"}}
    assert ask(azure, "PATCH", "/jobs/job", body).status_code == 200
    shown = ask(azure, "GET", "/jobs/job").json()["constraints"]["maxWallClockTime"]
    assert shown == "P1279DT12H30M5S"


def test_words_have_the_services_case(node: LocalBatch) -> None:
    client = node.client()
    make_job(client)
    output = models.OutputFile(
        file_pattern="*",
        destination=models.OutputFileDestination(
            container=models.OutputFileBlobContainerDestination(
                container_url="https://x.example/c",
                upload_headers=[models.OutputFileUploadHeader(name="x-ms-meta-a", value="b")],
            )
        ),
        upload_options=models.OutputFileUploadConfiguration(upload_condition="taskfailure"),
    )
    add(client, "t", output_files=[output])
    node.settle()
    (sent,) = node.executor.runs[node.executor.run_of("t")][1].output_files
    assert (sent.condition, sent.headers) == ("taskfailure", (("x-ms-meta-a", "b"),))
    node.do(node.executor.end, node.executor.run_of("t"), 1)
    task = ask(node, "GET", "/jobs/job/tasks/t").json()
    assert task["outputFiles"][0]["uploadOptions"]["uploadCondition"] == "TaskFailure"
    assert task["executionInfo"]["failureInfo"]["category"] == "UserError"
    pool = ask(node, "GET", "/pools/pool").json()
    assert pool["taskSchedulingPolicy"] == {"nodeFillType": "Spread"} and pool["vmSize"] == "standard_d2s_v3"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PATCH", "/jobs/job", {}, 200),
        ("PUT", "/jobs/job", {"poolInfo": {"poolId": "pool"}}, 200),
        ("POST", "/jobs/job/disable", {"disableTasks": "wait"}, 202),
        ("POST", "/jobs/job/terminate", {}, 202),
        ("PUT", "/jobs/job/tasks/t", {}, 200),
        ("POST", "/jobs/job/tasks/t/terminate", None, 204),
        ("POST", "/pools/pool/resize", {"targetDedicatedNodes": 0}, 202),
        ("POST", "/pools/pool/updateproperties", {"applicationPackageReferences": [], "metadata": []}, 204),
    ],
)
def test_verbs_name_their_address_and_the_new_etag(
    azure: LocalBatch, method: str, path: str, body: object, status: int
) -> None:
    azure.pool(nodes=0)
    client = azure.client()
    make_job(client)
    add(client, "t")
    response = ask(azure, method, path, body)
    assert response.status_code == status
    assert response.headers["DataServiceId"] == f"{azure.endpoint()}{path}"
    assert response.headers["ETag"].startswith("0x8") and response.headers["Last-Modified"].endswith("GMT")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Strict-Transport-Security"].startswith("max-age=31536000")


def test_a_new_jobs_address_ends_in_job_1_whatever_its_id(azure: LocalBatch) -> None:
    response = ask(azure, "POST", "/jobs", {"id": "mine", "poolInfo": {"poolId": "p"}})
    assert response.headers["Location"] == response.headers["DataServiceId"] == f"{azure.endpoint()}/jobs/job-1"


def test_a_put_without_metadata_removes_it(azure: LocalBatch) -> None:
    client = azure.client()
    make_job(client, metadata=[models.BatchMetadataItem(name="a", value="b")])
    assert ask(azure, "PUT", "/jobs/job", {"poolInfo": {"poolId": "pool"}}).status_code == 200
    assert client.get_job("job").metadata is None


def test_a_request_without_credential_is_answered_400_by_the_headers_name(azure: LocalBatch) -> None:
    import requests

    address = f"{azure.endpoint()}/jobs?api-version=2025-06-01"
    response = requests.get(address, verify=str(azure.paths.ca), timeout=10)
    assert (response.status_code, response.json()["code"]) == (400, "MissingRequiredHeader")
    assert response.json()["values"] == [{"key": "HeaderName", "value": "Authorization"}]
    assert "WWW-Authenticate" not in response.headers


def error(response: HttpResponse) -> tuple[int, str, str, dict[str, str]]:
    body = response.json()
    values = {one["key"]: one["value"] for one in body.get("values", ())}
    return response.status_code, body["code"], body["message"]["value"].splitlines()[0], values


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        (
            "POST",
            "/jobs",
            {"id": "x", "poolInfo": {"poolId": "p"}, "colour": 1},
            (
                400,
                "InvalidRequestBody",
                "The specified Request Body is not syntactically valid.",
                {
                    "Reason": "The property 'colour' does not exist on type "
                    "'Microsoft.Azure.Batch.Protocol.Entities.CloudJob'. Make sure to only use property names that are "
                    "defined by the type."
                },
            ),
        ),
        (
            "GET",
            "/pools?maxresults=-5",
            None,
            (
                400,
                "InvalidQueryParameterValue",
                "Value for one of the query parameters specified in the request URI is invalid.",
                {
                    "QueryParameterName": "maxresults",
                    "QueryParameterValue": "-5",
                    "Reason": "MaxResults cannot be less than 1",
                },
            ),
        ),
        (
            "GET",
            "/jobs/job/jobpreparationandreleasetaskstatus",
            None,
            (
                409,
                "JobPreparationTaskOrReleaseTaskNotSpecified",
                "The specified job does not have either job preparation task or job release task.",
                {},
            ),
        ),
        (
            "POST",
            "/jobs",
            {"id": "no good", "poolInfo": {"poolId": "p"}},
            (
                400,
                "InvalidPropertyValue",
                "The value provided for one of the properties in the request body is invalid.",
                {
                    "PropertyName": "id",
                    "PropertyValue": "no good",
                    "Reason": "1 to 64 letters, digits, hyphens and underscores",
                },
            ),
        ),
    ],
)
def test_errors_have_the_services_words(
    azure: LocalBatch, method: str, path: str, body: object, expected: tuple[int, str, str, dict[str, str]]
) -> None:
    make_job(azure.client())
    response = ask(azure, method, path, body)
    assert error(response) == expected
    time = response.json()["message"]["value"].splitlines()[2]
    assert len(time.rsplit(".", 1)[1]) == len("1234567Z")


def test_files_come_in_chunks_without_etag_and_their_address_is_encoded_as_a_whole(node: LocalBatch) -> None:
    client = node.client()
    make_job(client)
    add(client, "t")
    node.settle()
    (node_id,) = node.node_ids()
    node.executor.write(node_id, "workitems/job/job-1/t/stdout.txt", b"hello")
    path = "/jobs/job/tasks/t/files/stdout.txt"
    head, got = ask(node, "HEAD", path), ask(node, "GET", path)
    assert head.headers["Content-Length"] == "5" and "Content-Length" not in got.headers
    assert got.headers["Transfer-Encoding"] == "chunked" and got.content == b"hello"
    assert "ETag" not in got.headers and "ETag" not in head.headers
    assert head.headers["ocp-batch-file-url"] == quote(f"{node.endpoint()}{path}", safe="")


def test_a_node_that_is_being_made_has_not_booted(manual: LocalBatch) -> None:
    async def late(spec: object) -> None:
        """A node whose machine does not come."""

    manual.executor.create_node = late  # type: ignore[method-assign]
    manual.pool(nodes=1, startTask={"commandLine": "prepare"})
    (node,) = ask(manual, "GET", "/pools/pool/nodes").json()["value"]
    assert node["state"] == "creating"
    assert not {"lastBootTime", "nodeAgentInfo", "startTask"} & set(node)


def test_recent_tasks_come_oldest_first(azure: LocalBatch) -> None:
    azure.pool(nodes=1)
    client = azure.client()
    make_job(client)
    for name in ("first", "second"):
        add(client, name)
        azure.settle()
    shown = client.get_node("pool", azure.node_ids()[0]).recent_tasks
    assert shown is not None and [one.task_id for one in shown] == ["first", "second"]


def test_counts_lag_when_they_shall(clocked: LocalBatch) -> None:
    clocked.pool(nodes=1)
    client = clocked.client()
    make_job(client)
    account = clocked.service.account("mybatch")
    assert account is not None
    account.count_lag = timedelta(seconds=30)
    add(client, "t")
    clocked.settle()
    assert client.get_job_task_counts("job").task_counts.completed == 0
    clocked.advance(seconds=30)
    assert client.get_job_task_counts("job").task_counts.completed == 1


def test_a_task_that_changed_more_than_once_meanwhile_counts_as_it_was(timed: LocalBatch) -> None:
    client = timed.client()
    make_job(client)
    add(client, "t")
    timed.wait(minutes=1)
    timed.pool(nodes=1)  # the job waited for it
    timed.do(timed.executor.node_up, timed.node_ids()[0])
    run = timed.executor.run_of("t")
    timed.do(timed.executor.begin, run)
    timed.do(timed.executor.end, run)
    account = timed.service.account("mybatch")
    assert account is not None
    account.count_lag = timedelta(seconds=30)
    counts = client.get_job_task_counts("job").task_counts
    assert (counts.active, counts.running, counts.completed) == (1, 0, 0)
    timed.wait(minutes=0.5)
    counts = client.get_job_task_counts("job").task_counts
    assert (counts.active, counts.running, counts.completed) == (0, 0, 1)


def test_a_time_limit_of_the_server_is_a_number(azure: LocalBatch) -> None:
    assert ask(azure, "GET", "/jobs?timeOut=30").status_code == 200
    refused = ask(azure, "GET", "/jobs?timeOut=soon")
    assert refused.status_code == 400 and refused.json()["code"] == "InvalidQueryParameterValue"


def test_a_terminated_task_without_exit_conditions_leaves_its_job_active(node: LocalBatch) -> None:
    client = node.client()
    make_job(client, task_failure_mode="performexitoptionsjobaction")
    add(client, "runs", "waits", "fails", required_slots=2)
    node.settle()
    for name in ("waits", "runs"):
        client.terminate_task("job", name)
        node.settle()
    assert client.get_job("job").state == "active"
    node.do(node.executor.end, node.executor.run_of("fails"), 1)
    assert client.get_job("job").state == "completed"


def test_a_reactivated_task_has_nothing_of_its_last_run(node: LocalBatch) -> None:
    client = node.client()
    make_job(client)
    add(client, "t")
    node.settle()
    node.do(node.executor.end, node.executor.run_of("t"), 1)
    client.disable_node_scheduling("pool", node.node_ids()[0], {"nodeDisableSchedulingOption": "requeue"})  # type: ignore[arg-type]
    response = ask(node, "POST", "/jobs/job/tasks/t/reactivate")
    assert response.status_code == 204 and response.headers["ETag"] and "DataServiceId" not in response.headers
    task = ask(node, "GET", "/jobs/job/tasks/t").json()
    assert task["executionInfo"] == {"retryCount": 0, "requeueCount": 0}
    assert "nodeInfo" not in task and task["previousState"] == "completed"


def test_times_in_bodies_end_without_zeros(clocked: LocalBatch) -> None:
    make_job(clocked.client())
    shown = ask(clocked, "GET", "/jobs/job").json()["creationTime"]
    assert shown == "2026-01-01T00:00:00Z" and isinstance(parse_stamp(shown), datetime)
