"""Shapes read from models of both generations and from the generated file: names on the wire, what is required."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

import pytest
from azure.mgmt.batch import models

from local.azure.arm.check import check
from local.azure.arm.errors import InvalidRequestContent
from local.azure.control_plane.shapes import (
    RECORD,
    Field,
    SchemaObject,
    Shape,
    fields_of,
    model_shape,
    partial_shape,
    variant,
    with_read_only,
)

POOL = "azure.mgmt.batch.models:Pool"
STORAGE = "azure.mgmt.storage.models:StorageAccountCreateParameters"


def at(shape: Shape, *path: str) -> Field:
    """The field at the end of a path of wire names."""
    fields = fields_of(shape.model)
    for name in path[:-1]:
        entry = fields[name]
        fields = entry.inner if entry.inner is not None else fields_of(entry.shape.model)
    return fields[path[-1]]


class Colour(StrEnum):
    RED = "Red"


class Flat:
    """A model as msrest writes them: `properties` is flattened."""

    _attribute_map: ClassVar = {
        "name": {"key": "name", "type": "str"},
        "size": {"key": "properties.size", "type": "int"},
        "parts": {"key": "properties.parts", "type": "[str]"},
        "odata": {"key": "@odata\\.type", "type": "str"},
    }
    _validation: ClassVar = {"name": {"readonly": True}, "size": {"required": True, "minimum": 1, "maximum": 9}}

    def __init__(self, *, colour: str | Colour | None = None) -> None:
        self.colour = colour


def test_flattened_properties_are_nested_again_and_required_when_something_in_them_is() -> None:
    fields = fields_of(Flat)
    assert set(fields) == {"name", "properties", "@odata.type"}
    assert fields["name"].read_only and not fields["name"].required
    assert fields["properties"].required
    inner = fields["properties"].inner
    assert inner is not None and set(inner) == {"size", "parts"}
    assert inner["size"].shape.kind == "integer" and inner["size"].shape.limits == {"minimum": 1, "maximum": 9}
    assert inner["parts"].shape.kind == "list" and inner["parts"].shape.item == Shape("string")


@pytest.mark.parametrize(
    ("reference", "path", "kind"),
    [
        (POOL, ("properties", "vmSize"), "string"),
        (POOL, ("properties", "taskSlotsPerNode"), "integer"),
        (POOL, ("properties", "metadata"), "list"),
        (POOL, ("properties", "startTask"), "model"),
        (STORAGE, ("sku",), "model"),
        (STORAGE, ("tags",), "map"),
        (STORAGE, ("properties", "allowSharedKeyAccess"), "boolean"),
        (RECORD, ("properties",), "map"),
    ],
)
def test_a_property_has_its_kind_under_its_name_on_the_wire(reference: str, path: tuple[str, ...], kind: str) -> None:
    assert at(model_shape(reference), *path).shape.kind == kind


def test_answers_only_properties_are_read_only_and_enums_are_choices() -> None:
    pool = model_shape(POOL)
    assert at(pool, "properties", "provisioningState").read_only
    assert not at(pool, "properties", "vmSize").read_only
    assert at(model_shape(STORAGE), "sku").required
    assert "Standard_LRS" in at(model_shape(STORAGE), "sku", "name").shape.choices
    assert "Hot" in at(model_shape(STORAGE), "properties", "accessTier").shape.choices


def test_a_generated_body_knows_what_is_required_by_its_star() -> None:
    group = model_shape("azure-native:monitor:ActionGroup")
    assert at(group, "properties", "groupShortName").required
    assert not at(group, "properties", "emailReceivers").required


def test_a_patch_may_leave_out_what_a_put_requires() -> None:
    group = model_shape("azure-native:monitor:ActionGroup")
    with pytest.raises(InvalidRequestContent, match="is missing"):
        check({"tags": {"a": "b"}, "properties": {}}, group)
    assert check({"tags": {"a": "b"}, "properties": {}}, partial_shape(group)) == {"tags": {"a": "b"}, "properties": {}}
    assert at(group, "properties", "groupShortName").required, "the shape itself is as it was"


def test_further_properties_of_answers_are_dropped_also_inside_of_lists() -> None:
    body = {"properties": {"receivers": [{"name": "n", "status": "Enabled"}], "state": "Ready"}}
    inner = SchemaObject({"name": Field(Shape("string"), required=True)})
    properties = SchemaObject({"receivers": Field(Shape("list", item=Shape("model", model=inner)))})
    shape = Shape("model", model=SchemaObject({"properties": Field(Shape("model", model=properties))}))
    with pytest.raises(InvalidRequestContent, match="Could not find member 'status'"):
        check(body, shape)
    assert check(body, with_read_only(shape, ("state", "receivers/status"))) == {
        "properties": {"receivers": [{"name": "n"}]}
    }


def test_a_discriminator_chooses_the_subclass_and_an_unknown_one_leaves_the_base() -> None:
    class Base:
        __module__ = models.__name__
        _attribute_map: ClassVar = {"kind": {"key": "type", "type": "str"}}
        _subtype_map: ClassVar = {"kind": {"Pool": "Pool"}}

    assert variant(Base, {"type": "Pool"}) is models.Pool
    assert variant(Base, {"type": "other"}) is Base
    assert variant(Base, {}) is Base
    assert variant(Flat, {"type": "Pool"}) is Flat


@pytest.mark.parametrize(
    ("schema", "value", "kept"),
    [
        (Shape("one_of", alternatives=(Shape("integer"), Shape("boolean"))), "true", True),
        (Shape("one_of", alternatives=(Shape("integer"), Shape("boolean"))), "7", 7),
        (Shape("map", item=Shape("integer")), {"a": "1"}, {"a": 1}),
        (Shape("list", item=Shape("datetime")), ["2026-01-01T00:00:00Z"], ["2026-01-01T00:00:00Z"]),
        (Shape("any"), {"what": ["ever"]}, {"what": ["ever"]}),
        (Shape("string", choices=("Hot", "Cool")), "HOT", "Hot"),
        (Shape("number"), "1.5", 1.5),
        (Shape("duration"), "P1DT2H", "P1DT2H"),
    ],
)
def test_a_value_is_brought_to_its_shape(schema: Shape, value: Any, kept: Any) -> None:
    shape = Shape("model", model=SchemaObject({"v": Field(schema)}))
    assert check({"V": value}, shape) == {"v": kept}


@pytest.mark.parametrize(
    ("schema", "value", "says"),
    [
        (Shape("integer"), True, "'v' must be of type integer, got a boolean True"),
        (Shape("integer"), 2**63, "'v' must be of type integer"),
        (Shape("integer", limits={"minimum": 1}), 0, "'v' is 0; its minimum is 1"),
        (Shape("integer", limits={"multiple": 5}), 7, "its multiple is 5"),
        (Shape("string", limits={"max_length": 3}), "four", "its max length is 3"),
        (Shape("string", limits={"pattern": "^a+$"}), "b", "its pattern is"),
        (Shape("string", choices=("Hot", "Cool")), "Cold", "'Cold' is not allowed for 'v'; allowed: Hot, Cool"),
        (Shape("string"), {}, "'v' must be of type string, got an object"),
        (Shape("list"), {}, "'v' must be an array, got an object"),
        (Shape("map"), [], "'v' must be an object, got an array"),
        (Shape("list", item=Shape("integer")), [1, "x"], r"'v\[1\]' must be of type integer"),
        (Shape("map", item=Shape("boolean")), {"k": "maybe"}, r"'v\['k'\]' must be of type boolean"),
        (Shape("one_of", alternatives=(Shape("integer"), Shape("boolean"))), "x", "'v' must be of type"),
        (Shape("datetime"), "yesterday", "must be of type datetime"),
        (Shape("duration"), "P", "must be of type duration"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_its_path_and_what_was_sent(
    schema: Shape, value: Any, says: str
) -> None:
    shape = Shape("model", model=SchemaObject({"v": Field(schema)}))
    with pytest.raises(InvalidRequestContent, match=says):
        check({"v": value}, shape)


def test_what_only_the_answer_has_may_come_along_and_is_dropped() -> None:
    sent = Shape("model", model=SchemaObject({"v": Field(Shape("integer"))}))
    shown = Shape("model", model=SchemaObject({"v": Field(Shape("integer")), "endpoint": Field(Shape("string"))}))
    assert check({"v": 1, "Endpoint": "x"}, sent, shown) == {"v": 1}
    with pytest.raises(InvalidRequestContent, match="Could not find member 'other'"):
        check({"v": 1, "other": "x"}, sent, shown)


def test_a_null_is_as_if_it_was_not_sent_unless_it_is_required() -> None:
    optional = Shape("model", model=SchemaObject({"v": Field(Shape("integer"))}))
    required = Shape("model", model=SchemaObject({"v": Field(Shape("integer"), required=True)}))
    assert check({"v": None}, optional) == {}
    with pytest.raises(InvalidRequestContent, match="The required property 'v' is null"):
        check({"v": None}, required)
    with pytest.raises(InvalidRequestContent, match="The required property 'v' is missing"):
        check({}, required)


def test_a_mistyped_member_is_refused_with_the_nearest_one() -> None:
    shape = Shape("model", model=SchemaObject({"taskSlotsPerNode": Field(Shape("integer"))}))
    with pytest.raises(InvalidRequestContent, match=r"'taskSlotPerNode'.*taskSlotsPerNode"):
        check({"taskSlotPerNode": 1}, shape)


@pytest.mark.parametrize("body", [None, [], "x", 7])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    with pytest.raises(InvalidRequestContent, match="expected a JSON object"):
        check(body, Shape("model", model=SchemaObject({})))
