"""Every documented error code of the Batch service: a request that is answered with it, or why there is none.

The codes are those of learn.microsoft.com/rest/api/batchservice/batch-status-and-error-codes, with those that newer
operations have.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.azure.batch import errors
from local.azure.batch.account import quotas
from local.azure.batch.data_plane.coverage import UNANSWERED
from local.azure.batch.scheduling.turn import Turn
from local.azure.platform.faults import Rule
from local.node.contract import NodeState
from testbeds.batch_service import IMAGE, SUBMITTER, LocalBatch, TokenOf

DOCUMENTED = """
ConditionNotMet MissingRequiredHeader MissingRequiredProperty UnsupportedHeader UnsupportedProperty InvalidHeaderValue
InvalidPropertyValue MissingRequiredQueryParameter UnsupportedQueryParameter InvalidQueryParameterValue
OutOfRangeQueryParameterValue RequestUrlFailedToParse InvalidUri InvalidHttpVerb EmptyMetadataKey InvalidRequestBody
OutOfRangeInput InvalidAuthenticationInfo InvalidInput InvalidMetadata MetadataTooLarge
MultipleConditionHeadersNotSupported AuthenticationFailed InsufficientAccountPermissions AccountIsDisabled
ResourceNotFound UnsupportedHttpVerb MissingContentLengthHeader RequestBodyTooLarge InvalidRange InternalError
OperationTimedOut ServerBusy
UnsupportedRequestVersion InvalidAutoScalingSettings AutoScalingFormulaSyntaxError AutoScalingFormulaTooLong
OSVersionNotFound OSVersionDisabled OSVersionExpired PoolVersionEqualsUpgradeVersion PoolNotEligibleForOSVersionUpgrade
PoolNotFound NodeNotFound JobScheduleNotFound JobNotFound TaskNotFound FileNotFound NodeUserNotFound CertificateNotFound
JobPreparationTaskNotRunOnNode JobReleaseTaskNotRunOnNode NodeAgentSKUNotFound OperationInvalidForCurrentState
PoolBeingDeleted PoolBeingResized PoolBeingCreated NodeBeingCreated NodeBeingStarted NodeBeingReimaged
NodeBeingRebooted NodeStateUnusable JobScheduleBeingTerminated JobScheduleBeingDeleted CertificateBeingDeleted
PoolExists JobScheduleExists NodeUserExists JobExists CertificateExists JobScheduleDisabled JobScheduleCompleted
JobBeingTerminated JobBeingDeleted JobDisabled JobCompleted JobNotActive TaskExists TaskCompleted TaskNotCompleted
TaskSucceeded TaskFilesUnavailable TaskFilesCleanedup ActiveJobAndScheduleQuotaReached PoolQuotaReached
UpgradePoolVersionConflict JobPreparationTaskNotSpecified JobReleaseTaskNotSpecified TaskIdSameAsJobPreparationTask
TaskIdSameAsJobReleaseTask JobWithSameIdExists JobScheduleWithSameIdExists NodeAlreadyInTargetSchedulingState
OperationNotValidOnNode OperationNotValidOnPool IOError TooManyEnableAutoScaleRequests ApplicationNotFound
InvalidApplicationPackageReferences TaskDependenciesNotSpecifiedOnJob TaskDependencyListTooLong
TaskDependencyRangesTooLong
JobNotDisabled NodeNotReady PermissionDenied JobPreparationTaskOrReleaseTaskNotSpecified VMExtensionNotFound
TooManyRequests PropertyCannotBeUpdated
"""

VERSION = "api-version=2025-06-01"
FORMULA = "$TargetDedicatedNodes = 0"
MACHINE = {"imageReference": IMAGE, "nodeAgentSKUId": "batch.node.ubuntu 24.04"}
POOL = {"id": "other", "vmSize": "STANDARD_D2S_V3", "virtualMachineConfiguration": MACHINE}
JOB = {"id": "job", "poolInfo": {"poolId": "pool"}}
TASK = {"id": "t", "commandLine": "x"}
POOL_INFO = {"poolInfo": {"poolId": "pool"}}
SCHEDULE = {"id": "schedule", "schedule": {"recurrenceInterval": "PT1H"}, "jobSpecification": POOL_INFO}
FUTURE = {**SCHEDULE, "schedule": {"doNotRunUntil": "2999-01-01T00:00:00Z"}}


class Scene:
    """An account with the pool "pool" of one node that is up, and requests to it as any client might write them."""

    def __init__(self, local: LocalBatch) -> None:
        self.local = local
        account = local.service.account("mybatch")
        assert account is not None
        self.account = account
        self.token = TokenOf(local.cloud, SUBMITTER).get_token().token
        self.context = ssl.create_default_context(cafile=str(local.paths.ca))

    @property
    def node_id(self) -> str:
        return next(iter(self.account.state.nodes))

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str | None] | None = None
    ) -> tuple[int, str]:
        """The status, and the code of an error ("" without one). Braces in the path: {node} is the node's id."""
        path = path.replace("{node}", self.node_id) if "{node}" in path else path
        if "api-version" not in path and "anyversion" not in path:
            path += f"{'&' if '?' in path else '?'}{VERSION}"
        content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent: dict[str, str | None] = {"Authorization": f"Bearer {self.token}", "Content-Length": str(len(content))}
        connection = http.client.HTTPSConnection(urlsplit(self.account.url).netloc, context=self.context, timeout=20)
        connection.putrequest(method, path.replace("?anyversion", ""))
        for name, value in {**sent, **(headers or {})}.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(content or None)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        self.local.settle()
        if answer.status == 304:
            return 304, "ConditionNotMet"
        return answer.status, json.loads(text)["code"] if answer.status >= 400 and text else ""

    def done(self, method: str, path: str, body: Any = None) -> None:
        status, code = self.ask(method, path, body)
        assert status < 300, (method, path, status, code)

    def become(self, state: NodeState) -> None:
        """The node is in this state."""

        def become(turn: Turn) -> None:
            node = turn.state.nodes[self.node_id]
            with turn.change(node):
                node.become(state, turn.now)

        self.local.do(self.account.scheduling.do, become)

    def run(self, task: str = "t", code: int = 0) -> None:
        self.local.do(self.local.executor.end, self.local.executor.run_of(task), code)


