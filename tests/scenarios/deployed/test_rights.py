"""Role assignments are enforced: without any one of them the main job fails, with Azure's own words and no traceback.

To pull, nodes have a role for each mode of the registry; the local one takes both.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from infra.access.roles import Role
from tests.scenarios.checkout import Checkout, Run
from tests.scenarios.deployed.stack import Stack

pytestmark = pytest.mark.docker
failed_steps: list[str] = []
"""Tests after a failed one are skipped (`conftest.py` of the scenarios)."""


@contextmanager
def without(stack: Stack, role: Role, scope_ends: str, *, of_nodes: bool | None = None) -> Iterator[None]:
    """Take one assignment away, and put it back. `of_nodes`: whose, where the nodes and submitters both have it."""
    pulls = [one for one in stack.assignments() if str(one.role_definition_id).endswith(Role.ACR_PULL.value)]
    nodes = {one.principal_id for one in pulls}
    (found,) = [
        one
        for one in stack.assignments()
        if str(one.role_definition_id).endswith(role.value)
        and str(one.scope).lower().endswith(scope_ends.lower())
        and of_nodes in (None, one.principal_id in nodes)
    ]
    stack.remove(found)
    try:
        yield
    finally:
        stack.put_back(found)


def failing(checkout: Checkout, *arguments: str) -> Run:
    """The command must fail, and say so without a traceback."""
    done = checkout.run(str(checkout.python), "-m", *arguments)
    assert done.code not in (0, 130), done.text
    assert "Traceback" not in done.text
    return done


def test_nodes_without_the_right_to_pull_cannot_run_a_new_image(deployed: Checkout, stack: Stack) -> None:
    # A new digest, because what a node pulled once it has.
    dockerfile = deployed.root / "worker" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "\nLABEL changed-by=test_rights\n")
    registry = f"/registries/{stack.outputs['batch_account']}"
    with without(stack, Role.ACR_PULL, registry), without(stack, Role.CONTAINER_REGISTRY_REPOSITORY_READER, registry):
        done = failing(deployed, "local", "tour")
    assert "ContainerInvalidImage" in done.text
    assert "unauthorized" in done.text.lower() or "denied" in done.text.lower()
    assert "0 succeeded, 5 failed" in done.text


def test_nodes_without_their_containers_role_cannot_upload(deployed: Checkout, stack: Stack) -> None:
    with without(stack, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "/containers/job-hello", of_nodes=True):
        done = failing(deployed, "local", "tour")
    assert "FileUploadAccessDenied" in done.text
    assert "AuthorizationPermissionMismatch" in done.text
    assert "0 succeeded, 5 failed" in done.text


def test_with_all_roles_back_the_main_job_succeeds_again(deployed: Checkout) -> None:
    done = deployed.module("local", "tour")
    assert "5 succeeded, 0 failed" in done.text


def test_submitters_without_the_batch_role_are_refused_by_the_data_plane(deployed: Checkout, stack: Stack) -> None:
    with without(stack, Role.AZURE_BATCH_DATA_CONTRIBUTOR, f"/batchAccounts/{stack.outputs['batch_account']}"):
        tour = failing(deployed, "local", "tour")
        submit = failing(deployed, "jobs", "submit", "jobs/samples/hello.yaml", "--yes")
    for done in (tour, submit):
        assert "the service refused you: PermissionDenied" in done.err
        assert "added to the stack's `submitters`" in done.err


def test_submitters_without_the_blob_role_cannot_read_what_jobs_wrote(deployed: Checkout, stack: Stack) -> None:
    account = f"/storageAccounts/{stack.outputs['storage_account']}"
    with (
        without(stack, Role.STORAGE_BLOB_DATA_READER, account),
        without(stack, Role.STORAGE_BLOB_DATA_CONTRIBUTOR, "/containers/job-hello", of_nodes=False),
    ):
        done = failing(deployed, "local", "tour")
    assert "AuthorizationPermissionMismatch" in done.err
    assert "submitters" in done.err


def test_what_was_taken_away_is_back(deployed: Checkout) -> None:
    deployed.module("local", "up", "--expect-no-changes")
