"""Least privilege: what each identity may do, as a matrix of identities and operations on the local Azure's authorizer.

The roles come from the programs themselves (run under mocks), the operations from the tables of the local services.
Each identity does its job and is refused everything else; without any one of its roles exactly the steps of the table
break.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import pytest

from local.azure.batch.data_plane.routes import ROUTES
from local.azure.blobs.operations import RIGHTS
from local.azure.control_plane.access import Access
from local.azure.control_plane.ids import ROLE_ASSIGNMENTS
from local.azure.control_plane.resource_types import TABLE
from local.azure.control_plane.resources import Resource, Resources
from local.azure.platform.store import Store
from tests.bootstrap.program import OF_PROD, bootstrap
from tests.infra.recording import SUBSCRIPTION, Run

_BLOB = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs"
_REGISTRY = "Microsoft.ContainerRegistry/registries"
_KEYS = "Microsoft.KeyVault/vaults/keys"


@dataclass(frozen=True)
class Operation:
    """An action in Azure's role language; `data`: it is asked of a service, not of ARM."""

    action: str
    data: bool = False

    def __str__(self) -> str:
        return f"{'data ' if self.data else ''}{self.action}"


@dataclass(frozen=True)
class Grant:
    """A role assignment, as a program declares it."""

    principal: str
    role_id: str
    scope: str


REPOSITORY_ACTIONS = ("content/read", "metadata/read", "content/write", "metadata/write", "content/delete")
OPERATIONS = frozenset(
    {
        *(Operation(route.action, route.data) for route in ROUTES),
        *(Operation(right.action, right.data) for right in RIGHTS.values()),
        *(Operation(f"{spec.type}/{verb}") for spec in TABLE for verb in ("read", "write", "delete")),
        *(Operation(f"{spec.type}/{name}/action") for spec in TABLE for name in spec.actions),
        *(Operation(f"{_REGISTRY}/{one}") for one in ("pull/read", "push/write", "artifacts/delete")),
        *(Operation(f"{_KEYS}/{one}/action", True) for one in ("encrypt", "decrypt", "sign", "backup", "wrap")),
        # what a registry asks for that grants by repository (ABAC)
        *(Operation(f"{_REGISTRY}/repositories/{one}", True) for one in REPOSITORY_ACTIONS),
        Operation("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"),
    }
)
"""Everything that the local services ask a right for."""


def grants(run: Run) -> list[Grant]:
    return [
        Grant(one.inputs["principalId"], one.inputs["roleDefinitionId"].rpartition("/")[2], placed(one.inputs["scope"]))
        for one in run.of_type(":RoleAssignment")
    ]


def placed(scope: str) -> str:
    """The mocks know one subscription; state and keys lie in one of their own, as docs/ci.md says."""
    return scope.replace(SUBSCRIPTION, "cccccccc-0000-4000-8000-000000000000") if "/rg-abp-ci/" in scope else scope


def access(given: Iterable[Grant]) -> Access:
    resources = Resources(Store(None))
    for number, one in enumerate(given):
        properties = {"principalId": one.principal, "roleDefinitionId": one.role_id, "scope": one.scope}
        resources.put(Resource(f"{one.scope}/x/{number}", ROLE_ASSIGNMENTS, str(number), properties=properties))
    return Access(resources)


@pytest.fixture(scope="module")
def all_grants(program: Callable[..., Run]) -> list[Grant]:
    """Those of stack dev and those of the pipelines."""
    return [*grants(program("dev")), *grants(bootstrap())]


@pytest.fixture(scope="module")
def places(program: Callable[..., Run]) -> dict[str, str]:
    """Scopes by name: the stack's, the pipelines', and some that belong to nobody here."""
    run = program("dev")
    subscription = f"/subscriptions/{SUBSCRIPTION}"
    group = f"{subscription}/resourceGroups/{run.only('resources:ResourceGroup').inputs['resourceGroupName']}"
    account = run.only("batch:BatchAccount").inputs["accountName"]
    storage = run.only("storage:StorageAccount").inputs["accountName"]
    containers = f"{group}/providers/Microsoft.Storage/storageAccounts/{storage}/blobServices/default/containers"
    own = {scope.rpartition("/")[2]: scope for scope in (one.scope for one in grants(bootstrap()))}
    return {
        "group": group,
        "batch": f"{group}/providers/Microsoft.Batch/batchAccounts/{account}",
        "job output": f"{containers}/job-hello",
        "another container": f"{containers}/somebody-elses",
        "registry": f"{group}/providers/{_REGISTRY}/{run.only('containerregistry:Registry').inputs['registryName']}",
        "state of dev": own["state-dev"],
        "state of prod": own["state-prod"],
        "key of dev": own["key-dev"],  # the mocks give keys no other id
        "key of prod": own["key-prod"],
        "subscription of prod": f"/subscriptions/{OF_PROD}/resourceGroups/rg-abp-prod",
    }


