"""Bring values into the shape that the SDK expects of a resource's outputs.

The SDK raises AssertionError, in a preview too, where the shape differs. Inputs and outputs are not the same
everywhere: user-assigned identities go in as a list of ids and come back as a map from id to object.
"""

from __future__ import annotations

import collections.abc
import contextlib
import typing
from collections.abc import Mapping
from typing import Any

from pulumi import _types as pulumi_types

from ..protocol.property_values import UNKNOWN, any_in
from .sdk import LOCK, flatten, output_types


def outputs(token: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that the resource has as outputs, in the shape of outputs. Nulls are dropped."""
    with LOCK:
        return _fields(output_types(token), values)


def _fields(types: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    inner = values.get("properties")
    if isinstance(inner, dict) and "properties" not in types:  # the SDK flattens ARM's envelope, nested ones too
        values = {key: item for key, item in values.items() if key != "properties"} | inner
    return {key: conform(types[key], item) for key, item in values.items() if key in types and item is not None}


def conform(kind: Any, value: Any) -> Any:
    """`value` as `kind` wants it; what does not fit is returned as it is."""
    kind = next(iter(flatten(kind)), Any)
    origin = typing.get_origin(kind)
    if origin in (collections.abc.Mapping, dict):
        if isinstance(value, list):
            # An unknown cannot be a key: the whole map is unknown.
            value = UNKNOWN if any_in(value, lambda item: item is UNKNOWN) else {str(item): {} for item in value}
        if isinstance(value, dict):
            return {key: conform(typing.get_args(kind)[1], item) for key, item in value.items()}
    elif origin in (collections.abc.Sequence, list) and isinstance(value, list):
        return [conform(typing.get_args(kind)[0], item) for item in value]
    elif isinstance(kind, type) and pulumi_types.is_output_type(kind) and isinstance(value, dict):
        return _fields(pulumi_types.output_type_types(kind), value)
    elif kind in (int, float) and isinstance(value, str):  # ARM may answer "targetDedicatedNodes": "0"
        with contextlib.suppress(ValueError):
            return kind(value)
    return value
