"""Who may call: tokens and their rights, shared keys and where they are refused."""

from __future__ import annotations

from typing import Any

import pytest
from azure.batch import BatchClient, models
from azure.batch.aio import BatchClient as AsyncBatchClient
from azure.core.credentials import AzureNamedKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.core.pipeline.transport import AioHttpTransport

from testbeds.batch_service import SUBMITTER, LocalBatch, TokenOf
from tests.azure.batch.sdk import make_job


def test_shared_key_works_for_everything_on_an_account_that_allows_it(azure: LocalBatch) -> None:
    azure.account("keyed", allowedAuthenticationModes=None)
    azure.pool(account="keyed")
    client = azure.client("keyed", azure.key("keyed"))
    make_job(client)
    client.create_tasks("job", [models.BatchTaskCreateOptions(id="a", command_line="x")])
    azure.settle()
    assert [task.state for task in client.list_tasks("job", filter="state eq 'completed'", max_results=1)] == [
        "completed"
    ]
    azure.executor.write(azure.node_ids()[0], "workitems/job/job-1/a/wd/a b", b"!")
    assert b"".join(client.download_task_file("job", "a", "wd/a b", ocp_range="bytes=0-0")) == b"!"


def test_a_wrong_key_is_refused_with_403(azure: LocalBatch) -> None:
    azure.account("keyed", allowedAuthenticationModes=["SharedKey"])
    client = azure.client("keyed", AzureNamedKeyCredential("keyed", "d3Jvbmc="))
    with pytest.raises(HttpResponseError) as caught:
        client.get_job("x")
    assert caught.value.status_code == 403
    assert caught.value.error is not None and caught.value.error.code == "AuthenticationFailed"
    assert "string to sign" in str(caught.value)


def test_shared_key_is_refused_on_an_entra_only_account_in_the_services_words(azure: LocalBatch) -> None:
    client = azure.client(credential=azure.key())
    with pytest.raises(HttpResponseError) as caught:
        list(client.list_jobs())
    assert caught.value.status_code == 403
    assert "The specified type of authentication SharedKey is not allowed for this account." in str(caught.value)


def test_a_token_for_another_audience_is_refused_with_a_challenge(azure: LocalBatch) -> None:
    client = azure.client(credential=TokenOf(azure.cloud, SUBMITTER, "https://management.azure.com/"))
    with pytest.raises(ClientAuthenticationError) as caught:
        list(client.list_jobs())
    assert "audience" in str(caught.value)
    response: Any = caught.value.response
    assert "Bearer" in response.headers["WWW-Authenticate"]


def test_without_a_role_nothing_is_allowed_and_the_right_is_named(azure: LocalBatch) -> None:
    client = azure.client(credential=TokenOf(azure.cloud, "22222222-2222-2222-2222-222222222222"))
    with pytest.raises(HttpResponseError, match="batchAccounts/jobs/write") as caught:
        make_job(client)
    assert caught.value.status_code == 403


def test_a_removed_role_has_effect_at_once(azure: LocalBatch) -> None:
    client = azure.client()
    list(client.list_jobs())
    for assignment in azure.cloud.resources.list("Microsoft.Authorization/roleAssignments"):
        azure.do(azure.cloud.resources.delete, assignment.id)
    with pytest.raises(HttpResponseError) as caught:
        list(client.list_jobs())
    assert caught.value.status_code == 403


def test_a_contributor_of_the_subscription_may_not_touch_jobs(azure: LocalBatch) -> None:
    contributor, principal = "b24988ac-6180-42a0-ab88-20f7382dd24c", "33333333-3333-3333-3333-333333333333"
    azure.grant(principal, contributor, azure.cloud.subscription_scope)
    client = azure.client(credential=TokenOf(azure.cloud, principal))
    list(client.list_pools())
    with pytest.raises(HttpResponseError) as caught:
        list(client.list_jobs())
    assert caught.value.status_code == 403


def test_the_error_of_a_nameless_request_is_encoded_like_any_other(azure: LocalBatch) -> None:
    from azure.core.rest import HttpRequest

    client: BatchClient = azure.client()
    for path, status, code in (
        ("/jobs", 400, "MissingRequiredQueryParameter"),
        ("/jobs?api-version=later", 400, "InvalidQueryParameterValue"),
        ("/jobs?api-version=2025-06-01&colour=red", 400, "UnsupportedQueryParameter"),
        ("/shelves?api-version=2025-06-01", 404, "ResourceNotFound"),
    ):
        with pytest.raises(HttpResponseError) as caught:
            client.send_request(HttpRequest("GET", azure.endpoint() + path))
        assert caught.value.status_code == status
        assert caught.value.error is not None and caught.value.error.code == code


async def test_the_asynchronous_client_works_too(azure: LocalBatch) -> None:
    azure.account("keyed", allowedAuthenticationModes=None)
    transport = AioHttpTransport(connection_verify=str(azure.paths.ca))
    async with AsyncBatchClient(azure.endpoint("keyed"), azure.key("keyed"), transport=transport) as client:
        await client.create_job(models.BatchJobCreateOptions(id="job", pool_info=models.BatchPoolInfo(pool_id="pool")))
        assert [job.id async for job in client.list_jobs()] == ["job"]
