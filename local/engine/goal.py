"""What passes between deciding and doing, as records: goals, diffs, steps, diagnostics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from local.engine.state import Resource
from local.engine.urn import Urn


class Op(StrEnum):
    """Pulumi's own step names."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"
    CREATE_REPLACEMENT = "create-replacement"
    DELETE_REPLACED = "delete-replaced"
    READ = "read"
    IMPORT = "import"
    REFRESH = "refresh"
    RETAIN = "retain"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What the program asks for, whichever RPC carried it."""

    urn: Urn
    type: str
    custom: bool
    inputs: Mapping[str, Any]
    parent: Urn = ""
    provider: str = ""
    dependencies: Sequence[Urn] = ()
    property_dependencies: Mapping[str, Sequence[Urn]] = field(default_factory=dict)
    protect: bool = False
    retain_on_delete: bool = False
    delete_before_replace: bool | None = None
    ignore_changes: Sequence[str] = ()
    replace_on_changes: Sequence[str] = ()
    additional_secret_outputs: Sequence[str] = ()
    deleted_with: Urn = ""
    import_id: str = ""
    timeouts: Mapping[str, float] = field(default_factory=dict)
    aliases: Sequence[Urn] = ()

    def resource(self) -> Resource:
        """The state this goal would have, before any provider has seen it."""
        return Resource(
            urn=self.urn,
            type=self.type,
            custom=self.custom,
            inputs=dict(self.inputs),
            parent=self.parent,
            provider=self.provider,
            dependencies=sorted(set(self.dependencies)),
            property_dependencies={key: sorted(urns) for key, urns in sorted(self.property_dependencies.items())},
            protect=self.protect,
            retain_on_delete=self.retain_on_delete,
            additional_secret_outputs=sorted(self.additional_secret_outputs),
            deleted_with=self.deleted_with,
            ignore_changes=list(self.ignore_changes),
            replace_on_changes=list(self.replace_on_changes),
            import_id=self.import_id,
            custom_timeouts=dict(self.timeouts),
        )


@dataclass(frozen=True)
class Diff:
    """A provider's answer: `changes` maps paths to add, update, delete, each with or without `-replace`."""

    changes: Mapping[str, str]
    replaces: Sequence[str] = ()
    delete_first: bool = False


@dataclass(frozen=True)
class Step:
    """One thing done, or to be done, to one resource."""

    op: Op
    urn: Urn
    old: Resource | None = None
    new: Resource | None = None
    diff: Mapping[str, str] = field(default_factory=dict)  # path -> add | update | delete[-replace]
    replace_keys: Sequence[str] = ()
    delete_first: bool = False

    @property
    def resource(self) -> Resource:
        """The state the step leaves, or takes away."""
        resource = self.new or self.old
        assert resource is not None
        return resource


@dataclass(frozen=True)
class Diagnostic:
    """Something said about a resource, or (with an empty URN) about the whole."""

    severity: str  # info | warning | error
    urn: Urn
    message: str
