"""Problems of inputs: missing, unknown and mistyped properties, values outside a closed enumeration.

The SDK checks none of this in nested dictionaries (`sku={"tierr": 1}` passes), so this is the only net before ARM.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from local.plugins.protocol.property_values import UNKNOWN
from local.plugins.protocol.provider import Failure
from local.plugins.schema.types import Description, Kind


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The end of a message: `; did you mean 'x'?`, or nothing where no candidate is near."""
    by_lower_case = {candidate.lower(): candidate for candidate in candidates}
    matches = difflib.get_close_matches(name.replace("_", "").lower(), by_lower_case, n=1, cutoff=0.75)
    return f"; did you mean '{by_lower_case[matches[0]]}'?" if matches else ""


def check(description: Description, value: dict[str, Any]) -> Iterator[Failure]:
    """All problems of a type's inputs; names that begin with two underscores are the provider's own."""
    return _check_object(description, description.inputs, value, "")


def _check_object(description: Description, cls: str, value: dict[str, Any], path: str) -> Iterator[Failure]:
    properties = description.objects[cls]
    for name, (_, required) in properties.items():
        if required and value.get(name) is None:
            yield Failure(f"{path}{name}", f"missing required property '{path}{name}'")
    for name, item in value.items():
        if name.startswith("__"):
            continue
        if name not in properties:
            owner = cls.rpartition(".")[2].removesuffix("Args").removesuffix("Init")
            yield Failure(f"{path}{name}", f"'{path}{name}' is not a property of {owner}{nearest(name, properties)}")
        else:
            yield from _check_value(description, properties[name][0], item, f"{path}{name}")


def _check_value(description: Description, kinds: Sequence[Kind], value: Any, path: str) -> Iterator[Failure]:
    if value is None or value is UNKNOWN or not kinds or "any" in kinds:
        return
    best: list[Failure] | None = None
    for kind in kinds:
        failures = list(_check_one(description, kind, value, path))
        if not failures:
            return
        if best is None or len(failures) < len(best):
            best = failures
    if len(kinds) > 1 and isinstance(value, str | bool | int | float):
        expected = ", ".join(_name(kind) for kind in kinds)
        best = [Failure(path, f"'{path}' is {value!r}, expected one of: {expected}")]
    yield from best or ()


def _check_one(description: Description, kind: Kind, value: Any, path: str) -> Iterator[Failure]:
    match kind:
        case "asset":
            return
        case ["list", inner]:
            if not isinstance(value, list):
                yield Failure(path, f"'{path}' should be a list, is {type(value).__name__}")
                return
            for index, item in enumerate(value):
                yield from _check_value(description, inner, item, f"{path}[{index}]")
        case ["map", inner]:
            if not isinstance(value, dict):
                yield Failure(path, f"'{path}' should be a map, is {type(value).__name__}")
                return
            for key, item in value.items():
                yield from _check_value(description, inner, item, f"{path}.{key}")
        case ["enum", _, allowed]:
            if value not in allowed:
                yield Failure(path, f"'{path}' is {value!r}, allowed are: " + ", ".join(map(str, allowed)))
        case ["object", name]:
            if isinstance(value, dict):
                yield from _check_object(description, name, value, f"{path}.")
            else:
                yield Failure(path, f"'{path}' should be an object, is {type(value).__name__}")
        case "bool" | "str":
            if not isinstance(value, bool if kind == "bool" else str):
                yield Failure(path, f"'{path}' should be a {kind}, is {type(value).__name__} {_shown(value)}")
        case "int" | "float":
            if not _is_number(kind, value):
                yield Failure(
                    path, f"'{path}' should be a{'n integer' if kind == 'int' else ' number'}, is {_shown(value)}"
                )


def _name(kind: Kind) -> str:
    return kind if isinstance(kind, str) else str(kind[1] if kind[0] == "enum" else kind[0])


def _is_number(kind: Kind, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and (kind == "float" or value == int(value))


def _shown(value: Any) -> str:
    """Containers are not shown: they may hold secrets, whose marks do not reach a plugin."""
    return "" if isinstance(value, dict | list) else repr(value)
