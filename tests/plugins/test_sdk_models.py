"""Every body that `translate` makes is one that the management SDKs know: no name is lost on the way, at any depth.

For each type an input with *every* property that the Pulumi SDK has is generated from its Args classes, translated, and
taken through the management SDK's model and back. Types without a management SDK here are taken through the local
ARM's own check, whose schema is generated from the Pulumi SDK.
"""

from __future__ import annotations

import enum
import inspect
import re
import typing
from pathlib import Path
from typing import Any

import azure.mgmt.authorization.v2022_04_01.models as authorization
import azure.mgmt.batch.models as batch
import azure.mgmt.containerregistry.models as registry
import azure.mgmt.keyvault.models as vaults
import azure.mgmt.msi.v2024_11_30.models as msi
import azure.mgmt.resource.resources.models as resources
import azure.mgmt.storage.models as storage
import pytest
from pulumi import _types as pulumi_types

from local.azure.arm.check import check
from local.azure.control_plane.resource_types import TABLE, TypeSpec
from local.azure.control_plane.shapes import model_shape
from local.plugins.azure_native import wire_schema
from local.plugins.azure_native.resources import TYPES, describe
from local.plugins.azure_native.translate import translate
from local.plugins.schema import check as schema_check
from local.plugins.schema import sdk

MODELS: dict[str, Any] = {
    "azure-native:resources:ResourceGroup": resources.ResourceGroup,
    "azure-native:managedidentity:UserAssignedIdentity": msi.Identity,
    "azure-native:managedidentity:FederatedIdentityCredential": msi.FederatedIdentityCredential,
    "azure-native:keyvault:Vault": vaults.VaultCreateOrUpdateParameters,
    "azure-native:keyvault:Key": vaults.KeyCreateParameters,
    "azure-native:authorization:RoleAssignment": authorization.RoleAssignmentCreateParameters,
    "azure-native:containerregistry:Registry": registry.Registry,
    "azure-native:storage:StorageAccount": storage.StorageAccountCreateParameters,
    "azure-native:storage:BlobContainer": storage.BlobContainer,
    "azure-native:storage:BlobServiceProperties": storage.BlobServiceProperties,
    "azure-native:batch:BatchAccount": batch.BatchAccountCreateParameters,
    "azure-native:batch:Pool": batch.Pool,
}

BODIES = Path(__file__).parents[2] / "local/azure/control_plane/azure_native_bodies.json"

# In the Pulumi SDK (REST 2023-01-01-preview) but no longer in the installed management SDK (a later version).
REMOVED = {"azure-native:containerregistry:Registry": {"softDeletePolicy"}}
# Filled in by Azure, though the Pulumi SDK lets a program give them.
READ_ONLY = {"azure-native:containerregistry:Registry": {"clientId", "principalId", "tenantId"}}


def full(cls: type, without: set[str], path: tuple[type, ...] = ()) -> dict[str, Any]:
    """A value with every property of an Args class."""
    return {
        name: example(prop.types, name, without, (*path, cls))
        for name, prop in sdk.properties(cls).items()
        if name not in without and not any(kind in path for kind in prop.types)
    }


def example(types: tuple[Any, ...], name: str, without: set[str], path: tuple[type, ...]) -> Any:
    enums = [kind for kind in types if isinstance(kind, type) and issubclass(kind, enum.Enum)]
    kind = enums[0] if enums else types[0]
    if enums:
        return next(iter(enums[0])).value
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind)
    if origin and issubclass(origin, typing.Mapping):
        return {"key": example(tuple(sdk.flatten(arguments[1])), name, without, path)}
    if origin:
        return [example(tuple(sdk.flatten(arguments[0])), name, without, path)]
    if kind is not Any and pulumi_types.is_input_type(kind):
        return full(kind, without, path)
    return {bool: True, int: 1, float: 1.5}.get(kind, "PT5M" if re.search("Interval|Timeout", name) else "text")


def round_trip(model: Any, body: dict[str, Any]) -> dict[str, Any]:
    if hasattr(model, "_attribute_map"):  # msrest: names that a model lacks would be dropped
        return model.deserialize(body).serialize()
    known_only(model(body), body)
    return model(body).as_dict()


def known_only(model: Any, body: dict[str, Any]) -> None:
    """The newer kind of model is a mapping that keeps everything, so its declared names are compared."""
    fields = {field._rest_name: attribute for attribute, field in type(model)._attr_to_rest_field.items()}
    unknown = body.keys() - fields.keys()
    assert not unknown, f"{type(model).__name__} has no {sorted(unknown)}"
    for name, value in body.items():
        inner = getattr(model, fields[name])
        for item, raw in zip(inner, value, strict=True) if isinstance(value, list) else [(inner, value)]:
            if isinstance(raw, dict) and hasattr(type(item), "_attr_to_rest_field"):
                known_only(item, raw)


def row_of(token: str) -> TypeSpec:
    """The local ARM's row of the type that a token's path names."""
    path = TYPES[token].path.rpartition("/providers/")[2].split("/")
    kind = "/".join([path[0], *path[1::2]])
    return next(spec for spec in TABLE if spec.type == kind)


@pytest.mark.parametrize("token", wire_schema.TOKENS)
def test_every_property_reaches_the_local_arm_without_loss(token: str):
    args = sdk.args_class(token)
    assert args
    inputs = full(args, {"subnet", "applicationSecurityGroups"})
    for name in {"id", "name"} - {*TYPES[token].parameters}:
        inputs.pop(name, None)  # the resource's own, which only answers have
    if "subnet" in sdk.properties(args):
        inputs |= {"subnet": {"id": "/s"}, "applicationSecurityGroups": [{"id": "/g"}]}
    assert list(schema_check.check(describe(token), inputs)) == []
    body = translate(token, inputs, "sub").body
    assert check(body, row_of(token).shape(update=False)) == body
    assert row_of(token).create_model == token


def test_the_local_arms_schemas_are_those_of_the_installed_pulumi_sdk():
    assert BODIES.read_text() == wire_schema.document(), (
        "run `python -m local.plugins.azure_native.wire_schema > local/azure/control_plane/azure_native_bodies.json`"
    )


def test_the_lock_of_a_group_has_the_body_of_the_lock_by_scope():
    token = "azure-native:authorization:ManagementLockAtResourceGroupLevel"
    body = translate(token, {"resourceGroupName": "g", "lockName": "l", "level": "CanNotDelete"}, "sub").body
    assert check(body, model_shape("azure-native:authorization:ManagementLockByScope")) == body


@pytest.mark.parametrize("token", MODELS)
def test_every_property_reaches_the_management_sdk_without_loss(token: str):
    args = sdk.args_class(token)
    assert args
    inputs = full(args, REMOVED.get(token, set()) | READ_ONLY.get(token, set()))
    description = describe(token)
    assert list(schema_check.check(description, inputs)) == []
    body = translate(token, inputs, "sub").body
    assert round_trip(MODELS[token], body) == body


@pytest.mark.parametrize("token", TYPES)
def test_api_versions_are_the_defaults_of_the_installed_sdk(token: str):
    resource = sdk.resource_class(token)
    assert resource
    match = re.search(r"Uses Azure REST API version (\S+)\.", inspect.getsource(resource))
    assert match, "the SDK's docstring no longer names its version"
    assert TYPES[token].api_version == match[1]


@pytest.mark.parametrize("token", TYPES)
def test_path_parameters_are_inputs_of_the_sdk(token: str):
    args = sdk.args_class(token)
    assert args
    assert set(TYPES[token].parameters) | TYPES[token].replaces <= sdk.properties(args).keys()
