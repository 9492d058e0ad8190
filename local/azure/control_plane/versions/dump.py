"""Makes `version_changes.json` and `known_versions.json` from SDKs.

`known` reads which api-versions azure-native's Python SDK names for a type (a class's docstring, and its aliases). They
are those of azure-rest-api-specs, from which that provider is made.

    MODULE=local.azure.control_plane.versions.dump
    .venv/bin/python -m $MODULE known > local/azure/control_plane/versions/known_versions.json

`dump` reads the models of another api-version from its SDK, `merge` keeps what differs from those that we have.

    ENV/bin/python -m $MODULE dump Microsoft.Batch 2022-10-01 azure.mgmt.batch.models > batch-2022-10-01.json
    .venv/bin/python -m $MODULE merge *.json > local/azure/control_plane/versions/version_changes.json

ENV is an environment with that version's SDK (and PyJWT and cryptography, which our own modules import).
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from local.azure.control_plane.resource_types import TABLE
from local.azure.control_plane.shapes import Shape, changes_between, model_shape, schema_of

_KINDS: Final = ("create", "update")
KNOWN_BY: Final = {
    "Microsoft.Authorization/locks": "authorization/management_lock_at_resource_level",
    "Microsoft.Authorization/roleAssignments": "authorization/role_assignment",
    "Microsoft.Authorization/roleDefinitions": "authorization/role_definition",
    "Microsoft.Consumption/budgets": "consumption/budget",
    "Microsoft.Insights/actionGroups": "monitor/action_group",
    "Microsoft.Insights/activityLogAlerts": "monitor/activity_log_alert",
    "Microsoft.Insights/diagnosticSettings": "monitor/diagnostic_setting",
    "Microsoft.Insights/metricAlerts": "monitor/metric_alert",
    "Microsoft.Insights/scheduledQueryRules": "monitor/scheduled_query_rule",
    "Microsoft.KeyVault/vaults": "keyvault/vault",
    "Microsoft.KeyVault/vaults/keys": "keyvault/key",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "managedidentity/user_assigned_identity",
    "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials": (
        "managedidentity/federated_identity_credential"
    ),
    "Microsoft.Network/privateDnsZones": "privatedns/private_zone",
    "Microsoft.Network/privateEndpoints": "network/private_endpoint",
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": "network/private_dns_zone_group",
    "Microsoft.Network/virtualNetworks": "network/virtual_network",
    "Microsoft.Network/virtualNetworks/subnets": "network/subnet",
    "Microsoft.OperationalInsights/workspaces": "operationalinsights/workspace",
    "Microsoft.Resources/resourceGroups": "resources/resource_group",
}
"""The module of azure-native's SDK that declares a type."""
_VERSION: Final = r"\d{4}-\d\d-\d\d(?:-\w+)?"


def known() -> dict[str, list[str]]:
    """The api-versions that azure-native's SDK names, by type, newest first."""
    found = importlib.util.find_spec("pulumi_azure_native")
    assert found is not None and found.origin is not None, "pulumi-azure-native is not installed"
    return {kind: versions_named(Path(found.origin).parent / f"{module}.py") for kind, module in KNOWN_BY.items()}


def versions_named(module: Path) -> list[str]:
    """The versions of a module's resource: `.../v20230131:Thing` among its aliases, and those of its docstring."""
    text = module.read_text()
    versions = {
        f"{year}-{month}-{day}{f'-{label}' if label else ''}"
        for year, month, day, label in re.findall(r'type_="azure-native:\w+/v(\d{4})(\d\d)(\d\d)(\w*):', text)
    }
    versions |= set(re.findall(rf"Uses Azure REST API version ({_VERSION})", text))
    for others in re.findall(r"Other available API versions: ([^\n]*)", text):
        versions |= set(re.findall(_VERSION, others))
    return sorted(versions, reverse=True)


def dump(namespace: str, version: str, module: str) -> dict[str, Any]:
    """The schemas of a namespace's types, from the same classes of another module."""
    found: dict[str, Any] = {}
    for spec in TABLE:
        if spec.namespace != namespace:
            continue
        for kind, reference in zip(_KINDS, (spec.create_model, spec.update_model), strict=True):
            if reference is None or ":" not in reference:
                continue
            model = getattr(importlib.import_module(module), reference.partition(":")[2], None)
            if model is not None:
                found.setdefault(spec.type, {})[kind] = schema_of(Shape("model", model=model))
    return {"version": version, "types": found}


def merge(files: list[Path]) -> dict[str, Any]:
    """What differs from the models that we have, by type, version and kind."""
    own = {spec.type: spec for spec in TABLE}
    found: dict[str, Any] = {}
    for file in files:
        document = json.loads(file.read_text())
        for type_, kinds in document["types"].items():
            spec = own[type_]
            if document["version"] == (spec.models_of or spec.api_version):
                continue
            references = {"create": spec.create_model, "update": spec.update_model}
            changes = {
                kind: changes_between(schema_of(model_shape(str(references[kind]))), schema)
                for kind, schema in kinds.items()
            }
            found.setdefault(type_, {})[document["version"]] = {kind: one for kind, one in changes.items() if one}
    return found


def main(arguments: list[str]) -> None:
    """`known`, `dump NAMESPACE VERSION MODULE` or `merge FILE...`."""
    verb, *rest = arguments
    made = {"known": known, "dump": lambda: dump(*rest), "merge": lambda: merge([Path(one) for one in rest])}
    sys.stdout.write(json.dumps(made[verb](), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
