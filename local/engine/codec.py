"""Property values: the Python model, and its two encodings (the Struct of Pulumi's RPCs, the JSON of the state file).

Plain JSON values stay plain. Two things JSON has no word for get a type: `UNKNOWN` (not known until the update runs)
and `Secret(value)`. Assets, archives and resource references travel as the signed maps they already are. Nothing
outside this module knows the markers. Paths and comparison are in the second half. Plugins use this module too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import struct_pb2

# Markers of the wire format, as in the public SDK (pulumi/runtime/rpc.py of the 3.272 wheel).
SIG: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIG: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
OUTPUT_SIG: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_TEXT: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Path = list[str | int]


class _Unknown:
    """The type of UNKNOWN: one object, whatever copies it."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __copy__(self) -> _Unknown:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> _Unknown:
        return self

    def __bool__(self) -> bool:
        return False


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True)
class Secret:
    """A value that must not be shown, nor written in clear."""

    value: Any

    def __repr__(self) -> str:
        return "[secret]"


# -- Struct, as the RPCs carry it ------------------------------------------------------------------------------------


def from_value(value: struct_pb2.Value) -> Any:
    """Decode one wire value."""
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value == UNKNOWN_TEXT else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [from_value(item) for item in value.list_value.values]
        case "struct_value":
            return _from_signed(value.struct_value)
    return None


def _from_signed(struct: struct_pb2.Struct) -> Any:
    fields = struct.fields
    sig = fields[SIG].string_value if SIG in fields else ""
    if sig == SECRET_SIG:
        return secret(from_value(fields["value"]))
    if sig == OUTPUT_SIG:
        inner = from_value(fields["value"]) if "value" in fields else UNKNOWN
        return secret(inner) if "secret" in fields and fields["secret"].bool_value else inner
    return from_struct(struct)


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """Decode a wire map; keys come out sorted."""
    return {key: from_value(struct.fields[key]) for key in sorted(struct.fields)}


def to_value(value: Any, keep_secrets: bool = True) -> struct_pb2.Value:
    """Encode one value; without `keep_secrets` the marks are dropped."""
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=UNKNOWN_TEXT)
    if isinstance(value, Secret):
        if not keep_secrets:
            return to_value(value.value, False)
        fields = {SIG: struct_pb2.Value(string_value=SECRET_SIG), "value": to_value(value.value, True)}
        return struct_pb2.Value(struct_value=struct_pb2.Struct(fields=fields))
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, list | tuple):
        items = [to_value(item, keep_secrets) for item in value]
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))
    if isinstance(value, dict):
        return struct_pb2.Value(struct_value=to_struct(value, keep_secrets))
    raise TypeError(f"not a property value: {type(value).__name__}")


def to_struct(values: Mapping[str, Any], keep_secrets: bool = True) -> struct_pb2.Struct:
    """Encode a map for the wire."""
    return struct_pb2.Struct(fields={key: to_value(value, keep_secrets) for key, value in values.items()})


# -- JSON, as the state file carries it ------------------------------------------------------------------------------


def to_state(value: Any, seal: Callable[[Any], str]) -> Any:
    """JSON for the state file; `seal` turns a secret's (already encoded) content into ciphertext."""
    if isinstance(value, Secret):
        return {SIG: SECRET_SIG, "ciphertext": seal(to_state(value.value, seal))}
    if value is UNKNOWN:
        raise ValueError("an unknown value cannot be saved")
    if isinstance(value, dict):
        return {key: to_state(value[key], seal) for key in sorted(value)}
    if isinstance(value, list):
        return [to_state(item, seal) for item in value]
    return value


def from_state(value: Any, unseal: Callable[[str], Any]) -> Any:
    """The inverse of `to_state`."""
    if isinstance(value, dict):
        if value.get(SIG) == SECRET_SIG:
            return Secret(from_state(unseal(value["ciphertext"]), unseal))
        return {key: from_state(item, unseal) for key, item in value.items()}
    if isinstance(value, list):
        return [from_state(item, unseal) for item in value]
    return value


# -- marks -----------------------------------------------------------------------------------------------------------


def secret(value: Any) -> Secret:
    """The value as a secret; once is enough."""
    return value if isinstance(value, Secret) else Secret(value)


