"""ARM bodies against the management SDKs' own models: unknown, read-only and missing properties, types, enums, ranges.

The SDKs come in two generations. The older (batch 18.0.0, authorization, msi) keeps `_attribute_map` and `_validation`
and can serialise with validation; enums are named in its docstrings only. The newer (storage, containerregistry,
resource) keeps annotated fields. `fields` reads both into one form, so that one walk checks all.
"""

from __future__ import annotations

import enum
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from azure.mgmt.authorization.v2022_04_01 import models as authorization
from azure.mgmt.batch import models as batch
from azure.mgmt.batch._serialization import Deserializer as BatchDeserializer
from azure.mgmt.batch._serialization import Serializer as BatchSerializer
from azure.mgmt.containerregistry import models as containerregistry
from azure.mgmt.msi.v2024_11_30 import models as msi
from azure.mgmt.resource.resources import models as resources
from azure.mgmt.storage import models as storage

MODELS: Mapping[str, type] = {
    "azure-native:resources:ResourceGroup": resources.ResourceGroup,
    "azure-native:managedidentity:UserAssignedIdentity": msi.Identity,
    "azure-native:authorization:RoleAssignment": authorization.RoleAssignmentCreateParameters,
    "azure-native:storage:StorageAccount": storage.StorageAccountCreateParameters,
    "azure-native:storage:BlobContainer": storage.BlobContainer,
    "azure-native:storage:BlobServiceProperties": storage.BlobServiceProperties,
    "azure-native:containerregistry:Registry": containerregistry.Registry,
    "azure-native:batch:BatchAccount": batch.BatchAccountCreateParameters,
    "azure-native:batch:Pool": batch.Pool,
}
PLAIN = {"str": str, "int": int, "bool": bool, "object": object, "iso-8601": str, "duration": str}
RANGES = {"minimum": lambda v, n: v >= n, "maximum": lambda v, n: v <= n, "pattern": lambda v, n: re.search(n, v)}
RANGES |= {"min_length": lambda v, n: len(v) >= n, "max_length": lambda v, n: len(v) <= n}


@dataclass(frozen=True)
class Field:
    """One property of a model: its path on the wire, the type of its value, and what may be said of it."""

    path: tuple[str, ...]
    kind: Any
    required: bool = False
    read_only: bool = False
    rules: Mapping[str, Any] = field(default_factory=dict)


def fields(model: type) -> list[Field]:
    """The properties of a model of either generation."""
    return list(_older(model) if hasattr(model, "_attribute_map") else _newer(model))


def _older(model: Any) -> Iterator[Field]:
    module = __import__(model.__module__.rsplit(".", 1)[0], fromlist=["*"])
    documented = dict(re.findall(r":vartype (\w+):\s+([^:]*?)\s*(?=:ivar|\Z)", model.__doc__ or "", re.DOTALL))
    for name, entry in model._attribute_map.items():
        rules = model._validation.get(name, {})
        kind = _older_kind(entry["type"], documented.get(name, ""), module)
        path = tuple(entry["key"].split("."))
        yield Field(path, kind, bool(rules.get("required")), bool(rules.get("readonly")), rules)


def _older_kind(text: str, documented: str, module: Any) -> Any:
    if text[0] in "[{":
        inner = _older_kind(text[1:-1], documented, module)
        return list[inner] if text[0] == "[" else dict[str, inner]
    named = re.search(r"models\.(\w+)", documented)
    candidate = getattr(module, named.group(1), None) if named and text == "str" else None
    if isinstance(candidate, type) and issubclass(candidate, enum.Enum):
        return candidate
    return PLAIN.get(text) or getattr(module, text)


def _newer(model: Any) -> Iterator[Field]:
    package = __import__(model.__module__.rsplit(".", 1)[0], fromlist=["*"])
    names = {"_models": package, **vars(typing)}
    hints: dict[str, Any] = {}
    for owner in reversed(model.__mro__):
        namespace = {**vars(__import__(owner.__module__, fromlist=["*"])), **names}
        for name, hint in vars(owner).get("__annotations__", {}).items():
            hints[name] = typing.get_type_hints(type("One", (), {"__annotations__": {name: hint}}), namespace)[name]
    fresh = model({})  # resolves the fields' wire names
    for name, rest in fresh._attr_to_rest_field.items():
        kind, required = _newer_kind(hints[name])
        yield Field((rest._rest_name,), kind, required, rest._visibility == ["read"])


def _newer_kind(hint: Any) -> tuple[Any, bool]:
    options = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    closed = [option for option in options if isinstance(option, type) and issubclass(option, enum.Enum)]
    kept = closed or [option for option in options if option is not type(None)]
    return kept[0], type(None) not in options


def problems(kind: Any, value: Any, path: str = "") -> list[str]:
    """What is wrong with a body (or a value in it) by its model; empty when nothing is lost and all is allowed."""
    origin = typing.get_origin(kind)
    if origin in (list, dict):
        if not isinstance(value, origin):
            return [f"{path}: expected {origin.__name__}, got {value!r}"]
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        return [found for key, item in pairs for found in problems(typing.get_args(kind)[-1], item, f"{path}[{key}]")]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return [] if value in {item.value for item in kind} else [f"{path}: {value!r} is no {kind.__name__}"]
    if hasattr(kind, "_attribute_map") or hasattr(kind, "_is_model"):
        return _object_problems(kind, value, path)
    if kind in (object, Any) or (type(value) is kind):
        return []
    return [f"{path}: expected {kind}, got {value!r}"]


def _object_problems(model: type, value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: expected {model.__name__}, got {value!r}"]
    found: list[str] = []
    known: set[tuple[str, ...]] = set()
    for entry in fields(model):
        known |= {entry.path[: index + 1] for index in range(len(entry.path))}
        here = ".".join((path, *entry.path)).lstrip(".")
        item: Any = value
        for part in entry.path:
            item = item.get(part) if isinstance(item, dict) else None
        if item is None:
            # The service gives read-only properties, whatever their model demands of an answer.
            found += [f"{here}: required"] if entry.required and not entry.read_only else []
        elif entry.read_only:
            found.append(f"{here}: read-only")
        else:
            found += problems(entry.kind, item, here)
            found += [
                f"{here}: {item!r} breaks {rule} {limit}"
                for rule, limit in entry.rules.items()
                if rule in RANGES and not RANGES[rule](item, limit)
            ]
    leaves = {key[0] for key in known if len(key) == 1}
    found += [f"{path}.{key}: unknown to {model.__name__}".lstrip(".") for key in value if key not in leaves]
    if isinstance(value.get("properties"), dict) and any(len(key) == 2 for key in known):
        inner = {key[1] for key in known if len(key) == 2}
        found += [f"{path}.properties.{key}: unknown".lstrip(".") for key in value["properties"] if key not in inner]
    return found


def batch_round_trip(model: type, body: dict[str, Any]) -> dict[str, Any]:
    """Through azure-mgmt-batch's own code, with its client-side validation, and back."""
    known = {name: item for name, item in vars(batch).items() if isinstance(item, type)}
    serializer = BatchSerializer(known)
    serializer.client_side_validation = True
    return serializer.body(BatchDeserializer(known)(model.__name__, body), model.__name__)
