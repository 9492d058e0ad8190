"""Lists of tasks: pages and filters, which look only where something can be, beside a plain look at all tasks."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.rest import HttpRequest

from local.azure.batch.data_plane.filters import parse_filter
from local.azure.batch.data_plane.operations.tasks import SHOWN
from local.azure.batch.model import Task
from local.azure.batch.model.states import TaskState
from local.azure.batch.model.task import with_defaults
from local.azure.batch.scheduling.turn import Turn
from testbeds.batch_service import LocalBatch
from tests.azure.batch.sdk import make_job

FILTERS = [
    "",
    "startswith(id, 'T-1')",
    "startswith(id, 't-12') and state eq 'completed'",
    "state eq 'active'",
    "state eq 'preparing'",
    "state eq 'running'",
    "state eq 'Completed' and executionInfo/result eq 'failure'",
    "executionInfo/result eq 'success'",
    "executionInfo/result eq null",
    "executionInfo/exitCode ne 0",
    "state eq 'active' or state eq 'running'",
    "not state eq 'completed'",
    "id eq 'T-17'",
    "id eq 'nobody'",
    "state eq 'nonsense'",
    "stateTransitionTime ge DateTime'2026-01-01T00:01:00Z'",
    "nodeInfo/nodeId eq 'n1'",
    "displayName eq 'even'",
    "executionInfo/retryCount gt 1 and displayName eq 'even'",
]


def fill(local: LocalBatch, count: int) -> list[dict[str, Any]]:
    """Tasks in all states, put into the service; as they are on the wire, in order."""
    account = local.service.account("mybatch")
    assert account is not None
    chance, made = random.Random(7), []
    for number in range(count):
        name, state = f"{'T' if number % 2 else 't'}-{number}", chance.choice(list(TaskState))
        since = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
        task = Task(
            id=name,
            job_id="job",
            number=number + 10,
            created=since,
            changed=since,
            state_since=since,
            state=state,
            body=with_defaults({"id": name, "commandLine": "x", "displayName": "odd" if number % 2 else "even"}, 0),
            retries=number % 4,
            pool_id="pool",
            node_id=f"n{number % 3}",
            run_id=name,
        )
        if state is TaskState.COMPLETED:
            task.exit_code = number % 2
            task.result, task.ended = ("failure" if number % 2 else "success"), since
        made.append(task)
        local.do(account.scheduling.do, Turn.add, task)
    return [task.view(account.url) for task in sorted(made, key=lambda task: task.id.lower())]


@pytest.fixture
def job(manual: LocalBatch) -> LocalBatch:
    make_job(manual.client())
    return manual


def test_every_filter_gives_what_looking_at_all_tasks_gives(job: LocalBatch) -> None:
    views, client = fill(job, 60), job.client()
    for text in FILTERS:
        keep = parse_filter(text, SHOWN) if text else lambda item: True
        expected = [view["id"] for view in views if keep(view)]
        for size in (1000, 7):
            url: str | None = f"{job.endpoint()}/jobs/job/tasks?api-version=2025-06-01&maxresults={size}"
            url += f"&$filter={text}" if text else ""
            found: list[str] = []
            while url:
                answer = client.send_request(HttpRequest("GET", url)).json()
                assert len(answer["value"]) <= size
                found += [one["id"] for one in answer["value"]]
                url = answer.get("odata.nextLink")
            assert found == expected, (text, size)


def test_a_page_makes_the_wire_form_of_what_is_on_it_only(job: LocalBatch, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(job, 60)
    made: list[str] = []
    view = Task.view
    monkeypatch.setattr(Task, "view", lambda task, url: made.append(task.id) or view(task, url))
    url = f"{job.endpoint()}/jobs/job/tasks?api-version=2025-06-01&maxresults=5&$filter=state ne 'active'"
    answer = job.client().send_request(HttpRequest("GET", url)).json()
    assert made == [one["id"] for one in answer["value"]] and len(made) == 5


def test_counts_are_those_of_all_tasks_also_after_a_restart(job: LocalBatch) -> None:
    views = fill(job, 60)
    shown = [view["state"] for view in views]
    for _ in range(2):
        counts = job.client().get_job_task_counts("job").task_counts
        assert (counts.active, counts.completed) == (shown.count("active"), shown.count("completed"))
        assert counts.running == shown.count("running") + shown.count("preparing")
        assert counts.failed == sum(view["executionInfo"].get("result") == "failure" for view in views)
        account = job.service.account("mybatch")
        assert account is not None
        again = type(account.state)(account.cloud.store, "mybatch")
        assert again.counts(again.jobs["job"]) == account.state.counts(account.state.jobs["job"])
        assert [task.to_json() for task in again.all_tasks()] == [task.to_json() for task in account.state.all_tasks()]