def plain(value: Any) -> Any:
    """The value without secret marks."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def any_in(value: Any, test: Callable[[Any], bool]) -> bool:
    """Whether `test` holds for the value or anything inside it."""
    if test(value):
        return True
    if isinstance(value, Secret):
        return any_in(value.value, test)
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(any_in(child, test) for child in children)


def has_unknown(value: Any) -> bool:
    """Whether anything in the value is not known yet."""
    return any_in(value, lambda item: item is UNKNOWN)


def has_secret(value: Any) -> bool:
    """Whether anything in the value is secret."""
    return any_in(value, lambda item: isinstance(item, Secret))


def remark(outputs: Any, marked: Any) -> Any:
    """Carry the secret marks of `marked` over to `outputs` where both have the same path.

    A provider that did not say it accepts secrets gets bare values and answers with bare values. A list holding any
    secret becomes secret as a whole: its items may be reordered.
    """
    if isinstance(outputs, Secret) or not has_secret(marked):
        return outputs
    if isinstance(marked, Secret | list):
        return secret(outputs)
    if isinstance(outputs, dict) and isinstance(marked, dict):
        return {key: remark(item, marked[key]) if key in marked else item for key, item in outputs.items()}
    return outputs


def scrub(value: Any, reveal: bool = False) -> Any:
    """JSON for people: secrets hidden (unless `reveal`), unknowns as their text on the wire."""
    if isinstance(value, Secret):
        return scrub(value.value, True) if reveal else "[secret]"
    if value is UNKNOWN:
        return UNKNOWN_TEXT
    if isinstance(value, dict):
        return {key: scrub(item, reveal) for key, item in value.items()}
    if isinstance(value, list):
        return [scrub(item, reveal) for item in value]
    return value


# -- paths: a, a.b, a[0].b, a[*], a["x.y"] ---------------------------------------------------------------------------

_STEP = re.compile(r'\.?([^.\[\]"]+)|\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|\[(\*)\]')


def parse_path(text: str) -> Path:
    """The steps of a property path; ValueError if it is none."""
    steps: Path = []
    at = 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise ValueError(f"not a property path: {text!r} (expected something like a.b[0].c)")
        name, quoted, index, star = found.groups()
        if quoted is not None:
            steps.append(re.sub(r"\\(.)", r"\1", quoted))
        elif index is not None:
            steps.append(int(index))
        else:
            steps.append(name or star)
        at = found.end()
    return steps


def join_path(path: str, step: str | int) -> str:
    """`path` extended by one step, such that `parse_path` reads it back."""
    if isinstance(step, int):
        return f"{path}[{step}]"
    if not step or re.search(r'[.\[\]"]', step):
        return path + '["' + step.replace("\\", "\\\\").replace('"', '\\"') + '"]'
    return f"{path}.{step}" if path else step


def covers(pattern: str, path: str) -> bool:
    """Whether a change at `path` lies at, under or above `pattern` ('*' matches any step)."""
    return all(a in ("*", b) for a, b in zip(parse_path(pattern), parse_path(path), strict=False))


def reset_path(new: Any, old: Any, path: Sequence[str | int]) -> Any:
    """`new` with the value at `path` put back to what `old` has there (ignore_changes)."""
    if not path:
        return old
    if isinstance(new, Secret):
        return Secret(reset_path(new.value, old, path))
    if isinstance(old, Secret):
        old = old.value
    head, rest = path[0], path[1:]
    if isinstance(new, list) and isinstance(old, list):
        return [
            reset_path(item, old[i], rest) if head in ("*", i) and i < len(old) else item for i, item in enumerate(new)
        ]
    if isinstance(new, dict) or (new is None and isinstance(old, dict)):
        return _reset_key(dict(new or {}), old if isinstance(old, dict) else {}, head, rest)
    return new


def _reset_key(new: dict[Any, Any], old: dict[Any, Any], head: str | int, rest: Sequence[str | int]) -> dict[Any, Any]:
    for key in sorted(new.keys() | old.keys()) if head == "*" else [head]:
        if rest:
            if key in new or key in old:
                new[key] = reset_path(new.get(key), old.get(key), rest)
        elif key in old:
            new[key] = old[key]
        else:
            new.pop(key, None)
    return new


def diff_values(old: Any, new: Any, path: str = "") -> dict[str, str]:
    """path -> add | delete | update, walked through maps and lists; secrets are compared by value."""
    old, new = (side.value if isinstance(side, Secret) else side for side in (old, new))
    changes: dict[str, str] = {}
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            changes |= _diff_at(key in old, key in new, old.get(key), new.get(key), join_path(path, key))
        return changes
    if isinstance(old, list) and isinstance(new, list):
        for i in range(max(len(old), len(new))):
            sides = old[i] if i < len(old) else None, new[i] if i < len(new) else None
            changes |= _diff_at(i < len(old), i < len(new), *sides, join_path(path, i))
        return changes
    if new is UNKNOWN or (type(old) is not type(new) and not _numbers(old, new)) or old != new:
        return {path: "update"}
    return {}


def _diff_at(was: bool, is_now: bool, old: Any, new: Any, path: str) -> dict[str, str]:
    if was and is_now:
        return diff_values(old, new, path)
    return {path: "delete" if was else "add"}


def _numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
