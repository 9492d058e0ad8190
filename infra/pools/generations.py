"""Generations of a pool: which pools stand beside the present one, and whether anything would be lost. Pure.

Batch cannot change most of a pool. So a change of its machine, image, users, start task or network makes another pool,
whose id ends in another hash: a new *generation*. Deleting the old one would end its tasks, and strand the jobs that
name it. So the old one is deleted only when the stack file says so:

    keep: [HASH]       it stays until the hash is removed from the file; meanwhile `batch-jobs pools drain`
    discard: [HASH]    this `up` deletes it with everything that runs in it

What is deployed is known from the stack's own outputs of the last `up` (`OUTPUT`). An `up` that would delete the pool
that takes jobs today, with neither line there, is refused: a warning would be read after the tasks are gone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from infra import naming
from infra.settings.problems import Problem

OUTPUT: Final = "pool_generations"
"""The stack's output: pool -> {current, kept, made_of}."""

_READABLE: Final = 80
"""Longer texts are not shown, and stand in the output as a digest."""
_DIGEST: Final = "sha256:"
_KEYS: Final[Mapping[str, str]] = {
    "deploymentConfiguration.virtualMachineConfiguration.imageReference": "node_image",
    "deploymentConfiguration.virtualMachineConfiguration.nodeAgentSkuId": "node_image",
    "deploymentConfiguration.virtualMachineConfiguration.containerConfiguration.containerImageNames": (
        "prefetch_worker_image (the worker image)"
    ),
    "deploymentConfiguration.virtualMachineConfiguration.containerConfiguration.containerRegistries": "registry",
    "identity": "node_identity",
    "networkConfiguration.endpointConfiguration": "ssh_from",
    "networkConfiguration": "network",
    "startTask": "the start task",
    "taskSchedulingPolicy": "fill",
    "taskSlotsPerNode": "task_slots_per_node",
    "userAccounts": "users",
    "vmSize": "vm_size",
    "interNodeCommunication": "the program",
    "deploymentConfiguration": "the program",
}
"""Properties of a pool (beginnings of their paths), and what of the stack file they come from."""


@dataclass(frozen=True)
class Deployed:
    """One pool as the last `up` left it."""

    current: str
    """The generation that jobs are sent to."""
    kept: tuple[str, ...] = ()
    made_of: Mapping[str, str] = field(default_factory=dict)
    """What the current generation's hash was made of, in the stack file's words (`made_of`)."""

    @classmethod
    def read(cls, output: Any) -> dict[str, Deployed]:
        """The stack's output as it was exported; empty for a stack that was never deployed."""
        return {
            name: cls(str(pool["current"]), tuple(pool.get("kept") or ()), dict(pool.get("made_of") or {}))
            for name, pool in (output or {}).items()
        }


@dataclass(frozen=True)
class Verdict:
    """Messages before anything is changed. A problem stops the `up` and the preview; a warning does not."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def made_of(fixed: Mapping[str, Any]) -> dict[str, str]:
    """What a pool's fixed properties are, by what of the stack file they come from: text where it can be read, else a
    short digest; always a digest where passwords are in it."""
    groups: dict[str, list[tuple[str, Any]]] = {}
    for path, value in _leaves("", fixed):
        groups.setdefault(_key(path), []).append((path, value))
    return {key: _text(leaves) for key, leaves in sorted(groups.items())}


def judge(
    pool: str,
    current: str,
    made_of: Mapping[str, str],
    keep: Sequence[str],
    discard: Sequence[str],
    last: Deployed | None,
    *,
    stack: str,
) -> Verdict:
    """What a stack file's `keep` and `discard` of one pool mean, where `last` is deployed. `stack` is for commands."""
    if last is None:
        ignored = f"pools.{pool}.keep: nothing of this pool is deployed, so nothing is kept ({', '.join(keep)})."
        return Verdict(warnings=(ignored,) if keep else ())
    deployed = {last.current, *last.kept}
    problems = [
        Problem(
            f"pools.{pool}.keep",
            f"deployed generations ({', '.join(sorted(deployed))})",
            one,
            "correct or remove it: what does not exist cannot be kept",
        )
        for one in keep
        if one not in deployed and one != current
    ]
    warnings = []
    if last.current != current:
        reasons = "; ".join(changes(last.made_of, made_of)) or "a change of the program"
        old = naming.pool(pool, last.current)
        new = naming.pool(pool, current)
        drain = naming.jobs_command(f"pools drain {old}", stack)
        if last.current in keep:
            warnings.append(
                f"pools.{pool}: {reasons}. This makes the new generation {new}; {old} stays as it is. After `up`: "
                f"`{drain}` moves its jobs; then remove {last.current} and `up` again."
            )
        elif last.current in discard:
            warnings.append(
                f"pools.{pool}: {reasons}. This makes the new generation {new}; {old} is deleted with what runs in it, "
                "as discard says."
            )
        else:
            problems.append(
                Problem(
                    f"pools.{pool}",
                    f"`keep: [{_yaml(last.current)}]`, because this makes a new generation: {reasons}",
                    f"a change that would delete {old} with what runs in it",
                    f"write keep and the old pool stays until its jobs are moved (`{drain}`), "
                    f"or `discard: [{_yaml(last.current)}]` if nothing in it matters",
                )
            )
    for one in last.kept:
        if one not in keep and one != current:
            gone = naming.pool(pool, one)
            warnings.append(f"pools.{pool}: {gone} is in keep no more and is deleted. It must be drained by now.")
    return Verdict(tuple(problems), tuple(warnings))


def _yaml(generation: str) -> str:
    """As a stack file must have it: what YAML would take for a number stands in quotes."""
    return f"'{generation}'" if re.fullmatch(r"\d+(e\d+)?", generation) else generation


def kept(current: str, keep: Sequence[str], last: Deployed | None) -> tuple[str, ...]:
    """The generations beside the current one. One that a change of mind made current again is not beside it."""
    return () if last is None else tuple(one for one in dict.fromkeys(keep) if one != current)


def pools_that_go(pools: Sequence[str], last: Mapping[str, Deployed]) -> list[str]:
    """Warnings about pools that the stack file does not name any more."""
    return [
        f"pools.{name} is not in the stack file any more. Deleted with what runs there: "
        f"{', '.join(naming.pool(name, one) for one in (pool.current, *pool.kept))}."
        for name, pool in sorted(last.items())
        if name not in pools
    ]


def changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What differs, in the stack file's words; before and after where both can be read."""
    found = []
    for key in sorted({*before, *after}):
        old, new = before.get(key, "nothing"), after.get(key, "nothing")
        if old != new:
            readable = not any(text.startswith(_DIGEST) for text in (old, new))
            found.append(f"{key} {old} -> {new}" if readable else f"{key} changed")
    return found


def _key(path: str) -> str:
    """What of the stack file a property comes from: the entry of the longest beginning of its path."""
    parts = re.sub(r"\[\d+\]", "", path).split(".")
    beginnings = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((_KEYS[one] for one in beginnings if one in _KEYS), parts[0])


def _leaves(path: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return [leaf for key in sorted(value) for leaf in _leaves(f"{path}.{key}" if path else key, value[key])]
    if isinstance(value, list):
        return [leaf for at, item in enumerate(value) for leaf in _leaves(f"{path}[{at}]", item)]
    return [(path, value)]


def _text(leaves: Sequence[tuple[str, Any]]) -> str:
    text = ", ".join(str(value) for _, value in leaves)
    if len(text) <= _READABLE and not any(path.endswith("password") for path, _ in leaves):
        return text
    return _DIGEST + hashlib.sha256(text.encode()).hexdigest()[:12]
