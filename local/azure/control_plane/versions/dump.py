"""Makes `version_changes.json`: reads the models of other api-versions from their SDKs, and keeps what differs.

    MODULE=local.azure.control_plane.versions.dump
    ENV/bin/python -m $MODULE dump Microsoft.Batch 2022-10-01 azure.mgmt.batch.models > batch-2022-10-01.json
    .venv/bin/python -m $MODULE merge *.json > local/azure/control_plane/versions/version_changes.json

ENV is an environment with that version's SDK (and PyJWT and cryptography, which our own modules import).
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any, Final

from local.azure.control_plane.resource_types import TABLE
from local.azure.control_plane.shapes import Shape, changes_between, model_shape, schema_of

_KINDS: Final = ("create", "update")


def dump(namespace: str, version: str, module: str) -> dict[str, Any]:
    """The schemas of a namespace's types, from the same classes of another module."""
    found: dict[str, Any] = {}
    for spec in TABLE:
        if spec.namespace != namespace:
            continue
        for kind, reference in zip(_KINDS, (spec.create_model, spec.update_model), strict=True):
            if reference is None or ":" not in reference:
                continue
            model = getattr(importlib.import_module(module), reference.partition(":")[2], None)
            if model is not None:
                found.setdefault(spec.type, {})[kind] = schema_of(Shape("model", model=model))
    return {"version": version, "types": found}


def merge(files: list[Path]) -> dict[str, Any]:
    """What differs from the models that we have, by type, version and kind."""
    own = {spec.type: spec for spec in TABLE}
    found: dict[str, Any] = {}
    for file in files:
        document = json.loads(file.read_text())
        for type_, kinds in document["types"].items():
            spec = own[type_]
            if document["version"] == (spec.models_of or spec.api_version):
                continue
            references = {"create": spec.create_model, "update": spec.update_model}
            changes = {
                kind: changes_between(schema_of(model_shape(str(references[kind]))), schema)
                for kind, schema in kinds.items()
            }
            found.setdefault(type_, {})[document["version"]] = {kind: one for kind, one in changes.items() if one}
    return found


def main(arguments: list[str]) -> None:
    """`dump NAMESPACE VERSION MODULE` or `merge FILE...`."""
    document = dump(*arguments[1:4]) if arguments[0] == "dump" else merge([Path(one) for one in arguments[1:]])
    sys.stdout.write(json.dumps(document, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
