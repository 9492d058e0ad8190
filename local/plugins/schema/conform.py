"""Bring values into the shape that the SDK expects of a resource's outputs.

The SDK raises AssertionError, in a preview too, where the shape differs. Inputs and outputs are not the same
everywhere: user-assigned identities go in as a list of ids and come back as a map from id to object.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from local.plugins.protocol.property_values import UNKNOWN, any_in
from local.plugins.schema.types import Description, Kind


def outputs(description: Description, values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that the type has as outputs, in the shape of outputs. Nulls are dropped."""
    return _fields(description, description.outputs, values)


def _fields(description: Description, kinds: Mapping[str, Kind], values: Mapping[str, Any]) -> dict[str, Any]:
    inner = values.get("properties")
    if isinstance(inner, dict) and "properties" not in kinds:  # the SDK flattens ARM's envelope, nested ones too
        values = {key: item for key, item in values.items() if key != "properties"} | inner
    return {
        key: _conform(description, kinds[key], item)
        for key, item in values.items()
        if key in kinds and item is not None
    }


def _conform(description: Description, kind: Kind, value: Any) -> Any:
    """`value` as `kind` wants it; what does not fit is returned as it is."""
    match kind:
        case ["map", [inner]]:
            if isinstance(value, list):
                # An unknown cannot be a key: the whole map is unknown.
                value = UNKNOWN if any_in(value, lambda item: item is UNKNOWN) else {str(item): {} for item in value}
            if isinstance(value, dict):
                return {key: _conform(description, inner, item) for key, item in value.items()}
        case ["list", [inner]] if isinstance(value, list):
            return [_conform(description, inner, item) for item in value]
        case ["object", name] if isinstance(value, dict):
            return _fields(description, description.output_objects[name], value)
        case "int" | "float" if isinstance(value, str):  # ARM may answer "targetDedicatedNodes": "0"
            with contextlib.suppress(ValueError):
                return int(value) if kind == "int" else float(value)
    return value
