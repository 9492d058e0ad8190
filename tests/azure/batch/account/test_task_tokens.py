"""`authenticationTokenSettings`: a task, the job manager's too, works on its own job with the token of its run."""

from __future__ import annotations

from typing import Any

import pytest
from azure.batch import BatchClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest

from local.node.contract import RunSpec
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import add, code_of, end, make_job

VARIABLE = "AZ_BATCH_AUTHENTICATION_TOKEN"
ACCESS = {"authenticationTokenSettings": {"access": ["job"]}}  # the models of 15.1 have it not any more


class Given:
    """A credential that a task makes of its environment."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken(self._token, 2**40)


def run_of(local: LocalBatch, task: str) -> RunSpec:
    local.settle()
    return local.executor.runs[local.executor.run_of(task)][1]


def client_of(local: LocalBatch, task: str) -> BatchClient:
    """What the task would make of its environment."""
    return local.client(credential=Given(run_of(local, task).environment[VARIABLE]))


def post(local: LocalBatch, path: str, body: dict[str, Any]) -> None:
    address = f"{local.endpoint()}{path}?api-version=2024-07-01.20.0"
    assert local.client().send_request(HttpRequest("POST", address, json=body)).status_code == 201


def add_with_token(local: LocalBatch, task: str) -> None:
    post(local, "/jobs/job/tasks", {"id": task, "commandLine": "x", **ACCESS})


@pytest.fixture
def account(node: LocalBatch) -> LocalBatch:
    """All kinds of authentication are allowed, as of an account that names none."""
    node.account(allowedAuthenticationModes=None)
    make_job(node.client())
    return node


def test_a_job_manager_adds_the_tasks_of_its_job(account: LocalBatch) -> None:
    manager = {"id": "manager", "commandLine": "x", "runExclusive": False, **ACCESS}
    post(account, "/jobs", {"id": "managed", "poolInfo": {"poolId": "pool"}, "jobManagerTask": manager})
    theirs = client_of(account, "manager")
    add(theirs, "a", "b", job="managed")
    assert sorted(str(task.id) for task in theirs.list_tasks("managed")) == ["a", "b", "manager"]
    assert theirs.get_job("managed").state == "active"


def test_a_token_gives_access_to_no_other_job_and_to_no_pool(account: LocalBatch) -> None:
    add_with_token(account, "t")
    make_job(account.client(), "other")
    theirs = client_of(account, "t")
    for request in (
        lambda: theirs.get_job("other"),
        lambda: add(theirs, "x", job="other"),
        lambda: list(theirs.list_jobs()),
        lambda: list(theirs.list_pools()),
    ):
        with pytest.raises(HttpResponseError) as caught:
            request()
        assert code_of(caught) == (403, "PermissionDenied")


def test_a_token_is_good_while_its_run_goes_on(account: LocalBatch) -> None:
    add_with_token(account, "t")
    theirs = client_of(account, "t")
    theirs.get_job("job")
    account.restart()
    theirs.get_job("job")  # the same token: the account's secret is kept
    end(account, "t")
    with pytest.raises(HttpResponseError) as caught:
        theirs.get_job("job")
    assert code_of(caught) == (403, "AuthenticationFailed")


def test_a_task_that_asks_for_none_has_no_token(account: LocalBatch) -> None:
    add(account.client(), "t")
    assert VARIABLE not in run_of(account, "t").environment


def test_an_account_may_allow_no_tokens_of_tasks(node: LocalBatch) -> None:
    make_job(node.client())
    add_with_token(node, "t")
    with pytest.raises(HttpResponseError) as caught:
        client_of(node, "t").get_job("job")
    assert code_of(caught) == (403, "AuthenticationFailed")
    assert "TaskAuthenticationToken" in str(caught.value)
