"""A plan as Markdown: the comment of a pull request, the job's summary, the issue about drift. Pure functions.

What a reviewer must see comes first: what is refused, what is lost, new pools, rights. What does not fit is counted and
named by kind, never silently left out.

Names, values and messages come from a stack's state, from Azure and from whoever wrote the pull request. In a code span
or a fenced block GitHub makes no link, mention, image, HTML or reference of them; what could end the span or the block,
or be invisible, is written so that it cannot.
"""

from __future__ import annotations

import html
import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ci.plans.plan import LOST_WITH, Action, Change, Difference, Plan

COMMENT_LIMIT: Final = 60_000
"""Bytes. GitHub takes 65,536 characters in a comment or an issue."""
SUMMARY_LIMIT: Final = 900_000
"""Bytes. GitHub takes 1 MiB in the summary of a step."""


@dataclass(frozen=True)
class Room:
    """How much is shown: entries of a section, properties of a resource, characters of a value, lines of a diff."""

    entries: int
    properties: int
    characters: int
    lines: int


ROOMS: Final = (
    Room(2000, 200, 400, 4000),
    Room(200, 40, 300, 400),
    Room(60, 12, 200, 150),
    Room(20, 5, 120, 60),
    Room(5, 2, 80, 15),
    Room(1, 1, 60, 0),
    Room(0, 0, 40, 0),
)
"""From all that fits anywhere to nothing but counts; the first that fits is taken."""


def pull_request(plans: Sequence[Plan], limit: int = COMMENT_LIMIT) -> str:
    """What merging a pull request would change, for each stack."""
    return _fit("## What `pulumi up` would do after this pull request", plans, _plan, limit)


def drift(plans: Sequence[Plan], limit: int = COMMENT_LIMIT) -> str:
    """What differs between Azure and the program, for each stack that differs."""
    intro = (
        "## Azure is not what the program says\n\n"
        "Somebody changed it behind Pulumi's back, or what is in the main branch is not deployed yet. "
        "Below is what `pulumi up` would do to make it right. To keep what is in Azure, write it into the program."
    )
    return _fit(intro, plans, _plan, limit)


def headline(plan: Plan) -> str:
    """One line: how many resources are created, changed, replaced, deleted."""
    counts = Counter(change.action for change in plan.changes)
    loud = (Action.REPLACE, Action.DELETE)
    words = [
        f"**{counts[action]} {action.value}**" if action in loud else f"{counts[action]} {action.value}"
        for action in Action
        if counts[action]
    ]
    if words:
        return ", ".join(words) + (f", {plan.unchanged} unchanged" if plan.unchanged else "")
    return "no plan" if plan.failed else "nothing changes"


def _fit(intro: str, plans: Sequence[Plan], one: Callable[[Plan, Room], Iterator[str]], limit: int) -> str:
    text = ""
    for room in ROOMS:
        text = ""
        # Left as soon as it is too long: a plan of thousands of resources is not written out only to be thrown away.
        for line in itertools.chain((intro,), *(itertools.chain(("",), one(plan, room)) for plan in plans)):
            text += f"{line}\n"
            if len(text) > limit:
                break
        if len(text.encode()) <= limit:
            return text
    kept = text.encode()[: limit - 100].decode(errors="ignore").rpartition("\n")[0]
    return f"{kept}\n\n**This is cut: the rest does not fit into a comment.**\n"


def _plan(plan: Plan, room: Room) -> Iterator[str]:
    yield f"### Stack {code(plan.stack)}: {headline(plan)}"
    yield ""
    yield from _verdict(plan, room)
    yield from _section("Data would be lost", plan.losses, room, lambda change: _loss(change), alert="CAUTION")
    unprotected = [change for change in plan.changes if change.unprotected]
    yield from _section("No longer protected", unprotected, room, _title)
    yield from _section("Pools", plan.pools, room, lambda change: _pool(change, plan, room), alert="IMPORTANT")
    yield from _section("Who may do what", plan.roles, room, _role)
    told = (*plan.pools, *plan.roles)
    for action, heading in (
        (Action.REPLACE, "Replaced"),
        (Action.DELETE, "Deleted"),
        (Action.MISSING, "Gone from Azure, made again"),
        (Action.OTHER, "Other operations"),
        (Action.UPDATE, "Changed"),
        (Action.CREATE, "Created"),
    ):
        ordinary = [change for change in plan.of(action) if change not in told]
        yield from _section(heading, ordinary, room, lambda change: _ordinary(change, room))
    yield from _policies(plan, room)
    yield from _texts("Warnings", plan.warnings, room)
    yield from _golden(plan, room)


