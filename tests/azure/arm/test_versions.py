"""Api-versions: which a type takes, how another one is refused, and that a body is checked by its own version."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.azure.arm.check import check
from local.azure.arm.errors import InvalidRequestContent
from local.azure.control_plane import ids
from local.azure.control_plane.resource_types import TABLE, Types
from local.azure.control_plane.shapes import changed_shape, changes_between, fields_of, model_shape, schema_of
from local.azure.control_plane.versions import api_versions, dump
from local.plugins.azure_native.resources import TYPES
from tests.azure.arm.plain_http import PLACE, Http, provider

ACCOUNTS, POOLS = "Microsoft.Batch/batchAccounts", "Microsoft.Batch/batchAccounts/pools"


@pytest.mark.parametrize("spec", TABLE, ids=[spec.type for spec in TABLE])
def test_every_version_of_a_type_can_check_a_body(spec: Any) -> None:
    assert spec.api_version in spec.versions and list(spec.versions) == sorted(spec.versions, reverse=True)
    for version in spec.versions:
        for update in (False, True):
            assert fields_of(spec.shape(update=update, version=version).model)


def test_every_version_that_the_pulumi_provider_sends_is_taken() -> None:
    for one in TYPES.values():
        kind = ids.parse(one.path.replace("{scope}", "subscriptions/s/resourceGroups/g")).type
        assert one.api_version in Types().get(kind).versions, kind


def test_the_known_versions_are_those_that_the_pulumi_sdk_names() -> None:
    """After another release of it: the command that makes the file is in `dump.py`."""
    assert json.loads(api_versions.KNOWN.read_text()) == dump.known()


def test_a_type_takes_each_known_version_unless_its_body_was_another_one() -> None:
    """`_MORE` names none that the SDK has, and `_OTHER_BODIES` only such, so that each line of both has a reason."""
    for kind, versions in dump.known().items():
        other = set(api_versions._OTHER_BODIES.get(kind, ()))
        assert other <= set(versions), kind
        if kind != "Microsoft.Resources/resourceGroups":  # one refusal of Azure's, as a whole
            assert not set(versions) & set(api_versions._MORE.get(kind, ())), kind
        assert set(Types().get(kind).versions) >= set(versions) - other, kind
        assert not set(Types().get(kind).versions) & other, kind


def test_a_version_that_a_provider_never_had_is_refused_with_those_that_it_has(http_: Http) -> None:
    for method in ("GET", "PUT", "DELETE"):
        body = PLACE if method == "PUT" else None
        status, _, answer = http_(method, provider(f"{ACCOUNTS}/a1b"), body, query="api-version=2024-07-02")
        assert (status, answer["error"]["code"]) == (400, "NoRegisteredProviderFound")
        assert answer["error"]["message"].startswith(
            "No registered resource provider found for location 'westeurope' and API version '2024-07-02' for type "
            "'batchAccounts'. The supported api-versions are '2025-06-01, 2024-07-01, "
        )
    status, _, answer = http_("GET", "/resourceGroups/rg1", query="api-version=2024-11-02")
    assert (status, answer["error"]["code"]) == (400, "InvalidApiVersionParameter")
    assert (
        "'2024-11-02' is invalid. The supported versions are '2025-04-01,2025-03-01,2024-11-01,"
        in (answer["error"]["message"])
    )


def refused(body: dict[str, Any], type_: str, version: str) -> str:
    try:
        check(body, Types().get(type_).shape(update=False, version=version))
    except InvalidRequestContent as error:
        return error.message
    return ""


def test_a_body_is_checked_by_the_models_of_its_own_version() -> None:
    """Certificates went with 2025-06-01; security profiles of pools came with 2023-05-01 or later."""
    certificates = {"properties": {"vmSize": "x", "certificates": [{"id": "a"}]}}
    assert refused(certificates, POOLS, "2024-07-01") == ""
    assert "certificates" in refused(certificates, POOLS, "2025-06-01")
    machine = {
        "imageReference": {"publisher": "a"},
        "nodeAgentSkuId": "b",
        "securityProfile": {"securityType": "trustedLaunch"},
    }
    secure = {"properties": {"deploymentConfiguration": {"virtualMachineConfiguration": machine}}}
    assert refused(secure, POOLS, "2024-07-01") == ""
    assert "securityProfile" in refused(secure, POOLS, "2022-10-01")


def test_changes_between_two_schemas_make_one_of_the_other() -> None:
    spec = Types().get(POOLS)
    base = schema_of(model_shape(spec.create_model))
    for type_ in (ACCOUNTS, POOLS):
        other = schema_of(model_shape(Types().get(type_).create_model))
        changed = changed_shape(model_shape(spec.create_model), changes_between(base, other))
        assert changes_between(other, schema_of(changed)) == {
            path: one for path, one in changes_between(other, base).items() if path.endswith("!") and one is not None
        }
