"""Old names: which URNs a resource may have gone by, and the move of everything that pointed there."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from local.engine.goal import Goal
from local.engine.session import Session
from local.engine.state import Resource
from local.engine.urn import Urn, make_urn, name_of


def alias_urns(session: Session, type_: str, name: str, parent: Urn, aliases: Iterable[Any]) -> list[Urn]:
    """The URNs given by the program's aliases (protocol messages) and by those of its parent.

    Only URNs that are in the state: azure-native gives each resource 17 aliases and more.
    """
    snapshot = session.snapshot
    found: list[Urn] = []

    def add(spec: Any, under: Urn) -> None:
        child = spec.name if spec is not None and spec.name else _following(name, parent, under)
        kind = spec.type if spec is not None and spec.type else type_
        stack = spec.stack if spec is not None and spec.stack else snapshot.stack
        project = spec.project if spec is not None and spec.project else snapshot.project
        found.append(make_urn(stack, project, under, kind, child))

    parents = [parent] + ([session.renamed[parent]] if parent in session.renamed else [])
    for under in parents:
        add(None, under)
    for alias in aliases:
        if alias.WhichOneof("alias") == "urn":
            found.append(alias.urn)
            continue
        given = "" if alias.spec.noParent else alias.spec.parentUrn
        for under in [given] if given or alias.spec.noParent else parents:
            add(alias.spec, under)
    return [urn for urn in dict.fromkeys(found) if urn in session.olds]


def _following(name: str, parent: Urn, old_parent: Urn) -> str:
    """The child's old name: a child named after its parent was renamed with it (Pulumi's rule)."""
    if parent == old_parent or not parent or not old_parent:
        return name
    now, was = name_of(parent), name_of(old_parent)
    return was + name[len(now) :] if name.startswith(now) else name


def find_old(session: Session, goal: Goal) -> Resource | None:
    """The prior state of a goal; found under an alias, it takes its new name, and so do all references to it."""
    with session.lock:
        old = session.olds.get(goal.urn)
        hits = [urn for urn in goal.aliases if urn != goal.urn and urn not in session.news]
        if old is not None or not hits:
            return old
        was = hits[0]
        old = session.olds.pop(was)
        renamed = copy.copy(old)
        renamed.urn = goal.urn
        session.renamed[goal.urn] = was
        session.olds[goal.urn] = renamed
    with session.snapshot.lock:
        session.snapshot.place(old, renamed)
        for resource in session.snapshot.resources:
            resource.rename(was, goal.urn)
    session.snapshot.commit()
    return renamed
