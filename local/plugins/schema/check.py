"""Problems of inputs: missing, unknown and mistyped properties, values outside a closed enumeration.

The SDK checks none of this in nested dictionaries (`sku={"tierr": 1}` passes), so this is the only net before ARM.
"""

from __future__ import annotations

import collections.abc
import difflib
import enum
import typing
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from pulumi import Archive, Asset
from pulumi import _types as pulumi_types

from ..protocol.property_values import UNKNOWN
from ..protocol.provider import Failure
from .sdk import flatten, properties


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` or nothing."""
    table = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.replace("_", "").lower(), table, n=1, cutoff=0.75)
    return f"; did you mean '{table[found[0]]}'?" if found else ""


def check(cls: type, value: dict[str, Any], path: str = "") -> Iterator[Failure]:
    """All problems of an Args class's value; names that begin with two underscores are the provider's own."""
    known = properties(cls)
    for name, prop in known.items():
        if prop.required and value.get(name) is None:
            yield Failure(f"{path}{name}", f"missing required property '{path}{name}'")
    for name, item in value.items():
        if name.startswith("__"):
            continue
        if name not in known:
            owner = cls.__name__.removesuffix("Args").removesuffix("Init")
            yield Failure(f"{path}{name}", f"'{path}{name}' is not a property of {owner}{nearest(name, known)}")
        else:
            yield from _check_value(known[name].types, item, f"{path}{name}")


def _check_value(types: Collection[Any], value: Any, path: str) -> Iterator[Failure]:
    if value is None or value is UNKNOWN or not types or Any in types:
        return
    best: list[Failure] | None = None
    for kind in types:
        found = list(_check_one(kind, value, path))
        if not found:
            return
        if best is None or len(found) < len(best):
            best = found
    if len(types) > 1 and isinstance(value, str | bool | int | float):
        expected = ", ".join(getattr(kind, "__name__", str(kind)) for kind in types)
        best = [Failure(path, f"'{path}' is {value!r}, expected one of: {expected}")]
    yield from best or ()


def _check_one(kind: Any, value: Any, path: str) -> Iterator[Failure]:
    origin = typing.get_origin(kind)
    if origin in (collections.abc.Sequence, list):
        yield from _check_list(kind, value, path)
    elif origin in (collections.abc.Mapping, dict):
        yield from _check_map(kind, value, path)
    elif not isinstance(kind, type) or issubclass(kind, Asset | Archive):
        return
    elif issubclass(kind, enum.Enum):
        allowed = [member.value for member in kind]
        if value not in allowed:
            yield Failure(path, f"'{path}' is {value!r}, allowed are: " + ", ".join(map(str, allowed)))
    elif pulumi_types.is_input_type(kind):
        if isinstance(value, dict):
            yield from check(kind, value, f"{path}.")
        else:
            yield Failure(path, f"'{path}' should be an object, is {type(value).__name__}")
    elif kind in (bool, str) and not isinstance(value, kind):
        yield Failure(path, f"'{path}' should be a {kind.__name__}, is {type(value).__name__} {_shown(value)}")
    elif kind in (int, float) and not _is_number(kind, value):
        yield Failure(path, f"'{path}' should be a{'n integer' if kind is int else ' number'}, is {_shown(value)}")


def _check_list(kind: Any, value: Any, path: str) -> Iterator[Failure]:
    if not isinstance(value, list):
        yield Failure(path, f"'{path}' should be a list, is {type(value).__name__}")
        return
    inner = tuple(flatten(typing.get_args(kind)[0]))
    for index, item in enumerate(value):
        yield from _check_value(inner, item, f"{path}[{index}]")


def _check_map(kind: Any, value: Any, path: str) -> Iterator[Failure]:
    if not isinstance(value, dict):
        yield Failure(path, f"'{path}' should be a map, is {type(value).__name__}")
        return
    inner = tuple(flatten(typing.get_args(kind)[1]))
    for key, item in value.items():
        yield from _check_value(inner, item, f"{path}.{key}")


def _is_number(kind: type, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and (kind is float or value == int(value))


def _shown(value: Any) -> str:
    """Containers are not shown: they may hold secrets, whose marks do not reach a plugin."""
    return "" if isinstance(value, dict | list) else repr(value)