FITS = {
    "batch": r"Microsoft\.Batch/",
    "job output": r"Microsoft\.Storage/storageAccounts/blobServices/containers",
    "another container": r"Microsoft\.Storage/storageAccounts/blobServices/containers",
    "state of .*": r"Microsoft\.Storage/storageAccounts/blobServices/containers",
    "registry": r"Microsoft\.ContainerRegistry/",
    "key of .*": r"Microsoft\.KeyVault/",
    "group|subscription of prod": r"(?!Microsoft\.KeyVault)",
}
"""Place -> the operations that can be asked there."""

READ = r"[^ ]*/read"  # no data: Reader reads ARM, not blobs or jobs
CHANGE = r"(?!Microsoft\.Authorization/.*/(write|delete))[^ ]*"
ASSIGN = r"Microsoft\.Authorization/roleAssignments/(write|delete)"
BLOBS_READ = r"Microsoft\.Storage/storageAccounts/blobServices/containers/read|data .*/blobs/read"
BLOBS_CHANGE = (
    r"Microsoft\.Storage/storageAccounts/blobServices/containers/(read|write|delete)"
    r"|data .*/blobs/(read|write|delete|move/action|add/action)"
)
CRYPTO = r"data Microsoft\.KeyVault/vaults/keys/.*"
OF_THE_STACK = "group|batch|job output|another container|registry"
PULL = r"Microsoft\.ContainerRegistry/registries/pull/read"

MAY: dict[str, dict[str, str]] = {
    "node": {"registry": f"{PULL}|data .*/repositories/(content|metadata)/read", "job output": BLOBS_CHANGE},
    "account": {"job output|another container": BLOBS_CHANGE},
    "preview": {f"{OF_THE_STACK}|subscription of prod": READ, "state of .*": BLOBS_READ, "key of .*": CRYPTO},
    "drift": {f"{OF_THE_STACK}|subscription of prod": READ, "state of .*": BLOBS_READ, "key of .*": CRYPTO},
    "destroy": {
        f"{OF_THE_STACK}|subscription of prod": f"{CHANGE}|{ASSIGN}",
        "state of .*": BLOBS_CHANGE,
        "key of .*": CRYPTO,
    },
    "dev": {OF_THE_STACK: f"{CHANGE}|{ASSIGN}", "state of dev": BLOBS_CHANGE, "key of dev": CRYPTO},
    "prod": {
        "subscription of prod": f"{CHANGE}|{ASSIGN}",
        f"{OF_THE_STACK}": PULL,
        "state of prod": BLOBS_CHANGE,
        "state of dev": BLOBS_READ,
        "key of .*": CRYPTO,
    },
}
"""Identity -> place -> operations that it is allowed; everything else is refused. Patterns of the whole."""

PRINCIPALS = {
    "node": "principal-of-id-abp-dev-node",
    "account": "principal-of-id-abp-dev-account",
    **{name: f"principal-of-id-abp-ci-{name}" for name in ("preview", "drift", "destroy", "dev", "prod")},
}


def fitting(place: str) -> list[Operation]:
    pattern = next(pattern for places, pattern in FITS.items() if re.fullmatch(places, place))
    return sorted((one for one in OPERATIONS if re.match(pattern, one.action)), key=str)


@pytest.mark.parametrize("identity", MAY)
def test_each_identity_may_do_its_job_and_nothing_else(
    identity: str, all_grants: list[Grant], places: dict[str, str]
) -> None:
    granted = access(all_grants)
    wrong: list[str] = []
    for place, scope in places.items():
        patterns = [pattern for names, pattern in MAY[identity].items() if re.fullmatch(names, place)]
        for one in fitting(place):
            expected = any(re.fullmatch(pattern, str(one)) for pattern in patterns)
            if granted.allows(PRINCIPALS[identity], one.action, scope, data=one.data) is not expected:
                wrong.append(f"{identity} {'may not' if expected else 'may'} {one} on {place}")
    assert wrong == []


def test_the_matrix_is_large_enough_to_prove_something(places: dict[str, str]) -> None:
    assert len(OPERATIONS) > 60
    assert sum(len(fitting(place)) for place in places) * len(MAY) > 1000


