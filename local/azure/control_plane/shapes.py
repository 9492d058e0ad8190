"""What a request body may look like, read from the management SDKs' own models: no schema is written by hand.

Knows the two generations of SDK models: msrest (`_attribute_map`, `_validation`: batch, msi, authorization) and the
newer `rest_field` ones (storage, containerregistry, resource). For types whose management SDK is no dependency of ours
the bodies come from the Pulumi SDK, through the generated file `azure_native_bodies.json`
(`local/plugins/azure_native/wire_schema.py` has its form). Checking a body against a shape is `arm/check.py`.
"""

from __future__ import annotations

import datetime
import enum
import importlib
import inspect
import json
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

_BASIC: Mapping[object, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", bytes: "string", object: "any", Any: "any",
    datetime.datetime: "datetime", datetime.date: "string", datetime.time: "string", datetime.timedelta: "duration",
}  # fmt: skip
_MSREST = {
    "str": "string", "int": "integer", "long": "integer", "float": "number", "bool": "boolean", "bytearray": "string",
    "object": "any", "iso-8601": "datetime", "rfc-1123": "datetime", "duration": "duration", "date": "string",
}  # fmt: skip


RECORD = "record"
"""A reference for types of which we keep whatever is sent: the envelope is checked, `properties` are not."""
_RECORD_BODY: Mapping[str, Any] = {
    "object": {
        "location": "string", "tags": {"map": "string"}, "sku": {"map": "any"}, "kind": "string",
        "identity": {"map": "any"}, "zones": {"list": "string"}, "properties": {"map": "any"},
    }
}  # fmt: skip
_BODIES = Path(__file__).with_name("azure_native_bodies.json")


