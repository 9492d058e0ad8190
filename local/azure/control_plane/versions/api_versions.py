"""The api-versions that each resource type takes, and how a body of one differs from the version we were written for.

`version_changes.json` has, by type and version, the paths of a body that the version's own SDK models have in another
way; `dump.py` makes it from those SDKs. `_SAME` are versions of which no SDK was compared: types whose bodies
did not change for what is used here, or of which the Pulumi SDK has one version only; their bodies are checked by it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

CHANGES: Final = Path(__file__).with_name("version_changes.json")
_RESOURCES: Final = (
    "2025-04-01", "2025-03-01", "2024-11-01", "2024-08-01", "2024-07-01", "2024-03-01", "2023-07-01", "2022-12-01",
    "2022-09-01", "2022-06-01", "2022-05-01", "2022-01-01", "2021-04-01", "2021-01-01", "2020-10-01", "2020-09-01",
    "2020-08-01", "2020-07-01", "2020-06-01", "2019-11-01", "2019-10-01", "2019-09-01", "2019-08-01", "2019-07-01",
    "2019-05-10", "2019-05-01", "2018-05-01", "2018-02-01", "2017-05-10",
)  # fmt: skip
_NETWORK: Final = (
    "2026-01-01", "2025-09-01", "2025-07-01", "2025-05-01", "2025-03-01", "2025-01-01", "2024-10-01", "2024-07-01",
    "2024-05-01", "2024-03-01", "2024-01-01", "2023-11-01",
    "2023-09-01", "2023-06-01", "2023-05-01", "2023-04-01", "2023-02-01", "2022-11-01", "2022-09-01", "2022-07-01",
    "2022-05-01", "2022-01-01", "2021-08-01", "2021-05-01", "2021-03-01", "2021-02-01", "2020-11-01",
)  # fmt: skip
_IDENTITIES: Final = ("2025-05-31-preview", "2025-01-31-preview", "2024-11-30", "2023-07-31-preview", "2023-01-31")
_SAME: Final[Mapping[str, tuple[str, ...]]] = {
    "Microsoft.Resources/resourceGroups": _RESOURCES,
    "Microsoft.ManagedIdentity/userAssignedIdentities": _IDENTITIES,
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials": _IDENTITIES,
    "Microsoft.Authorization/roleAssignments": (
        "2022-04-01", "2020-10-01-preview", "2020-08-01-preview", "2020-04-01-preview", "2020-03-01-preview",
        "2018-09-01-preview",
    ),
    "Microsoft.Authorization/roleDefinitions": ("2022-05-01-preview", "2022-04-01", "2018-07-01", "2018-01-01-preview"),
    "Microsoft.Authorization/locks": ("2020-05-01", "2017-04-01", "2016-09-01"),
    "Microsoft.Insights/diagnosticSettings": ("2021-05-01-preview", "2017-05-01-preview"),
    "Microsoft.Insights/actionGroups": (
        "2024-10-01-preview", "2023-01-01", "2022-06-01", "2022-04-01", "2021-09-01", "2019-06-01", "2019-03-01",
        "2018-09-01", "2018-03-01",
    ),
    "Microsoft.Insights/metricAlerts": ("2024-03-01-preview", "2018-03-01"),
    "Microsoft.Insights/scheduledQueryRules": (
        "2025-01-01-preview", "2024-01-01-preview", "2023-12-01", "2023-03-15-preview", "2022-08-01-preview",
        "2022-06-15", "2021-08-01", "2021-02-01-preview",
    ),
    "Microsoft.Insights/activityLogAlerts": ("2023-01-01-preview", "2020-10-01", "2017-04-01"),
    "Microsoft.Consumption/budgets": (
        "2024-08-01", "2023-11-01", "2023-05-01", "2023-03-01", "2021-10-01", "2019-10-01",
    ),
    "Microsoft.Network/privateEndpoints": _NETWORK,
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": _NETWORK,
    "Microsoft.Network/virtualNetworks": _NETWORK,
    "Microsoft.Network/virtualNetworks/subnets": _NETWORK,
    "Microsoft.Network/privateDnsZones": ("2024-06-01", "2020-06-01", "2018-09-01"),
    "Microsoft.OperationalInsights/workspaces": (
        "2025-07-01", "2025-02-01", "2023-09-01", "2022-10-01", "2021-12-01-preview", "2021-06-01", "2020-10-01",
        "2020-08-01",
    ),
    "Microsoft.KeyVault/vaults": (
        "2026-05-15",
        "2025-05-01", "2024-12-01-preview", "2024-11-01", "2024-04-01-preview", "2023-07-01", "2023-02-01",
        "2022-11-01", "2022-07-01", "2021-10-01", "2019-09-01",
    ),
    "Microsoft.KeyVault/vaults/keys": (
        "2026-05-15",
        "2025-05-01", "2024-12-01-preview", "2024-11-01", "2023-07-01", "2023-02-01", "2022-07-01", "2021-10-01",
        "2019-09-01",
    ),
}  # fmt: skip
"""Read in Azure's own refusals and in the specifications (azure-rest-api-specs), November 2026."""


@cache
def _changes() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    return json.loads(CHANGES.read_text())


def versions_of(type: str, *own: str) -> tuple[str, ...]:
    """Every version that the type takes, newest first; `own` are those that it was written for and has models of."""
    found = {*own, *_SAME.get(type, ()), *_changes().get(type, {})}
    return tuple(sorted(found, reverse=True))


_SINCE: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "Microsoft.Network/privateEndpoints": (
        "2025-05-01", {"properties/ipVersionType": {"enum": ["IPv4", "IPv6", "DualStack"]}}
    ),
}  # fmt: skip
"""What bodies of a type have from a version on, where no SDK of it was compared: (first version, by path)."""


def without_unknown(type: str, version: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body of an answer without the properties that this version's models do not have."""
    for path, change in changes_of(type, version, "create").items():
        if change is None:
            body = _without(body, [part.rstrip("*!") for part in path.split("/")])
    return body


def _without(value: Any, path: list[str]) -> Any:
    if isinstance(value, list):
        return [_without(one, path) for one in value]
    if not isinstance(value, dict) or path[0] not in value:
        return value
    if len(path) == 1:
        return {name: one for name, one in value.items() if name != path[0]}
    return {**value, path[0]: _without(value[path[0]], path[1:])}


def changes_of(type: str, version: str, kind: str) -> Mapping[str, Any]:
    """How a body (`create` or `update`) of this version differs, by path (`shapes.changed_shape`)."""
    first, added = _SINCE.get(type, ("", {}))
    if added and version >= first:
        return added
    return _changes().get(type, {}).get(version.lower(), {}).get(kind, {})
