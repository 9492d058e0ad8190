"""Property values as plain Python: what the RPCs' `Struct`s decode to, and what changed between two of them.

JSON values stay plain, whole numbers become `int`, and `UNKNOWN` stands for what is not known until the update runs.
The plugins do not accept secrets (nor do the real ones): the engine takes the marks off before it sends and puts them
back by property path. A mark that comes all the same is taken off here.

`PropertyValue` of `pulumi.provider.experimental` is not used: in pulumi 3.272.0 it decodes an unknown as an ordinary
string, cannot encode one (`PropertyValue.computed().marshal()` raises ValueError), and refuses integers, and outputs
without a value. The markers of the wire format are the SDK's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from google.protobuf import struct_pb2
from pulumi.runtime import rpc

UNKNOWN_MARKER: Final = rpc.UNKNOWN
_SIGNATURE: Final = rpc._special_sig_key
_WRAPPERS: Final = frozenset({rpc._special_secret_sig, rpc._special_output_value_sig})
_LARGEST_EXACT: Final = 2**53
"""Numbers travel as doubles: beyond it a float is no longer one certain whole number."""


class _Unknown:
    """The type of `UNKNOWN`: one object, whatever copies it."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __copy__(self) -> _Unknown:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> _Unknown:
        return self

    def __bool__(self) -> bool:
        return False


UNKNOWN: Final = _Unknown()


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Decode a map of properties; keys come out sorted."""
    return {key: _from_value(struct.fields[key]) for key in sorted(struct.fields)}


def _from_value(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value == UNKNOWN_MARKER else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < _LARGEST_EXACT else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [_from_value(item) for item in value.list_value.values]
        case "struct_value":
            fields = value.struct_value.fields
            if _SIGNATURE in fields and fields[_SIGNATURE].string_value in _WRAPPERS:
                return _from_value(fields["value"]) if "value" in fields else UNKNOWN
            return from_struct(value.struct_value)
    return None


def to_struct(values: Mapping[str, Any]) -> struct_pb2.Struct:
    """Encode a map of properties."""
    return struct_pb2.Struct(fields={key: _to_value(value) for key, value in values.items()})


def _to_value(value: Any) -> struct_pb2.Value:
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=UNKNOWN_MARKER)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, list | tuple):
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_to_value(item) for item in value]))
    if isinstance(value, dict):
        return struct_pb2.Value(struct_value=to_struct(value))
    raise TypeError(f"not a property value: {type(value).__name__}")


def any_in(value: Any, test: Callable[[Any], bool]) -> bool:
    """Whether `test` holds for the value or anything inside it."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return test(value) or any(any_in(child, test) for child in children)


def has_unknown(value: Any) -> bool:
    """Whether anything in the value is not known yet."""
    return any_in(value, lambda item: item is UNKNOWN)


# -- comparison: paths are Pulumi's (a.b[0]["x.y"]) --------------------------------------------------------------------


def diff_values(old: Any, new: Any, path: str = "") -> dict[str, str]:
    """path -> add | delete | update, walked through maps and lists. An unknown always counts as an update."""
    if isinstance(old, dict) and isinstance(new, dict):
        changes: dict[str, str] = {}
        for key in sorted(old.keys() | new.keys()):
            changes |= _diff_at(key in old, key in new, old.get(key), new.get(key), _join(path, key))
        return changes
    if isinstance(old, list) and isinstance(new, list):
        changes = {}
        for i in range(max(len(old), len(new))):
            sides = old[i] if i < len(old) else None, new[i] if i < len(new) else None
            changes |= _diff_at(i < len(old), i < len(new), *sides, f"{path}[{i}]")
        return changes
    if new is UNKNOWN or (type(old) is not type(new) and not _are_numbers(old, new)) or old != new:
        return {path: "update"}
    return {}


def _diff_at(was: bool, is_now: bool, old: Any, new: Any, path: str) -> dict[str, str]:
    if was and is_now:
        return diff_values(old, new, path)
    return {path: "delete" if was else "add"}


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


_NEEDS_QUOTES: Final = re.compile(r'[.\[\]"]')
_FIRST_STEP: Final = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|[^.\[]+')


def _join(path: str, key: str) -> str:
    if not key or _NEEDS_QUOTES.search(key):
        return path + '["' + key.replace("\\", "\\\\").replace('"', '\\"') + '"]'
    return f"{path}.{key}" if path else key


def top_level(path: str) -> str:
    """The property that a path begins with."""
    match = _FIRST_STEP.match(path)
    assert match, f"not a property path: {path!r}"
    return match[0] if match[1] is None else re.sub(r"\\(.)", r"\1", match[1])