STEPS: dict[tuple[str, str], tuple[str, Operation, str]] = {
    ("node", "AcrPull"): ("pull the worker image", Operation(f"{_REGISTRY}/pull/read"), "registry"),
    ("node", "Blob"): ("upload a task's output", Operation(f"{_BLOB}/write", True), "job output"),
    ("account", "Blob"): ("reach the linked storage", Operation(f"{_BLOB}/write", True), "job output"),
    ("preview", "state"): ("read the state", Operation(f"{_BLOB}/read", True), "state of dev"),
    ("preview", "key"): ("open the state's secrets", Operation(f"{_KEYS}/decrypt/action", True), "key of prod"),
    ("preview", "read"): ("read what exists", Operation("Microsoft.Batch/batchAccounts/read"), "batch"),
    ("drift", "read"): ("refresh", Operation("Microsoft.Batch/batchAccounts/pools/read"), "batch"),
    ("dev", "make"): ("make a pool", Operation("Microsoft.Batch/batchAccounts/pools/write"), "batch"),
    ("dev", "push"): ("push the image", Operation(f"{_REGISTRY}/push/write"), "registry"),
    ("dev", "assign"): ("give the nodes their roles", Operation(f"{ROLE_ASSIGNMENTS}/write"), "registry"),
    ("dev", "lock"): ("lock the state", Operation(f"{_BLOB}/write", True), "state of dev"),
    ("dev", "seal"): ("seal a secret", Operation(f"{_KEYS}/encrypt/action", True), "key of dev"),
    ("prod", "promote"): ("copy the image of dev", Operation(f"{_REGISTRY}/pull/read"), "registry"),
    ("destroy", "delete"): ("delete the group", Operation("Microsoft.Resources/resourceGroups/delete"), "group"),
    ("destroy", "unassign"): ("take the roles away", Operation(f"{ROLE_ASSIGNMENTS}/delete"), "registry"),
}
"""The steps that an identity is there for."""


@pytest.mark.parametrize(("identity", "name"), STEPS)
def test_a_step_works_and_breaks_without_exactly_one_of_the_identitys_roles(
    identity: str, name: str, all_grants: list[Grant], places: dict[str, str]
) -> None:
    _, operation, place = STEPS[identity, name]
    principal = PRINCIPALS[identity]

    def works(given: Iterable[Grant]) -> bool:
        return access(given).allows(principal, operation.action, places[place], data=operation.data)

    assert works(all_grants)
    own = [one for one in all_grants if one.principal == principal]
    needed = [gone for gone in own if not works(one for one in all_grants if one != gone)]
    assert len(needed) == 1, "one role and no other carries this step"


def test_every_role_carries_a_step_of_its_identity(all_grants: list[Grant], places: dict[str, str]) -> None:
    """A role without which nothing of the matrix changes would be one too many."""
    idle = []
    for identity, principal in PRINCIPALS.items():
        for gone in (one for one in all_grants if one.principal == principal):
            rest = [one for one in all_grants if one != gone]
            before, after = access(all_grants), access(rest)
            asked = itertools.chain.from_iterable(
                ((one, scope) for one in fitting(place)) for place, scope in places.items()
            )
            if all(
                before.allows(principal, one.action, scope, data=one.data)
                == after.allows(principal, one.action, scope, data=one.data)
                for one, scope in asked
            ) and not re.search(r"containers/job-", gone.scope):  # one for each family; the matrix has one family
                idle.append((identity, gone))
    assert idle == []


def test_a_submitter_runs_jobs_with_inputs_and_reads_output_and_changes_nothing_else(
    all_grants: list[Grant], places: dict[str, str]
) -> None:
    others = {one.principal for one in all_grants} - set(PRINCIPALS.values())
    assert others
    granted = access(all_grants)
    for principal in others:
        for route in ROUTES:
            if route.operation in ("create_job", "create_task", "get_task", "terminate_job"):
                assert granted.allows(principal, route.action, places["batch"], data=route.data)
        for action in ("read", "write"):  # inputs lie beside the output; tasks can write there as the node identity
            assert granted.allows(principal, f"{_BLOB}/{action}", places["job output"], data=True)
        for action, place, data in (
            (f"{_BLOB}/write", "another container", True),
            (f"{_BLOB}/delete", "another container", True),
            ("Microsoft.Batch/batchAccounts/write", "batch", False),
            ("Microsoft.Batch/batchAccounts/delete", "batch", False),
            ("Microsoft.Batch/batchAccounts/listKeys/action", "batch", False),
            (f"{_REGISTRY}/push/write", "registry", False),
            (f"{ROLE_ASSIGNMENTS}/write", "batch", False),
            ("Microsoft.Storage/storageAccounts/listKeys/action", "group", False),
            (f"{_BLOB}/read", "state of dev", True),
            (f"{_KEYS}/decrypt/action", "key of dev", True),
        ):
            assert not granted.allows(principal, action, places[place], data=data), action
