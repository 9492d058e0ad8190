"""The description of a resource type: plain data, which can be kept as JSON.

A kind of value is one of "any" "asset" "bool" "str" "int" "float", or a list: ["enum", name, [values]],
["list", [kinds]], ["map", [kinds]], ["object", name].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

PYTHON_PACKAGES: Final = {"azure-native": "pulumi_azure_native", "docker": "pulumi_docker"}
PROVIDER_MODULE: Final = "pulumi:providers:"
"""Begins the token of a provider's own settings."""

Kind = str | Sequence[Any]


@dataclass(frozen=True)
class Description:
    """One type: the object of its inputs, all objects below it, and its outputs, by their names on the wire."""

    inputs: str
    objects: Mapping[str, Mapping[str, tuple[Sequence[Kind], bool]]]
    """Input objects: property -> its alternatives, and whether it must be given."""
    outputs: Mapping[str, Kind]
    output_objects: Mapping[str, Mapping[str, Kind]]

    @property
    def input_names(self) -> Sequence[str]:
        """The type's input properties, in the SDK's order."""
        return list(self.objects[self.inputs])

    @property
    def computed(self) -> frozenset[str]:
        """Output properties that are no inputs: the cloud fills them in."""
        return frozenset(self.outputs) - set(self.objects[self.inputs])
