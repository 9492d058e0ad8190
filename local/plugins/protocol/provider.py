"""What a provider is, without gRPC: plain values in, plain values out, `PluginError` for failures.

Values are Python's JSON values plus `UNKNOWN` (`property_values`). As in the real plugins, secrets are not
accepted: the engine strips the marks before it sends and puts them back by property path.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from local.plugins.protocol.log import EngineLog

Values = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """The resource a request is about."""

    urn: str
    type: str
    name: str

    @classmethod
    def of(cls, request: Any) -> Target:
        """From a request; older engines send the URN only."""
        fields = request.urn.split("::")  # urn:pulumi:STACK, PROJECT, TYPES, NAME
        kind = request.type or (fields[2].rsplit("$", 1)[-1] if len(fields) > 2 else "")
        return cls(request.urn, kind, request.name or fields[-1])


@dataclass(frozen=True)
class Naming:
    """How an unnamed resource gets its name: the engine's random seed and, if it has one, its proposal."""

    seed: bytes = b""
    proposed: str | None = None
    disabled: bool = False


class Failure(NamedTuple):
    """One problem of an input."""

    property: str
    reason: str


@dataclass(frozen=True)
class Difference:
    """path -> add | delete | update, the top-level properties that force a replacement, and its order."""

    changes: Mapping[str, str] = field(default_factory=dict)
    replaces: frozenset[str] = frozenset()
    delete_first: bool = False


class Existing(NamedTuple):
    """What `read` found."""

    id: str
    outputs: Values
    inputs: Values


class Provider(ABC):
    """One provider instance; `cancelled` is set when the engine wants to stop."""

    version: str

    def __init__(self, log: EngineLog) -> None:
        self.log = log
        self.cancelled = threading.Event()

    @abstractmethod
    def check_config(self, settings: Values) -> Sequence[Failure]:
        """Problems of the provider's configuration."""

    @abstractmethod
    def configure(self, variables: Mapping[str, str]) -> None:
        """Take the configuration; names come without their package prefix."""

    @abstractmethod
    def check(self, target: Target, olds: Values, news: Values, naming: Naming) -> tuple[Values, Sequence[Failure]]:
        """Inputs with defaults filled in, and their problems."""

    @abstractmethod
    def diff(self, target: Target, old_inputs: Values, news: Values) -> Difference:
        """What changed between two sets of checked inputs."""

    @abstractmethod
    def create(self, target: Target, inputs: Values, *, preview: bool, timeout: float) -> tuple[str, Values]:
        """Id and outputs; in a preview id is "" and nothing happens."""

    @abstractmethod
    def update(
        self, target: Target, resource_id: str, olds: Values, inputs: Values, *, preview: bool, timeout: float
    ) -> Values:
        """The new outputs."""

    @abstractmethod
    def read(self, target: Target, resource_id: str, state: Values, inputs: Values | None) -> Existing | None:
        """The live resource, or None if it is gone. `inputs` is None for an import."""

    @abstractmethod
    def delete(self, target: Target, resource_id: str, state: Values, *, timeout: float) -> None:
        """Delete; a resource already gone is no failure."""

    @abstractmethod
    def invoke(self, token: str, args: Values) -> Values:
        """A function's result."""