@dataclass(frozen=True)
class Shape:
    """A value: kind is string, integer, number, boolean, datetime, duration, any, list, map, one_of or model."""

    kind: str
    item: Shape | None = None
    alternatives: tuple[Shape, ...] = ()  # of kind one_of
    model: Any = None  # the SDK class of kind model; its fields are read when first needed
    choices: tuple[str, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Field:
    """A property of a model, under its name on the wire."""

    shape: Shape
    required: bool = False
    read_only: bool = False
    inner: Mapping[str, Field] | None = None  # the msrest generation flattens `properties`; here it is nested again


@dataclass(frozen=True, eq=False)
class SchemaObject:
    """An object of the generated file, in place of an SDK class."""

    fields: Mapping[str, Field]


def model_shape(reference: str) -> Shape:
    """The shape of `"module:Class"`, of a Pulumi token (`"azure-native:monitor:ActionGroup"`) or of `RECORD`."""
    if reference == RECORD or reference.startswith("azure-native:"):
        return _generated(reference)
    module, _, name = reference.partition(":")
    return Shape("model", model=getattr(importlib.import_module(module), name))


def partial_shape(shape: Shape) -> Shape:
    """The shape of a PATCH that may leave out what a PUT of this shape requires."""
    fields = {name: replace(one, required=False) for name, one in fields_of(shape.model).items()}
    properties = fields.get("properties")
    if properties is not None and isinstance(properties.shape.model, SchemaObject):
        fields["properties"] = replace(properties, shape=partial_shape(properties.shape))
    return Shape("model", model=SchemaObject(fields))


def with_read_only(shape: Shape, names: Iterable[str]) -> Shape:
    """The shape, with further properties that answers have and requests may therefore bring along.

    A name is a path below `properties`; it goes through lists: `emailReceivers/status`.
    """
    for name in names:
        shape = _with(shape, ["properties", *name.split("/")])
    return shape


def _with(shape: Shape, path: list[str]) -> Shape:
    """The shape, with the read-only property at the end of the path."""
    if shape.item is not None:
        return replace(shape, item=_with(shape.item, path))
    fields = dict(fields_of(shape.model))
    if len(path) == 1:
        fields[path[0]] = Field(Shape("any"), read_only=True)
    else:
        fields[path[0]] = replace(fields[path[0]], shape=_with(fields[path[0]].shape, path[1:]))
    return Shape("model", model=SchemaObject(fields))


@cache
def _generated(reference: str) -> Shape:
    bodies = {RECORD: _RECORD_BODY, **json.loads(_BODIES.read_text())}
    return _schema_shape(bodies[reference])


def _schema_shape(schema: Any) -> Shape:
    if isinstance(schema, str):
        return Shape(schema)
    [(kind, inner)] = [item for item in schema.items() if item[0] != "limits"]
    limits = schema.get("limits", {})
    match kind:
        case "enum":
            return Shape("string", choices=tuple(inner), limits=limits)
        case "scalar":
            return Shape(inner, limits=limits)
        case "one_of":
            return Shape("one_of", alternatives=tuple(_schema_shape(one) for one in inner))
        case "object":
            fields = {
                name.rstrip("*!"): Field(_schema_shape(one), name.endswith("*"), name.endswith("!"))
                for name, one in inner.items()
            }
            return Shape("model", model=SchemaObject(fields))
    return Shape(kind, item=_schema_shape(inner), limits=limits)


def schema_of(shape: Shape, within: tuple[Any, ...] = ()) -> Any:
    """A shape as the files have it: the form of `azure_native_bodies.json`, with `limits` beside a kind, `scalar` for a
    kind that has them, and a name that ends with `!` for what is read-only."""
    limits = {"limits": dict(shape.limits)} if shape.limits else {}
    if shape.choices:
        return {"enum": list(shape.choices), **limits}
    if shape.kind in ("list", "map"):
        return {shape.kind: schema_of(shape.item or Shape("any"), within), **limits}
    if shape.kind != "model":
        return {"scalar": shape.kind, **limits} if limits else shape.kind
    if shape.model in within or getattr(shape.model, "_subtype_map", None):  # of no fixed form
        return "any"
    return {"object": _schema_fields(fields_of(shape.model), (*within, shape.model))}


def _schema_fields(fields: Mapping[str, Field], within: tuple[Any, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, one in fields.items():
        mark = "!" if one.read_only else "*" if one.required else ""
        inner = one.inner
        found[name + mark] = (
            schema_of(one.shape, within) if inner is None else {"object": _schema_fields(inner, within)}
        )
    return found


def changed_shape(shape: Shape, changes: Mapping[str, Any]) -> Shape:
    """The shape of another api-version: each path that it has in another way, or (None) not at all.

    What is read-only stays: our answers show it in every version, and clients PUT what they GOT.
    """
    schema = schema_of(shape)
    for path, one in changes.items():
        *outer, name = path.split("/")
        inside = schema
        for step in outer:
            inside = _below(inside, step)
        fields = _object(inside)
        if one is None and name.endswith("!"):
            continue
        if one is None:
            fields.pop(name, None)
        else:
            fields[name] = one
    return _schema_shape(schema)


def changes_between(base: Any, other: Any, path: str = "") -> dict[str, Any]:
    """What `changed_shape` needs to make the other schema of the base."""
    found: dict[str, Any] = {}
    before, after = _object(base), _object(other)
    for name in sorted({*before, *after}):
        here = f"{path}/{name}" if path else name
        if name not in after:
            found[here] = None
        elif name not in before:
            found[here] = after[name]
        elif before[name] != after[name]:
            inside = _is_object(before[name]) and _is_object(after[name])
            found |= changes_between(before[name], after[name], here) if inside else {here: after[name]}
    return found


def _below(schema: Any, step: str) -> Any:
    return _object(schema)[step]


def _object(schema: Any) -> dict[str, Any]:
    """The fields of an object, of the objects in a list or map, too."""
    while "object" not in schema:
        schema = schema.get("list", schema.get("map"))
    return schema["object"]


def _is_object(schema: Any) -> bool:
    while isinstance(schema, dict) and ("list" in schema or "map" in schema):
        schema = schema.get("list", schema.get("map"))
    return isinstance(schema, dict) and "object" in schema


@cache
def fields_of(model: Any) -> Mapping[str, Field]:
    """The fields of an SDK model class, by wire name."""
    if isinstance(model, SchemaObject):
        return model.fields
    return _old_fields(model) if hasattr(model, "_attribute_map") else _new_fields(model)


def variant(model: Any, body: Mapping[str, Any]) -> Any:
    """The subclass that the body's discriminator names, or the model itself."""
    for attribute, subclasses in getattr(model, "_subtype_map", {}).items():
        key = model._attribute_map[attribute]["key"]
        name = subclasses.get(body.get(key))
        if name is not None:
            return getattr(_namespace(model), name)
    return model


def _namespace(model: Any) -> Any:
    return importlib.import_module(model.__module__.rsplit("._models", 1)[0])


def _old_fields(model: Any) -> Mapping[str, Field]:
    found: dict[str, Field] = {}
    validation = getattr(model, "_validation", {})
    hints: dict[str, Any] = {}
    for base in reversed(model.__mro__):
        hints.update(getattr(base.__init__, "__annotations__", {}))
    for attribute, entry in model._attribute_map.items():
        rules = validation.get(attribute, {})
        shape = replace(_old_shape(entry["type"], model), choices=_choices(hints.get(attribute), model))
        limits = {name: value for name, value in rules.items() if name not in ("required", "readonly")}
        if limits:
            shape = replace(shape, limits=limits)
        one = Field(shape, bool(rules.get("required")), bool(rules.get("readonly")))
        path = [part.replace("\\.", ".") for part in _split(entry["key"])]
        _nest(found, path, one)
    return found


def _split(key: str) -> list[str]:
    """Split at dots that are not escaped."""
    return [part.replace("\0", "\\.") for part in key.replace("\\.", "\0").split(".")]


def _nest(found: dict[str, Field], path: list[str], one: Field) -> None:
    if len(path) == 1:
        found[path[0]] = one
        return
    outer = found.get(path[0])
    inner = dict(outer.inner) if outer is not None and outer.inner is not None else {}
    _nest(inner, path[1:], one)
    needed = any(item.required and not item.read_only for item in inner.values())
    found[path[0]] = Field(Shape("model"), required=needed, inner=inner)


def _old_shape(name: str, model: Any) -> Shape:
    if name.startswith("[") or name.startswith("{"):
        return Shape("list" if name[0] == "[" else "map", item=_old_shape(name[1:-1], model))
    if name in _MSREST:
        return Shape(_MSREST[name])
    return _class_shape(getattr(_namespace(model), name))


def _new_fields(model: Any) -> Mapping[str, Field]:
    found: dict[str, Field] = {}
    for base in reversed(model.__mro__):
        for attribute, hint in inspect.get_annotations(base).items():
            rest = base.__dict__.get(attribute)
            if type(rest).__name__ != "_RestField":
                continue
            name = rest._rest_name_input or attribute
            optional = _is_optional(hint)
            shape = replace(_hint_shape(hint, base), choices=_choices(hint, base))
            found[name] = Field(shape, required=not optional, read_only=rest._visibility == ["read"])
    return found


def _is_optional(hint: Any) -> bool:
    return type(None) in typing.get_args(hint)


def _hint_shape(hint: Any, model: Any) -> Shape:
    hint = _resolve(hint, model)
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [_resolve(one, model) for one in arguments if one is not type(None)]
        enums = [one for one in inner if isinstance(one, type) and issubclass(one, enum.Enum)]
        return Shape("string") if enums else _hint_shape(inner[0], model)
    if origin is typing.Literal:
        return Shape("string")
    if origin in (list, typing.List):  # noqa: UP006
        return Shape("list", item=replace(_hint_shape(arguments[0], model), choices=_choices(arguments[0], model)))
    if origin in (dict, typing.Dict):  # noqa: UP006
        return Shape("map", item=_hint_shape(arguments[1], model))
    if hint in _BASIC:
        return Shape(_BASIC[hint])
    return _class_shape(hint)


def _class_shape(found: Any) -> Shape:
    if isinstance(found, type) and issubclass(found, enum.Enum):
        return Shape("string", choices=tuple(str(one.value) for one in found))
    if isinstance(found, type) and (hasattr(found, "_attribute_map") or hasattr(found, "_is_model")):
        return Shape("model", model=found)
    if isinstance(found, type) and any(base.__name__ == "_MyMutableMapping" for base in found.__mro__):
        return Shape("model", model=found)
    return Shape("any")


def _resolve(hint: Any, model: Any) -> Any:
    name = hint.__forward_arg__ if isinstance(hint, typing.ForwardRef) else hint
    if isinstance(name, str):
        return getattr(_namespace(model), name.rsplit(".", 1)[-1], object)
    return hint


def _choices(hint: Any, model: Any) -> tuple[str, ...]:
    """The enum values among a hint's alternatives (generated code writes `Union[str, Enum]`)."""
    hint = _resolve(hint, model)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return tuple(str(one.value) for one in hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        for one in typing.get_args(hint):
            values = _choices(one, model)
            if values:
                return values
    return ()
