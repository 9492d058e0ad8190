"""Checks a request body against its shape and brings it to the form that is stored.

Owns the words for what does not fit. Numbers may come as strings (azure-cli sends `"0"`), enums in any case; read-only
fields are accepted and dropped, because clients PUT what they GOT; anything unknown is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from local.azure.arm.errors import InvalidRequestContent
from local.azure.control_plane.errors import nearest
from local.azure.control_plane.shapes import Field, Shape, fields_of, variant

_DURATION = re.compile(r"-?P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?", re.IGNORECASE)
_DATETIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?", re.IGNORECASE)
_ALWAYS_READ_ONLY = frozenset({"id", "name", "type", "etag", "systemData"})


def check(body: Any, shape: Shape, shown: Shape | None = None) -> dict[str, Any]:
    """The body as it is kept, or InvalidRequestContent with every problem found.

    `shown` is the shape of GET's answer, where it is another one: fields that only it has are read-only.
    """
    problems: list[str] = []
    if not isinstance(body, dict):
        raise InvalidRequestContent(f"The request content was invalid: expected a JSON object, got {_kind(body)}.")
    if shown is not None:
        body = _without_shown(body, fields_of(shape.model), fields_of(shown.model))
    kept = _model(body, fields_of(shape.model), "", problems, top=True)
    if problems:
        raise InvalidRequestContent(
            "The request content was invalid: " + " ".join(problems), details=[("InvalidRequestContent", problems[0])]
        )
    return kept


def _without_shown(body: Mapping[str, Any], fields: Mapping[str, Field], shown: Mapping[str, Field]) -> dict[str, Any]:
    """The body less what only GET's answer has, at the top and in every object that both have."""
    gone = {name.lower() for name in shown} - {name.lower() for name in fields}
    kept = {name: value for name, value in body.items() if name.lower() not in gone}
    for name, inner in kept.items():
        if isinstance(inner, dict) and name in fields and name in shown:
            below, shown_below = _fields_below(fields[name]), _fields_below(shown[name])
            if below is not None and shown_below is not None and below is not shown_below:
                kept[name] = _without_shown(inner, below, shown_below)
    return kept


def _fields_below(entry: Field) -> Mapping[str, Field] | None:
    if entry.inner is not None:
        return entry.inner
    return fields_of(entry.shape.model) if entry.shape.kind == "model" and entry.shape.model is not None else None


def _model(
    body: Mapping[str, Any], fields: Mapping[str, Field], path: str, problems: list[str], *, top: bool = False
) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    lower = {name.lower(): name for name in fields}
    for given, value in body.items():
        name = lower.get(given.lower())
        where = f"{path}{given}"
        if name is None:
            if top and given in _ALWAYS_READ_ONLY:
                continue
            writable = [one for one, entry in fields.items() if not entry.read_only]
            problems.append(f"Could not find member '{given}' at path '{where}'.{nearest(given, writable)}")
            continue
        entry = fields[name]
        if entry.read_only or (top and name in _ALWAYS_READ_ONLY):
            continue
        if value is None:
            if entry.required:
                problems.append(f"The required property '{where}' is null.")
            continue
        kept[name] = (
            _nested(value, entry.inner, where, problems)
            if entry.inner is not None
            else _value(value, entry.shape, where, problems)
        )
    for name, entry in fields.items():
        if entry.required and not entry.read_only and not any(one.lower() == name.lower() for one in body):
            problems.append(f"The required property '{path}{name}' is missing.")
    return kept


def _nested(value: Any, fields: Mapping[str, Field], path: str, problems: list[str]) -> Any:
    if not isinstance(value, dict):
        problems.append(f"'{path}' must be an object, got {_kind(value)}.")
        return value
    return _model(value, fields, path + ".", problems)


def _value(value: Any, shape: Shape, path: str, problems: list[str]) -> Any:
    if value is None or shape.kind == "any":
        return value
    if shape.kind == "model":
        if not isinstance(value, dict):
            problems.append(f"'{path}' must be an object, got {_kind(value)}.")
            return value
        return _model(value, fields_of(variant(shape.model, value)), path + ".", problems)
    if shape.kind == "list":
        if not isinstance(value, list):
            problems.append(f"'{path}' must be an array, got {_kind(value)}.")
            return value
        _limits(value, shape, path, problems)
        item = shape.item or Shape("any")
        return [_value(one, item, f"{path}[{index}]", problems) for index, one in enumerate(value)]
    if shape.kind == "map":
        if not isinstance(value, dict):
            problems.append(f"'{path}' must be an object, got {_kind(value)}.")
            return value
        item = shape.item or Shape("any")
        return {key: _value(one, item, f"{path}['{key}']", problems) for key, one in value.items()}
    if shape.kind == "one_of":
        return _best(value, shape, path, problems)
    return _scalar(value, shape, path, problems)


def _best(value: Any, shape: Shape, path: str, problems: list[str]) -> Any:
    """The value as the alternative takes it that has the fewest objections."""
    attempts: list[tuple[list[str], Any]] = []
    for one in shape.alternatives:
        objections: list[str] = []
        attempts.append((objections, _value(value, one, path, objections)))
    objections, kept = min(attempts, key=lambda attempt: len(attempt[0]))
    problems += objections
    return kept


def _scalar(value: Any, shape: Shape, path: str, problems: list[str]) -> Any:
    converted = _convert(value, shape.kind)
    if converted is None:
        problems.append(f"'{path}' must be of type {shape.kind}, got {_kind(value)} {_shown(value)}.")
        return value
    if shape.choices and isinstance(converted, str):
        for one in shape.choices:
            if one.lower() == converted.lower():
                return one
        problems.append(f"'{converted}' is not allowed for '{path}'; allowed: {', '.join(shape.choices)}.")
        return value
    _limits(converted, shape, path, problems)
    return converted


def _convert(value: Any, kind: str) -> Any:
    match kind:
        case "boolean":
            if isinstance(value, str) and value.lower() in ("true", "false"):
                return value.lower() == "true"
            return value if isinstance(value, bool) else None
        case "integer":
            if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,19}", value.strip()):
                return int(value)
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
            return value if fits else None
        case "number":
            if isinstance(value, str):
                return float(value) if re.fullmatch(r"[+-]?[0-9]{1,19}(\.[0-9]+)?", value.strip()) else None
            return value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "duration":
            return value if isinstance(value, str) and _DURATION.fullmatch(value) else None
        case "datetime":
            return value if isinstance(value, str) and _DATETIME.fullmatch(value) else None
        case _:
            if isinstance(value, bool | dict | list):
                return None
            return str(value)


def _limits(value: Any, shape: Shape, path: str, problems: list[str]) -> None:
    """The rules of msrest's `_validation`."""
    for rule, limit in shape.limits.items():
        broken = {
            "minimum": lambda limit=limit: value < limit,
            "maximum": lambda limit=limit: value > limit,
            "minimum_ex": lambda limit=limit: value <= limit,
            "maximum_ex": lambda limit=limit: value >= limit,
            "min_length": lambda limit=limit: len(value) < limit,
            "max_length": lambda limit=limit: len(value) > limit,
            "min_items": lambda limit=limit: len(value) < limit,
            "max_items": lambda limit=limit: len(value) > limit,
            "pattern": lambda limit=limit: re.match(limit, value) is None,
            "multiple": lambda limit=limit: value % limit != 0,
        }.get(rule)
        if broken is not None and broken():
            problems.append(f"'{path}' is {_shown(value)}; its {rule.replace('_', ' ')} is {limit}.")


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
