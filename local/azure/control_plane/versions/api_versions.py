"""The api-versions that each resource type takes, and how a body of one differs from the version we were written for.

`known_versions.json` has the versions of types whose older bodies were not compared: our body, which is the newest one,
checks them all. It is what azure-native's SDK names, that is azure-rest-api-specs (`dump.py` makes it); what that lacks
is in `_MORE`, and what it has and we refuse in `_OTHER_BODIES`. `version_changes.json` has, by type and version, the
paths of a body that the version's own SDK models have in another way; `dump.py` makes it from those SDKs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

CHANGES: Final = Path(__file__).with_name("version_changes.json")
KNOWN: Final = Path(__file__).with_name("known_versions.json")
_NETWORK: Final = ("2025-09-01", "2026-01-01")
_MORE: Final[Mapping[str, tuple[str, ...]]] = {
    # Azure's own refusal of 2025-03-01, before that was there (github.com/Azure/bicep/issues/17091).
    "Microsoft.Resources/resourceGroups": (
        *("2024-10-01-preview", "2024-11-01", "2024-08-01", "2024-07-01", "2024-06-01-preview", "2024-03-01"),
        *("2023-07-01", "2023-07-01-preview", "2023-03-01-preview", "2022-12-01", "2022-11-01-preview", "2022-09-01"),
        *("2022-06-01", "2022-05-01", "2022-03-01-preview", "2022-01-01", "2021-04-01", "2021-01-01", "2020-10-01"),
        *("2020-09-01", "2020-08-01", "2020-07-01", "2020-06-01", "2020-05-01", "2020-01-01", "2019-11-01"),
        *("2019-10-01", "2019-09-01", "2019-08-01", "2019-07-01", "2019-06-01", "2019-05-10", "2019-05-01"),
        *("2019-03-01", "2018-11-01", "2018-09-01", "2018-08-01", "2018-07-01", "2018-06-01", "2018-05-01"),
        *("2018-02-01", "2018-01-01", "2017-12-01", "2017-08-01", "2017-06-01", "2017-05-10", "2017-05-01"),
        *("2017-03-01", "2016-09-01", "2016-07-01", "2016-06-01", "2016-02-01", "2015-11-01", "2015-01-01"),
    ),
    # Azure's refusals of 2020-07-01-preview and 2020-08-01-preview (github.com/Azure/azure-sdk-for-java/pull/28334).
    "Microsoft.Authorization/roleAssignments": (
        *("2022-01-01-preview", "2021-04-01-preview", "2019-04-01-preview", "2018-12-01-preview", "2018-07-01"),
        *("2017-09-01", "2017-05-01", "2016-07-01"),
    ),
    "Microsoft.Authorization/roleDefinitions": ("2018-07-01", "2017-09-01", "2017-05-01", "2016-07-01"),
    # azure-rest-api-specs, specification/network/resource-manager/Microsoft.Network/stable, November 2026.
    "Microsoft.Network/privateEndpoints": _NETWORK,
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": _NETWORK,
    "Microsoft.Network/virtualNetworks": _NETWORK,
    "Microsoft.Network/virtualNetworks/subnets": _NETWORK,
    # azure-rest-api-specs, specification/keyvault/resource-manager/Microsoft.KeyVault/KeyVault/stable, November 2026.
    "Microsoft.KeyVault/vaults": ("2026-05-15",),
    "Microsoft.KeyVault/vaults/keys": ("2026-05-15",),
}
_OTHER_BODIES: Final[Mapping[str, tuple[str, ...]]] = {
    # Rules of these versions have `schedule`, `source` and `action`, which later ones do not know.
    "Microsoft.Insights/scheduledQueryRules": ("2018-04-16", "2020-05-01-preview"),
    # Budgets of these versions have `filters` (later ones `filter`) and must have a category of two.
    "Microsoft.Consumption/budgets": (
        *("2019-06-01", "2019-05-01", "2019-05-01-preview", "2019-04-01-preview", "2019-01-01"),
    ),
}


@cache
def _known() -> Mapping[str, tuple[str, ...]]:
    named: Mapping[str, list[str]] = json.loads(KNOWN.read_text())
    return {
        kind: tuple(one for one in (*versions, *_MORE.get(kind, ())) if one not in _OTHER_BODIES.get(kind, ()))
        for kind, versions in named.items()
    }


@cache
def _changes() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    return json.loads(CHANGES.read_text())


def versions_of(type: str, *own: str) -> tuple[str, ...]:
    """Every version that the type takes, newest first; `own` are those that it was written for and has models of."""
    found = {*own, *_known().get(type, ()), *_changes().get(type, {})}
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