def _verdict(plan: Plan, room: Room) -> Iterator[str]:
    """Why `up` would not go on, if so."""
    refused = [result for result in plan.policies if result.refused]
    yield from _section(
        "Refused by a policy",
        refused,
        room,
        lambda result: f"{code(result.rule)} on {code(result.resource)}: {code(result.message, 4 * room.characters)}",
        alert="WARNING",
    )
    blocked = [change for change in plan.losses if change.protected]
    yield from _section(
        "Pulumi refuses this: protected resources would be deleted", blocked, room, _title, alert="WARNING"
    )
    if plan.failed and not refused:
        yield f"**The preview failed** (exit code {plan.exit_code}); what is below may be incomplete."
        yield ""
    yield from _texts("Errors", plan.errors, room)


def _section(
    heading: str, entries: Sequence[object], room: Room, line: Callable[..., str], alert: str = ""
) -> Iterator[str]:
    """A heading, a list, and how many do not fit; nothing for an empty list."""
    if not entries:
        return
    lines = [f"**{heading}**", ""]
    for entry in entries[: room.entries]:
        first, *more = line(entry).split("\n")
        lines += [f"- {first}", *(f"  {text}" for text in more)]
    if rest := entries[room.entries :]:
        lines.append(f"- … and {len(rest)} more{_by_kind(rest)}")
    yield from ([f"> [!{alert}]", *(f"> {text}".rstrip() for text in lines)] if alert else lines)
    yield ""


def _by_kind(entries: Sequence[object]) -> str:
    kinds = Counter(entry.kind for entry in entries if isinstance(entry, Change))
    if not kinds:
        return ""
    most = kinds.most_common(8)
    others = f", {len(kinds) - len(most)} other kinds" if len(kinds) > len(most) else ""
    return f": {', '.join(f'{count} of {code(kind, 60)}' for kind, count in most)}{others}"


def _title(change: Change) -> str:
    return f"{code(change.kind)} {code(change.name)}"


def _loss(change: Change) -> str:
    how = "is replaced by an empty one" if change.action is Action.REPLACE else "is deleted"
    guard = " It is protected: Pulumi refuses." if change.protected else ""
    return f"{_title(change)} {how}: with it goes {LOST_WITH[change.kind]}.{guard}"


def _pool(change: Change, plan: Plan, room: Room) -> str:
    """A pool that is new, replaced or gone, and what that means for running tasks."""
    old, new = _known(change.old, "pool"), _known(change.new, "pool")
    if change.action is Action.CREATE:
        name = _pool_name(new)
        if name in plan.pools_before:
            gone = {_pool_name(_known(one.old, "pool")) for one in plan.pools if one.action is Action.DELETE}
            others = "" if name in gone else ", those there are stay"
            return f"**new generation** {code(new)} of pool {code(name)}; new jobs go to it{others}."
        return f"**new pool** {code(new)}."
    if change.action is Action.REPLACE:
        reasons = [_difference(one, room) for one in change.differences if one.replaces]
        order = (
            "the old pool is deleted **first**: until the new one has nodes, nothing runs"
            if change.deleted_first
            else "the new one is made first, then the old one is deleted"
        )
        text = f"**new generation** of {code(change.name)}: {code(old)} → {code(new)}; {order}. "
        text += f"Tasks that still run on the old one are ended and queued again; first: {code(_drain(old, plan))}."
        shown = reasons[: room.properties]
        left = f"\n- … and {len(reasons) - len(shown)} more" if len(reasons) > len(shown) else ""
        return text + "".join(f"\n- because of {reason}" for reason in shown) + left
    if change.action is Action.MISSING:
        return f"pool {code(new)} is gone from Azure and is made again."
    return (
        f"pool {code(old)} is **deleted**. Tasks that still run on it are ended, and jobs that name it wait for ever; "
        f"first: {code(_drain(old, plan))}."
    )


def _drain(pool: str, plan: Plan) -> str:
    """The command that moves a pool's jobs to another one."""
    return f"python -m jobs pools drain {pool} --stack {plan.stack}"


def _pool_name(pool: str) -> str:
    """Of a pool's id; the rest of it is the hash of what Batch cannot change in it."""
    return pool.rpartition("-")[0]