@dataclass
class Case:
    """`status` and `code` answer the request, once what is in `before` was done."""

    code: str
    status: int
    method: str
    path: str
    body: Any = None
    before: list[tuple[Any, ...] | Callable[[Scene], Any]] = field(default_factory=list)
    headers: dict[str, str | None] = field(default_factory=dict)


MAKE_JOB = ("POST", "/jobs", JOB)
MAKE_TASK = ("POST", "/jobs/job/tasks", TASK)
WITH_JOB_TASKS = {
    **JOB,
    "jobPreparationTask": {"id": "prepare", "commandLine": "x"},
    "jobReleaseTask": {"id": "release", "commandLine": "x"},
}
USER = {"name": "me", "password": "Secret-1"}


def silent(scene: Scene) -> None:
    """Nodes hear nothing of the end of a run, so that it goes on."""

    async def lost(node_id: str, run_id: str) -> None:
        """Never sent."""

    scene.local.executor.terminate_run = lost  # type: ignore[method-assign]


def many_pools(scene: Scene) -> None:
    for number in range(quotas.POOLS - 1):
        scene.done("POST", "/pools", {**POOL, "id": f"p{number}"})


def many_jobs(scene: Scene) -> None:
    for number in range(quotas.ACTIVE_JOBS_AND_SCHEDULES):
        scene.done("POST", "/jobs", {**JOB, "id": f"j{number}"})


def defect(scene: Scene) -> None:
    def fails(job_id: str) -> None:
        raise ZeroDivisionError

    scene.account.state.jobs = type("Broken", (dict,), {"get": lambda self, key: fails(key)})(scene.account.state.jobs)


def stranger(scene: Scene) -> None:
    scene.token = TokenOf(scene.local.cloud, "22222222-2222-2222-2222-222222222222").get_token().token


def throttled(scene: Scene) -> None:
    scene.local.cloud.faults.set(Rule("batch", "throttle"))


