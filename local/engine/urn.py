"""URNs: `urn:pulumi:<stack>::<project>::<parent types$type>::<name>`; and references `<provider urn>::<id>`."""

from __future__ import annotations

from typing import Final

from local.engine.codec import UNKNOWN_TEXT

STACK_TYPE: Final = "pulumi:pulumi:Stack"
PROVIDER_PREFIX: Final = "pulumi:providers:"
UNKNOWN_ID: Final = UNKNOWN_TEXT

Urn = str


def make_urn(stack: str, project: str, parent: Urn, type_: str, name: str) -> Urn:
    """The URN of a resource: its parent's types are part of it, the stack's own is not."""
    outer = qualified_type(parent) if parent else STACK_TYPE
    qualified = type_ if outer == STACK_TYPE else f"{outer}${type_}"
    return f"urn:pulumi:{stack}::{project}::{qualified}::{name}"


def qualified_type(urn: Urn) -> str:
    """The resource's type with its parents' before it, joined by `$`."""
    return urn.split("::")[2]


def type_of(urn: Urn) -> str:
    """The resource's own type."""
    return qualified_type(urn).rsplit("$", 1)[-1]


def name_of(urn: Urn) -> str:
    """The resource's logical name."""
    return urn.split("::", 3)[3]


def is_provider(type_: str) -> bool:
    """Whether the type is that of a provider resource."""
    return type_.startswith(PROVIDER_PREFIX)


def package_of(provider_type: str) -> str:
    """The package of a provider resource's type."""
    return provider_type.removeprefix(PROVIDER_PREFIX)


def provider_urn(reference: str) -> Urn:
    """The URN part of a provider reference."""
    return reference.rsplit("::", 1)[0]
