"""What a rule is, and what it finds: plain data, without Pulumi.

A rule judges one resource at a time and yields findings. A `Violation` is refused (or, by an advisory rule, told); an
`Unjudged` says that a preview cannot know the value yet: `pulumi up` runs the same rules again when it does, before it
makes the resource. Whatever else is known is judged in the preview already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from policy.resource_view import ABSENT, UNKNOWN, Path, Resource, spelled


@dataclass(frozen=True)
class Violation:
    """A value that breaks a rule: where it is, how it reads, what to do."""

    path: Path
    shown: str
    """The fact, after the property's name: "is true", "is not set". Never a secret."""
    next_step: str


@dataclass(frozen=True)
class Unjudged:
    """A value that a rule needs and a preview does not know."""

    path: Path


Finding = Violation | Unjudged
Check = Callable[[Resource, date], Iterable[Finding]]
"""A check gets a resource of one of its rule's kinds, and today's date."""


@dataclass(frozen=True)
class Rule:
    """One rule of the pack."""

    name: str
    demand: str
    """What must be so: a sentence."""
    reason: str
    """Why: a sentence."""
    kinds: frozenset[str] | None
    """The kinds of resources that it judges (`batch:Pool`); None: every resource."""
    check: Check
    mandatory: bool = True
    stacks: Callable[[str], bool] = lambda stack: True
    """Which stacks must keep it, by their name."""

    def findings(self, resource: Resource, today: date) -> Iterator[Finding]:
        """What the rule has to say about a resource."""
        if self.stacks(resource.stack) and (self.kinds is None or resource.kind in self.kinds):
            yield from self.check(resource, today)

    def message(self, resource: Resource, violation: Violation) -> str:
        """Fact, cause, next step."""
        where = f"{resource.kind} {resource.name!r}"
        fact = f"{spelled(violation.path)} {violation.shown}" if violation.path else violation.shown
        return f"{where}: {fact}. {self.reason} Next step: {violation.next_step}."


def setting(*path: str, allowed: tuple[Any, ...], next_step: str, absent: bool = False) -> Check:
    """A check of one property: it must have one of the allowed values, or, with `absent`, not be set."""

    def check(resource: Resource, today: date) -> Iterator[Finding]:
        value = resource.get(*path)
        if value is UNKNOWN:
            yield Unjudged(path)
        elif value is ABSENT:
            if not absent:
                yield Violation(path, "is not set", next_step)
        elif not any(type(value) is type(one) and value == one for one in allowed):
            yield Violation(path, f"is {shown(value)}", next_step)

    return check


def all_of(*checks: tuple[str, Check]) -> Check:
    """Several checks, each for one kind of resource."""

    def check(resource: Resource, today: date) -> Iterator[Finding]:
        for kind, one in checks:
            if resource.kind == kind:
                yield from one(resource, today)

    return check


def shown(value: Any) -> str:
    """A value as a stack file would have it, for messages."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str) else str(value)
