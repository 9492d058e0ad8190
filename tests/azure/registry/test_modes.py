"""Which roles give which rights on images, in each of a registry's two role assignment modes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import REGISTRIES
from local.azure.control_plane.resources import Resource
from local.azure.registry.errors import Unauthorized
from local.azure.registry.grants import ABAC, LEGACY, Grants, Scope
from local.paths import Paths
from tests.azure.registry.world import ROLES

IMAGE = "repository:worker:pull,push,delete"
CATALOG = "registry:catalog:*"


@pytest.fixture
def cloud(tmp_path: Path) -> Any:
    cloud = Cloud.open(Paths(tmp_path))
    yield cloud
    cloud.close()


def rights(cloud: Cloud, role: str, mode: str | None) -> set[str]:
    """What a principal with this role may do in a registry of this mode."""
    registry = Resource(
        f"{cloud.subscription_scope}/resourceGroups/g/providers/{REGISTRIES}/r",
        REGISTRIES,
        "r",
        properties={} if mode is None else {"roleAssignmentMode": mode},
    )
    kind = "Microsoft.Authorization/roleAssignments"
    definition = f"/providers/Microsoft.Authorization/roleDefinitions/{ROLES[role]}"
    properties = {"principalId": "p", "scope": registry.id, "roleDefinitionId": definition}
    cloud.resources.put(Resource(f"{registry.id}/providers/{kind}/a", kind, "a", properties=properties))
    grants = Grants(cloud.store, cloud.access, cloud.clock)
    try:
        grants.refresh_token(registry, "p")
    except Unauthorized:
        return set()
    token = grants.access_token(registry, "p", [Scope.parse(IMAGE), Scope.parse(CATALOG)])
    found = set()
    for text in ("repository:worker:pull", "repository:worker:push", "repository:worker:delete", CATALOG):
        try:
            grants.check(registry, token, Scope.parse(text))
        except Unauthorized:
            continue
        found.add(text.split(":")[-1])
    return found


@pytest.mark.parametrize(
    ("role", "legacy", "abac"),
    [
        ("AcrPull", {"pull", "*"}, set()),
        ("AcrPush", {"pull", "push", "*"}, set()),
        ("Contributor", {"pull", "push", "delete", "*"}, set()),
        ("Reader", {"pull"}, {"pull"}),
        ("Writer", {"pull", "push"}, {"pull", "push"}),
        ("Repository Contributor", {"pull", "push", "delete"}, {"pull", "push", "delete"}),
        ("Catalog Lister", {"*"}, {"*"}),
    ],
)
def test_each_mode_honours_its_roles(cloud: Cloud, role: str, legacy: set[str], abac: set[str]) -> None:
    assert rights(cloud, role, None) == legacy
    assert rights(cloud, role, LEGACY) == legacy
    assert rights(cloud, role, ABAC) == abac
