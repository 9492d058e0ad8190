"""From ARM's answer to Pulumi's outputs, and from a live resource back to inputs. Pure.

Outputs are the answer without its envelope, in the SDK's names and shapes, and `azureApiVersion`. Inputs of a refresh
are the old ones plus what changed between old and new outputs (as azure-native does), so that defaults filled in by
Azure do not show as changes and passwords, which ARM never returns, stay.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

from local.plugins.azure_native.resources import ResourceType, describe, resource_type
from local.plugins.azure_native.translate import parse_path
from local.plugins.protocol.property_values import UNKNOWN
from local.plugins.schema import conform

# What azure-native keeps in the preview of an update; everything else that the cloud computes is unknown then.
STABLE: Final = ("name", "location")


def outputs(token: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs of a resource from the body of its GET."""
    kind, description = resource_type(token), describe(token)
    inner = body.get("properties")
    flat = {key: value for key, value in body.items() if key != "properties"}
    if isinstance(inner, dict):
        flat |= _from_wire(_reverse(kind), inner, "")
        if "properties" in description.outputs:  # a resource group's properties are an output of their own
            flat["properties"] = inner
    return conform.outputs(description, flat) | {"azureApiVersion": kind.api_version}


def planned(token: str, inputs: Mapping[str, Any], olds: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Outputs as a preview knows them: the inputs, and unknown for what the cloud computes."""
    description = describe(token)
    result: dict[str, Any] = dict.fromkeys(sorted(description.computed), UNKNOWN)
    if olds is not None:
        result |= {name: olds[name] for name in STABLE if name in olds}
    given = {name: value for name, value in inputs.items() if not name.startswith("__")}
    return result | conform.outputs(description, given) | {"azureApiVersion": resource_type(token).api_version}


def imported_inputs(token: str, resource_id: str, live: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs of a resource that no program described: its path and every output that is an input too."""
    names = describe(token).input_names
    return {name: _as_input(value) for name, value in live.items() if name in names} | parse_path(token, resource_id)


def refreshed_inputs(
    token: str, inputs: Mapping[str, Any], before: Mapping[str, Any], now: Mapping[str, Any]
) -> dict[str, Any]:
    """The old inputs, changed where the outputs changed since `before`."""
    fixed = set(resource_type(token).parameters)
    names = [name for name in describe(token).input_names if name not in fixed]
    patched = copy.deepcopy(dict(inputs))
    for name in names:
        _patch(patched, name, before, now)
    return patched


def _patch(inputs: dict[str, Any], name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    if before.get(name) == now.get(name):
        return
    old, new, given = before.get(name), now.get(name), inputs.get(name)
    if new is None:
        inputs.pop(name, None)
    elif isinstance(old, dict) and isinstance(new, dict) and isinstance(given, dict):
        for key in old.keys() | new.keys():
            _patch(given, key, old, new)
    elif _items(old, new, given):
        for before_item, now_item, item in zip(old or [], new, given or [], strict=True):
            for key in before_item.keys() | now_item.keys():
                _patch(item, key, before_item, now_item)
    else:
        inputs[name] = _as_input_like(given, new)


def _items(*lists: Any) -> bool:
    """Whether these are lists of objects of the same length: then items keep what ARM does not return."""
    if not all(isinstance(value, list) and all(isinstance(item, dict) for item in value) for value in lists):
        return False
    return len({len(value) for value in lists}) == 1


def _as_input_like(given: Any, value: Any) -> Any:
    return sorted(value) if isinstance(given, list) and isinstance(value, dict) else _as_input(value)


def _as_input(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: sorted(item) if key == "userAssignedIdentities" and isinstance(item, dict) else _as_input(item)
            for key, item in value.items()
            if item is not None
        }
    return [_as_input(item) for item in value] if isinstance(value, list) else value


def _reverse(kind: ResourceType) -> dict[str, str]:
    """Renames keyed by path on the wire."""
    reverse = {}
    for path, wire in kind.renames.items():
        steps = path.split(".")
        walked = [kind.renames.get(".".join(steps[: i + 1]), step) for i, step in enumerate(steps)]
        reverse[".".join([*walked[:-1], wire])] = steps[-1]
    return reverse


def _from_wire(renames: Mapping[str, str], value: Any, path: str) -> Any:
    if isinstance(value, dict):
        steps = {name: f"{path}.{name}" if path else name for name in value}
        return {renames.get(step, name): _from_wire(renames, value[name], step) for name, step in steps.items()}
    if isinstance(value, list):
        return [_from_wire(renames, item, path) for item in value]
    return value