def _role(change: Change) -> str:
    """A right that is given or taken away, in a sentence."""

    def right(known: object) -> str:
        role, scope, principal, kind = (_known(known, key) for key in ("role", "scope", "principal", "principal_type"))
        return f"{code(role)} on {code(scope)} for {code(kind)} {code(principal)}"

    if change.action in (Action.CREATE, Action.MISSING):
        return f"**gives** {right(change.new)} ({code(change.name)})"
    if change.action is Action.DELETE:
        return f"**takes away** {right(change.old)} ({code(change.name)})"
    return f"**changes** {code(change.name)}: {right(change.old)} becomes {right(change.new)}"


def _known(identity: object, key: str) -> str:
    return str(identity.get(key, "not known")) if isinstance(identity, dict) else "not known"


def _ordinary(change: Change, room: Room) -> str:
    text = _title(change)
    if change.action is Action.REPLACE:
        order = "the old one is deleted first" if change.deleted_first else "the new one is made first"
        text += f" is replaced: {order}"
    if change.kept_in_azure:
        text += ": Pulumi forgets it, Azure keeps it"
    if change.operation:
        text += f": {code(change.operation)}"
    shown = change.differences[: room.properties]
    lines = [_difference(one, room) for one in shown]
    if left := len(change.differences) - len(shown):
        lines.append(f"… and {left} more {'property' if left == 1 else 'properties'}")
    return text + "".join(f"\n- {line}" for line in lines)


def _difference(one: Difference, room: Room) -> str:
    path = code(one.path, room.characters)
    return f"{path}: {code(one.old, room.characters)} → {code(one.new, room.characters)}"


def _policies(plan: Plan, room: Room) -> Iterator[str]:
    advised = [result for result in plan.policies if not result.refused]
    yield from _section(
        "Told by a policy",
        advised,
        room,
        lambda result: f"{code(result.rule)} on {code(result.resource)}: {code(result.message, 4 * room.characters)}",
    )
    packs = ", ".join(code(pack) for pack in plan.policy_packs)
    if not plan.policy_packs:
        yield "Policies: **no policy pack ran.**"
    elif plan.failed and not plan.policies:
        yield f"Policies ({packs}): nothing is refused up to where the preview failed."
    elif not plan.policies:
        yield f"Policies: all rules of {packs} are kept."
    else:
        refused = sum(result.refused for result in plan.policies)
        yield f"Policies ({packs}): {refused} refused, {len(advised)} told."
    yield ""


def _texts(heading: str, texts: Sequence[str], room: Room) -> Iterator[str]:
    if not texts:
        return
    lines = [line for text in texts for line in text.splitlines()]
    fitting = lines[: room.lines]
    yield f"**{heading}**"
    yield ""
    if fitting:
        yield block(fitting, width=4 * room.characters)
    if left := len(lines) - len(fitting):
        yield f"… and {left} more lines"
    yield ""


def _golden(plan: Plan, room: Room) -> Iterator[str]:
    if not plan.golden:
        return
    changed = sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for line in plan.golden)
    fitting = plan.golden[: room.lines]
    yield f"<details><summary>Golden preview of {html_code(plan.stack)}: {changed} lines differ</summary>"
    yield ""
    if fitting:
        yield block(fitting, "diff", 2 * room.characters)
    if left := len(plan.golden) - len(fitting):
        yield f"… and {left} more lines: see {code(f'ci/golden/{plan.stack}.txt')} among the changed files"
    yield ""
    yield "</details>"


# Text from outside, shown and nothing else.


def visible(text: str) -> str:
    """The text on one line; characters that do not show, or turn what follows around, are written as escapes."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escape(character) for character in text)


def cut(text: str, width: int) -> str:
    """At most `width` characters; what is left out is counted."""
    if len(text) <= width:
        return text
    return f"{text[:width]}… ({len(text) - width} more characters)"


def code(text: str, width: int = 200) -> str:
    """A code span of one line that holds exactly this text, cut after `width` characters."""
    shown = cut(visible(text), width) or " "
    fence = "`" * (_longest_run(shown) + 1)
    pad = " " if shown[0] in " `" or shown[-1] in " `" else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def block(lines: Sequence[str], language: str = "", width: int = 300) -> str:
    """A fenced block of these lines; no line of it can end it."""
    shown = [cut(visible(line), width) for line in lines]
    fence = "`" * max(3, _longest_run("\n".join(shown)) + 1)
    return "\n".join((f"{fence}{language}", *shown, fence))


def html_code(text: str, width: int = 200) -> str:
    """As `code`, where Markdown is not read: inside `<summary>`."""
    return f"<code>{html.escape(cut(visible(text), width))}</code>"


def _longest_run(text: str) -> int:
    runs = (len(list(group)) for character, group in itertools.groupby(text) if character == "`")
    return max(runs, default=0)


def _escape(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    return named or (f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}")
