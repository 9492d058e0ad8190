"""The bodies of ARM requests as the Pulumi SDK describes them, for types whose management SDK is not a dependency.

    python -m local.plugins.azure_native.wire_schema > local/azure/control_plane/azure_native_bodies.json

The local Azure does not import the Pulumi SDK; it reads that file (`control_plane/shapes.py`), and a test compares the
two. A schema is "any", "string", "integer", "number", "boolean", or an object with one member: `enum` (values),
`list`, `map` (the schema of an item), `one_of` (schemas), or `object` (schemas by name; a required name ends with `*`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from local.plugins.azure_native.resources import ResourceType, describe, resource_type
from local.plugins.azure_native.translate import ENVELOPE
from local.plugins.schema.types import Description, Kind

TOKENS: Final = (
    "azure-native:authorization:ManagementLockByScope",
    "azure-native:consumption:Budget",
    "azure-native:monitor:ActionGroup",
    "azure-native:monitor:ActivityLogAlert",
    "azure-native:monitor:DiagnosticSetting",
    "azure-native:monitor:MetricAlert",
    "azure-native:monitor:ScheduledQueryRule",
    "azure-native:network:PrivateDnsZoneGroup",
    "azure-native:network:PrivateEndpoint",
)
_PLAIN: Final = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_READ_ONLY: Final = frozenset({"id", "name"})
"""At the top of a body: ARM's answers have them, requests do not need them."""

Schema = str | Mapping[str, Any]


def wire_schema(token: str) -> Schema:
    """The body of the type's PUT."""
    kind, description = resource_type(token), describe(token)
    top: dict[str, Any] = {}
    inner: dict[str, Any] = {}
    for name, (kinds, required) in description.objects[description.inputs].items():
        if name in kind.parameters or name in _READ_ONLY:
            continue
        _put(top if name in ENVELOPE else inner, kind, name, required, _alternatives(kind, description, kinds, name))
    if "identity" in top:
        top["identity"] = _identity(top["identity"])
    required = any(name.endswith("*") for name in inner)
    return {"object": top | {"properties*" if required else "properties": {"object": inner}}}


def _put(fields: dict[str, Any], kind: ResourceType, path: str, required: bool, schema: Schema) -> None:
    """Add a property under its name on the wire, in the objects around it that the SDK leaves out."""
    *outer, wire = kind.renames.get(path, path.rpartition(".")[2]).split("/")
    for container in outer:
        fields = fields.setdefault(container, {"object": {}})["object"]
    fields[f"{wire}*" if required else wire] = schema


def _identity(schema: dict[str, Any]) -> Schema:
    """A list of user-assigned identities is a map with the ids as keys on the wire."""
    return {"object": {**schema["object"], "userAssignedIdentities": {"map": "any"}}}


def _alternatives(
    kind: ResourceType, description: Description, kinds: Sequence[Kind], path: str, within: tuple[str, ...] = ()
) -> Schema:
    schemas = [_schema(kind, description, one, path, within) for one in kinds]
    if "string" in schemas:  # beside an enumeration: Azure may know more values than the SDK
        return "string"
    return schemas[0] if len(schemas) == 1 else {"one_of": schemas}


def _schema(kind: ResourceType, description: Description, one: Kind, path: str, within: tuple[str, ...]) -> Schema:
    match one:
        case ["enum", _, values]:
            return {"enum": list(values)}
        case ["list" | "map" as container, inner]:
            return {container: _alternatives(kind, description, inner, path, within)}
        case ["object", name] if path in kind.references:
            fields = {"id*": "string"}
            for inner in kind.references[path]:
                _put(fields, kind, f"{path}.{inner}", required=False, schema="string")
            return {"object": fields}
        case ["object", name] if name not in within:
            fields: dict[str, Any] = {}
            for inner, (kinds, required) in description.objects[name].items():
                step = f"{path}.{inner}"
                _put(fields, kind, step, required, _alternatives(kind, description, kinds, step, (*within, name)))
            return {"object": fields}
    return _PLAIN.get(one, "any") if isinstance(one, str) else "any"


def document() -> str:
    """All schemas as the file has them."""
    return json.dumps({token: wire_schema(token) for token in TOKENS}, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
