"""What `preview --json` prints: the steps in a stable order, the diagnostics, the counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from local.engine.codec import parse_path, scrub
from local.engine.goal import Diagnostic, Op, Step
from local.engine.state import Resource, ordered
from local.engine.urn import is_provider, type_of

# Halves of a replacement: the replacement itself is what is counted.
UNCOUNTED: Final = {Op.CREATE_REPLACEMENT, Op.DELETE_REPLACED}
NOT_A_CHANGE: Final = {Op.SAME, Op.READ}


def counts(steps: Sequence[Step]) -> dict[str, int]:
    """Operation -> how many resources; providers are not counted, as with Pulumi."""
    replaced = {step.urn for step in steps if step.op is Op.REPLACE}
    summary: dict[str, int] = {}
    for step in steps:
        halves = step.op in UNCOUNTED and (step.urn in replaced or step.op is Op.CREATE_REPLACEMENT)
        if not is_provider(type_of(step.urn)) and not halves:
            summary[step.op.value] = summary.get(step.op.value, 0) + 1
    return summary


def changed(summary: Mapping[str, int]) -> bool:
    """Whether anything was, or would be, changed."""
    return any(op not in {op.value for op in NOT_A_CHANGE} for op in summary)


def digest(
    config: Mapping[str, Any], news: Sequence[Resource], steps: Sequence[Step], diagnostics: Sequence[Diagnostic]
) -> dict[str, Any]:
    """The shape of the real CLI's `preview --json`; `duration` is added by the caller."""
    place = {resource.urn: index for index, resource in enumerate(ordered(news))}

    def order(step: Step) -> tuple[bool, int, str, str]:
        return (step.op in (Op.DELETE, Op.DELETE_REPLACED), place.get(step.urn, len(place)), step.urn, step.op.value)

    return {
        "config": {key: scrub(value) for key, value in sorted(config.items())},
        "steps": [_step(step) for step in sorted(steps, key=order)],
        "diagnostics": [{"urn": d.urn, "severity": d.severity, "message": d.message} for d in diagnostics],
        "changeSummary": counts(steps),
    }


def _step(step: Step) -> dict[str, Any]:
    body: dict[str, Any] = {"op": step.op.value, "urn": step.urn}
    if step.resource.provider:
        body["provider"] = step.resource.provider
    for key, state in (("oldState", step.old), ("newState", step.new)):
        if state is not None:
            body[key] = _state(state)
    if step.diff:
        body["diffReasons"] = sorted({str(parse_path(path)[0]) for path in step.diff})
        body["detailedDiff"] = {path: {"kind": kind, "inputDiff": True} for path, kind in step.diff.items()}
    if step.replace_keys:
        body["replaceReasons"] = list(step.replace_keys)
    return body


def _state(resource: Resource) -> dict[str, Any]:
    names = ("urn", "custom", "id", "type", "inputs", "outputs", "parent", "provider", "dependencies", "protect")
    shown = {name: scrub(getattr(resource, name)) for name in names}
    return {name: value for name, value in shown.items() if value or name == "custom"}
