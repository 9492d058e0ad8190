"""Decide what to do to each resource. Nothing here talks to a provider; see `execute` for the doing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from local.engine.codec import UNKNOWN, covers, diff_values, parse_path, reset_path
from local.engine.errors import ProgramError
from local.engine.goal import Diff, Goal, Op
from local.engine.state import Resource, needed_by, ordered
from local.engine.urn import UNKNOWN_ID, Urn, provider_urn


@dataclass(frozen=True)
class Situation:
    """All that the choice of a step depends on."""

    exists: bool
    changed: bool
    replace: bool


# The whole decision. A missing combination cannot happen: nothing is replaced without a change, or without being there.
OPS: Final[Mapping[Situation, Op]] = {
    Situation(exists=False, changed=False, replace=False): Op.CREATE,
    Situation(exists=True, changed=False, replace=False): Op.SAME,
    Situation(exists=True, changed=True, replace=False): Op.UPDATE,
    Situation(exists=True, changed=True, replace=True): Op.REPLACE,
}


@dataclass(frozen=True)
class Plan:
    """What to do to one resource, and why."""

    op: Op
    changes: Mapping[str, str]
    replaces: Sequence[str] = ()
    delete_first: bool = False


def plan(goal: Goal, old: Resource | None, inputs: Mapping[str, Any], opinion: Diff | None) -> Plan:
    """The step for a goal: `old` is its prior state, `inputs` the checked new ones, `opinion` the provider's diff."""
    if old is None:
        return Plan(OPS[Situation(exists=False, changed=False, replace=False)], {})
    diff = merged(goal, old, inputs, opinion)
    op = OPS[Situation(exists=True, changed=bool(diff.changes), replace=bool(diff.replaces))]
    if op is Op.REPLACE and old.protect:
        raise ProgramError(
            f'unable to replace resource "{goal.urn}"\nas it is currently marked for protection. To unprotect the '
            "resource, remove the `protect` flag from it and run `up` first."
        )
    delete_first = diff.delete_first if goal.delete_before_replace is None else goal.delete_before_replace
    return Plan(op, diff.changes, diff.replaces, bool(diff.replaces) and delete_first)


def merged(goal: Goal, old: Resource, inputs: Mapping[str, Any], opinion: Diff | None) -> Diff:
    """The provider's opinion (or, without one, our own comparison) and what the program and the state add to it."""
    diff = opinion if opinion is not None else Diff(diff_values(old.inputs, dict(inputs)))
    changes, replaces = dict(diff.changes), list(diff.replaces)
    for path in changes:
        if any(covers(pattern, path) for pattern in goal.replace_on_changes):
            changes[path] = changes[path].removesuffix("-replace") + "-replace"
            replaces.append(str(parse_path(path)[0]))
    if _provider_replaced(old.provider, goal.provider):
        changes["provider"] = "update-replace"
        replaces.append("provider")
    if old.init_errors and not changes:
        changes["id"] = "update"  # it never came up: try again
    if old.taint:
        changes = changes or {"id": "update-replace"}
        replaces.append("taint")
    return Diff(changes, sorted(set(replaces)), diff.delete_first)


def _provider_replaced(old: str, new: str) -> bool:
    same_urn = provider_urn(old) == provider_urn(new)
    return same_urn and old != new and not new.endswith(UNKNOWN_ID)


def with_ignored(inputs: Mapping[str, Any], old: Resource | None, ignore_changes: Sequence[str]) -> dict[str, Any]:
    """The new inputs, with what the program wants ignored put back to what it was."""
    result = dict(inputs)
    if old is not None:
        for pattern in ignore_changes:
            result = reset_path(result, old.inputs, parse_path(pattern))
    return result


# -- deletions -------------------------------------------------------------------------------------------------------


def hit_properties(resource: Resource, doomed: Collection[Urn]) -> list[str]:
    """The properties whose values come from a resource that is about to go."""
    return [key for key, urns in resource.property_dependencies.items() if set(urns) & set(doomed)]


def unknown_at(resource: Resource, properties: Sequence[str]) -> dict[str, Any]:
    """The inputs of a dependent while the values it takes from elsewhere are not known."""
    return {**resource.inputs, **dict.fromkeys(properties, UNKNOWN)}


def check_protection(doomed: Sequence[Resource]) -> list[tuple[Resource, str]]:
    """Who may not be deleted, and the words for it."""
    return [
        (
            r,
            f'resource "{r.urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, '
            "remove the `protect` flag from it and run `up` first.",
        )
        for r in doomed
        if r.protect and not r.delete
    ]


def deletion_order(doomed: Sequence[Resource]) -> list[tuple[Resource, list[Resource]]]:
    """Each resource with those that must be gone before it: whoever needs it. Dependents come first."""
    resources = list(reversed(ordered(doomed)))
    before: list[list[Resource]] = [[] for _ in resources]
    for user, needs in enumerate(needed_by(resources)):
        for need in needs:
            before[need].append(resources[user])
    return list(zip(resources, before, strict=True))