CASES = [
    Case("ConditionNotMet", 304, "GET", "/jobs/job", None, [MAKE_JOB], {"If-None-Match": "*"}),
    Case("ConditionNotMet", 412, "DELETE", "/jobs/job", None, [MAKE_JOB], {"If-Match": "0x1"}),
    Case("MissingRequiredHeader", 400, "GET", "/jobs", headers={"Authorization": None}),
    Case("MissingRequiredProperty", 400, "POST", "/jobs", {"id": "job"}),
    Case("InvalidHeaderValue", 400, "GET", "/jobs/job", None, [MAKE_JOB], {"If-Modified-Since": "soon"}),
    Case("InvalidPropertyValue", 400, "POST", "/jobs", {**JOB, "priority": 1001}),
    Case("MissingRequiredQueryParameter", 400, "GET", "/jobs?anyversion"),
    Case("UnsupportedQueryParameter", 400, "GET", "/jobs?colour=red"),
    Case("InvalidQueryParameterValue", 400, "GET", "/jobs?maxresults=0"),
    Case("InvalidUri", 400, "GET", "/jobs//tasks"),
    Case("InvalidHttpVerb", 400, "PROPFIND", "/jobs"),
    Case("EmptyMetadataKey", 400, "POST", "/jobs", {**JOB, "metadata": [{"name": "", "value": "x"}]}),
    Case("InvalidRequestBody", 400, "POST", "/jobs", b"{"),
    Case(
        "InvalidAuthenticationInfo",
        400,
        "GET",
        "/jobs",
        headers={"Authorization": "SharedKey mybatch"},
        before=[lambda scene: scene.local.account(allowedAuthenticationModes=["SharedKey"])],
    ),
    Case(
        "MultipleConditionHeadersNotSupported",
        400,
        "GET",
        "/jobs/job",
        None,
        [MAKE_JOB],
        {"If-Match": "*", "If-None-Match": "*"},
    ),
    Case("AuthenticationFailed", 401, "GET", "/jobs", headers={"Authorization": "Bearer nonsense"}),
    Case("AuthenticationFailed", 403, "GET", "/jobs", headers={"Authorization": "SharedKey mybatch:c2lnbmF0dXJl"}),
    Case("PermissionDenied", 403, "GET", "/jobs", before=[stranger]),
    Case("ResourceNotFound", 404, "GET", "/shelves"),
    Case("UnsupportedHttpVerb", 405, "PATCH", "/jobs", {}),
    Case("MissingContentLengthHeader", 411, "POST", "/jobs", headers={"Content-Length": None}),
    Case("RequestBodyTooLarge", 413, "POST", "/jobs", b" " * (1024 * 1024 + 1)),
    Case(
        "InvalidRange",
        416,
        "GET",
        "/jobs/job/tasks/t/files/stdout.txt",
        None,
        [MAKE_JOB, MAKE_TASK],
        {"ocp-range": "bytes=9-"},
    ),
    Case("InternalError", 500, "GET", "/jobs/job", before=[defect]),
    Case("TooManyRequests", 429, "GET", "/jobs", before=[throttled]),
    Case("UnsupportedRequestVersion", 400, "GET", "/jobs?api-version=2013-01-01"),
    Case("AutoScalingFormulaSyntaxError", 400, "POST", "/pools/pool/enableautoscale", {"autoScaleFormula": "$x ="}),
    Case("AutoScalingFormulaTooLong", 400, "POST", "/pools/pool/enableautoscale", {"autoScaleFormula": "x" * 8193}),
    Case(
        "TooManyEnableAutoScaleRequests",
        errors.TooManyEnableAutoScaleRequests.status,
        "POST",
        "/pools/other/enableautoscale",
        {"autoScaleFormula": FORMULA},
        [("POST", "/pools", POOL), ("POST", "/pools/other/enableautoscale", {"autoScaleFormula": FORMULA})],
    ),
    Case("PoolNotFound", 404, "GET", "/pools/nobody"),
    Case("NodeNotFound", 404, "GET", "/pools/pool/nodes/nobody"),
    Case("JobScheduleNotFound", 404, "GET", "/jobschedules/nobody"),
    Case("JobNotFound", 404, "GET", "/jobs/nobody"),
    Case("TaskNotFound", 404, "GET", "/jobs/job/tasks/nobody", None, [MAKE_JOB]),
    Case("FileNotFound", 404, "GET", "/pools/pool/nodes/{node}/files/nothing.txt"),
    Case("NodeUserNotFound", 404, "DELETE", "/pools/pool/nodes/{node}/users/nobody"),
    Case("VMExtensionNotFound", 404, "GET", "/pools/pool/nodes/{node}/extensions/nothing"),
    Case("ApplicationNotFound", 404, "GET", "/applications/nothing"),
    Case("OperationInvalidForCurrentState", 409, "POST", "/jobs/job/enable", None, [MAKE_JOB]),
    Case(
        "PoolBeingDeleted", 409, "DELETE", "/pools/pool", None, [MAKE_JOB, MAKE_TASK, silent, ("DELETE", "/pools/pool")]
    ),
    Case(
        "PoolBeingResized",
        409,
        "POST",
        "/pools/pool/resize",
        {"targetDedicatedNodes": 1},
        [MAKE_JOB, MAKE_TASK, silent, ("POST", "/pools/pool/resize", {"targetDedicatedNodes": 0})],
    ),
    Case("PropertyCannotBeUpdated", 400, "PATCH", "/pools/pool", {"vmSize": "STANDARD_D4S_V3"}),
    *(
        Case(code, 409, "POST", "/pools/pool/nodes/{node}/reboot", None, [partial(Scene.become, state=state)])
        for code, state in (
            ("NodeBeingCreated", NodeState.CREATING),
            ("NodeBeingStarted", NodeState.STARTING),
            ("NodeBeingReimaged", NodeState.REIMAGING),
            ("NodeBeingRebooted", NodeState.REBOOTING),
            ("OperationNotValidOnNode", NodeState.PREEMPTED),
        )
    ),
    Case(
        "NodeStateUnusable",
        409,
        "POST",
        "/pools/pool/nodes/{node}/users",
        USER,
        [lambda scene: scene.become(NodeState.UNUSABLE)],
    ),
    Case(
        "NodeNotReady",
        409,
        "POST",
        "/pools/pool/nodes/{node}/users",
        USER,
        [lambda scene: scene.become(NodeState.STARTING)],
    ),
    Case(
        "JobScheduleBeingTerminated",
        409,
        "POST",
        "/jobschedules/schedule/terminate",
        None,
        [
            ("POST", "/jobschedules", SCHEDULE),
            ("POST", "/jobs/schedule:job-1/tasks", TASK),
            silent,
            ("POST", "/jobschedules/schedule/terminate"),
        ],
    ),
    Case(
        "JobScheduleBeingDeleted",
        409,
        "DELETE",
        "/jobschedules/schedule",
        None,
        [
            ("POST", "/jobschedules", SCHEDULE),
            ("POST", "/jobs/schedule:job-1/tasks", TASK),
            silent,
            ("DELETE", "/jobschedules/schedule"),
        ],
    ),
    Case(
        "JobScheduleDisabled",
        409,
        "POST",
        "/jobschedules/schedule/disable",
        None,
        [("POST", "/jobschedules", FUTURE), ("POST", "/jobschedules/schedule/disable")],
    ),
    Case(
        "JobScheduleCompleted",
        409,
        "POST",
        "/jobschedules/schedule/terminate",
        None,
        [("POST", "/jobschedules", FUTURE), ("POST", "/jobschedules/schedule/terminate")],
    ),
    Case("PoolExists", 409, "POST", "/pools", {**POOL, "id": "pool"}),
    Case("JobScheduleExists", 409, "POST", "/jobschedules", FUTURE, [("POST", "/jobschedules", FUTURE)]),
    Case("JobWithSameIdExists", 409, "POST", "/jobschedules", {**FUTURE, "id": "job"}, [MAKE_JOB]),
    Case(
        "JobScheduleWithSameIdExists",
        409,
        "POST",
        "/jobs",
        {**JOB, "id": "schedule"},
        [("POST", "/jobschedules", FUTURE)],
    ),
    Case(
        "NodeUserExists",
        409,
        "POST",
        "/pools/pool/nodes/{node}/users",
        USER,
        [("POST", "/pools/pool/nodes/{node}/users", USER)],
    ),
    Case("JobExists", 409, "POST", "/jobs", JOB, [MAKE_JOB]),
    Case(
        "JobBeingTerminated",
        409,
        "POST",
        "/jobs/job/tasks",
        {**TASK, "id": "late"},
        [MAKE_JOB, MAKE_TASK, silent, ("POST", "/jobs/job/terminate")],
    ),
    Case("JobBeingDeleted", 409, "DELETE", "/jobs/job", None, [MAKE_JOB, MAKE_TASK, silent, ("DELETE", "/jobs/job")]),
    Case("JobCompleted", 409, "POST", "/jobs/job/tasks", TASK, [MAKE_JOB, ("POST", "/jobs/job/terminate")]),
    Case(
        "JobNotActive",
        409,
        "POST",
        "/jobs/job/disable",
        {"disableTasks": "wait"},
        [MAKE_JOB, ("POST", "/jobs/job/terminate")],
    ),
    Case("JobNotDisabled", 409, "PATCH", "/jobs/job", {"poolInfo": {"poolId": "pool"}}, [MAKE_JOB]),
    Case("TaskExists", 409, "POST", "/jobs/job/tasks", TASK, [MAKE_JOB, MAKE_TASK]),
    Case("TaskCompleted", 409, "POST", "/jobs/job/tasks/t/terminate", None, [MAKE_JOB, MAKE_TASK, Scene.run]),
    Case("TaskNotCompleted", 409, "POST", "/jobs/job/tasks/t/reactivate", None, [MAKE_JOB, MAKE_TASK]),
    Case("TaskSucceeded", 409, "POST", "/jobs/job/tasks/t/reactivate", None, [MAKE_JOB, MAKE_TASK, Scene.run]),
    Case(
        "TaskFilesUnavailable",
        409,
        "GET",
        "/jobs/job/tasks/t/files",
        None,
        [("POST", "/jobs", {**JOB, "poolInfo": {"poolId": "nowhere"}}), MAKE_TASK],
    ),
    Case(
        "TaskFilesCleanedup",
        409,
        "GET",
        "/jobs/job/tasks/t/files",
        None,
        [
            MAKE_JOB,
            ("POST", "/jobs/job/tasks", {**TASK, "constraints": {"retentionTime": "PT1S"}}),
            Scene.run,
            lambda scene: scene.local.advance(minutes=1),
        ],
    ),
    Case("ActiveJobAndScheduleQuotaReached", 409, "POST", "/jobs", JOB, [many_jobs]),
    Case("PoolQuotaReached", 409, "POST", "/pools", POOL, [many_pools]),
    Case(
        "JobPreparationTaskOrReleaseTaskNotSpecified",
        409,
        "GET",
        "/jobs/job/jobpreparationandreleasetaskstatus",
        None,
        [MAKE_JOB],
    ),
    Case(
        "TaskIdSameAsJobPreparationTask",
        409,
        "POST",
        "/jobs/job/tasks",
        {**TASK, "id": "prepare"},
        [("POST", "/jobs", WITH_JOB_TASKS)],
    ),
    Case(
        "TaskIdSameAsJobReleaseTask",
        409,
        "POST",
        "/jobs/job/tasks",
        {**TASK, "id": "release"},
        [("POST", "/jobs", WITH_JOB_TASKS)],
    ),
    Case("NodeAlreadyInTargetSchedulingState", 409, "POST", "/pools/pool/nodes/{node}/enablescheduling"),
    Case("OperationNotValidOnPool", 409, "POST", "/pools/pool/evaluateautoscale", {"autoScaleFormula": FORMULA}),
    Case(
        "InvalidApplicationPackageReferences",
        409,
        "POST",
        "/pools",
        {**POOL, "applicationPackageReferences": [{"applicationId": "nothing"}]},
    ),
    Case(
        "TaskDependenciesNotSpecifiedOnJob",
        400,
        "POST",
        "/jobs/job/tasks",
        {**TASK, "dependsOn": {"taskIds": ["other"]}},
        [MAKE_JOB],
    ),
    Case(
        "TaskDependencyListTooLong",
        400,
        "POST",
        "/jobs/job/tasks",
        {**TASK, "dependsOn": {"taskIds": [f"{number:064}" for number in range(1_001)]}},
        [("POST", "/jobs", {**JOB, "usesTaskDependencies": True})],
    ),
    Case(
        "TaskDependencyRangesTooLong",
        400,
        "POST",
        "/jobs/job/tasks",
        {**TASK, "dependsOn": {"taskIdRanges": [{"start": one, "end": one} for one in range(10_000, 16_000)]}},
        [("POST", "/jobs", {**JOB, "usesTaskDependencies": True})],
    ),
]


@pytest.fixture
def scene(timed: LocalBatch) -> Scene:
    timed.pool(nodes=1, taskSlotsPerNode=2)
    timed.do(timed.executor.node_up, timed.node_ids()[0])
    return Scene(timed)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.code}-{case.status}")
def test_a_request_is_answered_with_the_code(scene: Scene, case: Case) -> None:
    for step in case.before:
        if isinstance(step, tuple):
            scene.done(*step)
        else:
            step(scene)
    assert scene.ask(case.method, case.path, case.body, case.headers) == (case.status, case.code)


def test_every_documented_code_is_provoked_or_says_why_it_is_not() -> None:
    provoked = {case.code for case in CASES}
    assert provoked | UNANSWERED.keys() == set(DOCUMENTED.split())
    assert not provoked & UNANSWERED.keys()
