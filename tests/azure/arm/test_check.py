"""The schema check: every body of the program passes unchanged, and each rule has its words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local.azure.arm.check import check
from local.azure.arm.errors import InvalidRequestContent
from local.azure.control_plane import ids
from local.azure.control_plane.resource_types import TABLE, Types
from local.azure.control_plane.shapes import fields_of, model_shape

GOLDEN = sorted((Path(__file__).resolve().parents[2] / "infra" / "golden").glob("*/*.json"))
POOL = Types().get("Microsoft.Batch/batchAccounts/pools").shape(update=False)


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_body_that_the_program_sends_passes_unchanged(file: Path) -> None:
    sent = json.loads(file.read_text())
    spec = Types().get(ids.parse(sent["path"]).type)
    assert sent["apiVersion"] in spec.versions
    assert check(sent["body"], spec.shape(update=False, version=sent["apiVersion"]), spec.read_shape()) == sent["body"]


@pytest.mark.parametrize("spec", TABLE, ids=lambda spec: spec.type)
def test_every_types_models_can_be_read(spec: Any) -> None:
    waiting, seen = [spec.shape(update=False), spec.shape(update=True), spec.read_shape()], set()
    while waiting:
        shape = waiting.pop()
        if shape is None or shape.model in seen:
            continue
        if shape.model is None:
            waiting.append(shape.item)
            continue
        seen.add(shape.model)
        entries = list(fields_of(shape.model).values())
        while entries:
            entry = entries.pop()
            entries.extend((entry.inner or {}).values())
            waiting.append(None if entry.inner is not None else entry.shape)
    assert seen


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"taskSlotPerNode": 2}, "Could not find member 'taskSlotPerNode'.*Did you mean 'taskSlotsPerNode'"),
        ({"taskSlotsPerNode": "two"}, "must be of type integer, got a string 'two'"),
        ({"taskSlotsPerNode": True}, "got a boolean"),
        ({"startTask": {"commandLine": 5, "resourceFiles": {}}}, "resourceFiles' must be an array, got an object"),
        ({"userAccounts": [{"name": "a"}]}, r"userAccounts\[0\].password' is missing"),
        ({"userAccounts": [{"name": "a", "password": "b", "elevationLevel": "Root"}]}, "allowed: NonAdmin, Admin"),
        ({"scaleSettings": {"fixedScale": {"resizeTimeout": "15 minutes"}}}, "must be of type duration"),
        ({"deploymentConfiguration": []}, "must be an object, got an array"),
    ],
)
def test_each_rule_has_its_words(properties: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRequestContent, match=said):
        check({"properties": properties}, POOL)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InvalidRequestContent) as refused:
        check({"properties": {"vmsize_": "x", "metadata": [{"name": "only"}]}, "colour": "red"}, POOL)
    assert all(one in refused.value.message for one in ("vmsize_", "metadata[0].value", "colour"))


def test_read_only_fields_are_dropped_and_any_case_is_brought_to_the_models() -> None:
    body = {
        "id": "x",
        "etag": "y",
        "Properties": {"VMSIZE": "a", "allocationState": "Steady", "currentDedicatedNodes": 3},
    }
    assert check(body, POOL) == {"properties": {"vmSize": "a"}}


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 400, 10**400, float("inf"), "١٢"])
def test_a_number_that_is_none_or_too_large_is_refused(number: object) -> None:
    shape = model_shape("azure.mgmt.batch.models:Pool")
    with pytest.raises(InvalidRequestContent, match="taskSlotsPerNode"):
        check({"properties": {"taskSlotsPerNode": number}}, shape)
