"""What a killed run left behind is repaired before the next one: a lock without owner, and creations of unknown end.

A killed CLI leaves the file backend's lock. It names process, host and time: `pulumi cancel` removes one whose process
is gone, and Pulumi itself reports one whose process lives. The state lists each operation that was under way. A
resource that was being changed or deleted is read again, since the state may name what is gone. Only the cloud knows
whether a creation happened, so the cloud is asked: a resource that exists is written into the state with the inputs of
the interrupted creation (`pulumi stack export` and `import`) and read (`pulumi refresh`); one that does not exist is
created again. When a plugin dies, Pulumi takes its creations for failed and lists nothing, so those are found in the
events of the last run (`--event-log`). `pulumi refresh --import-pending-creates` would be the shorter way, but version
3.274.1 forgets such a creation instead of importing it. A Docker image is built and pushed again.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from local import console
from local.deployment import project
from local.deployment.project import Stack
from local.plugins.azure_native.translate import resource_path

AZURE_NATIVE = "azure-native:"
CREATING = "creating"  # the type of a pending operation
CREATIONS = ("create", "create-replacement")  # operations of an event
OPERATIONS = (*CREATIONS, "update", "delete", "delete-replaced")
EXISTED = "cannot create already existing resource"  # azure-native's words


@dataclass(frozen=True)
class Lock:
    """A lock of the file backend: which process holds the stack."""

    pid: int
    hostname: str
    since: float  # seconds since the epoch

    @classmethod
    def parse(cls, text: str) -> Lock | None:
        """None for a file that is not (wholly) a lock: its writer was killed while it wrote."""
        try:
            content = json.loads(text)
            since = datetime.fromisoformat(content["timestamp"]).timestamp()
            return cls(int(content["pid"]), str(content["hostname"]), since)
        except (ValueError, KeyError, TypeError):
            return None


def repair(stack: Stack, exists: Callable[[str, str], bool]) -> None:
    """Make the stack fit for the next run. `exists(type, id)` asks the cloud; it is only asked after a kill."""
    drop_half_written(stack)
    stale = stale_locks(stack)
    if stale:
        console.info(
            f"    the last run was killed (process {', '.join(str(lock.pid) for lock in stale)}): its lock is removed"
        )
        project.ask(stack, "cancel", "--yes", "--stack", stack.name)
    log = event_log(stack)
    begun = unfinished(log.read_text().splitlines()) if log.exists() else {}
    if not begun and not has_pending_operations(stack):
        return
    exported = json.loads(project.ask(stack, "stack", "export"))
    deployment = exported["deployment"]
    resources = deployment.setdefault("resources", [])
    pending = deployment.pop("pending_operations", None) or []
    in_state = {resource["urn"] for resource in resources}
    creations = {one["resource"]["urn"]: one["resource"] for one in pending if one["type"] == CREATING}
    creations |= {urn: new for urn, new in begun.items() if new and urn not in in_state | creations.keys()}
    changed = {one["resource"]["urn"] for one in pending if one["type"] != CREATING} | begun.keys() - creations.keys()
    to_read = [urn for urn in sorted(changed) if urn in in_state]
    for urn in to_read:
        console.info(f"    the last run did not finish changing {_short(urn)}: it is read again")
    for urn, creation in creations.items():
        resource_id = expected_id(creation, stack.environment.get("ARM_SUBSCRIPTION_ID", ""))
        is_there = resource_id is not None and exists(creation["type"], resource_id)
        fate = "it exists and is taken over" if is_there else "it does not exist and is created again"
        console.info(f"    the last run did not finish creating {_short(urn)}: {fate}")
        if is_there:
            adopt(resources, {**creation, "id": resource_id})
            to_read.append(urn)
    project.ask(stack, "stack", "import", stdin=json.dumps(exported))
    if to_read:
        project.ask(stack, "refresh", "--yes", "--skip-preview", *(f"--target={urn}" for urn in to_read))
    log.unlink(missing_ok=True)


def drop_half_written(stack: Stack) -> None:
    """Remove files of attributes that the file backend was writing when it was killed.

    Pulumi fails to load a state ("EOF") whose `.attrs` file is cut.
    gocloud.dev/blob/fileblob writes a file beside its target and renames it, but the attributes (`.attrs`, of which
    Pulumi needs nothing) in place. A file without them is whole.
    """
    for file in (stack.folder / ".pulumi").rglob("*.attrs"):
        try:
            json.loads(file.read_text())
        except ValueError:
            file.unlink()


def event_log(stack: Stack) -> Path:
    """Where the CLI writes the events of an `up` or `destroy`."""
    return stack.folder / "events.jsonl"


def unfinished(lines: Iterable[str]) -> dict[str, dict[str, Any] | None]:
    """Operations on Azure's resources that a run began and did not end well: the plugin may have died with the answer.

    URN -> the resource that was to be created; None for one that was there before, to be changed or deleted. A
    creation that failed because the resource exists already is left out.
    """
    begun: dict[str, dict[str, Any] | None] = {}
    for event in _events(lines):
        if metadata := (event.get("resourcePreEvent") or {}).get("metadata"):
            if metadata["op"] in OPERATIONS and str(metadata["type"]).startswith(AZURE_NATIVE):
                new = metadata.get("new") or {}
                kept = ("type", "urn", "parent", "provider", "protect", "inputs")
                created = {key: new[key] for key in kept if new.get(key)} if metadata["op"] in CREATIONS else None
                begun[metadata["urn"]] = created
        elif metadata := (event.get("resOutputsEvent") or {}).get("metadata"):
            begun.pop(metadata["urn"], None)
        elif (diagnostic := event.get("diagnosticEvent")) and EXISTED in str(diagnostic.get("message")):
            begun.pop(diagnostic.get("urn", ""), None)
    return begun


def _events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:  # the CLI was killed while it wrote
            continue
        if isinstance(event, dict):
            yield event


def adopt(resources: list[dict[str, Any]], created: dict[str, Any]) -> None:
    """Add a created resource to a state. The next run deletes one of the same URN, which it was to replace."""
    for old in resources:
        if old["urn"] == created["urn"]:
            old["delete"] = True
    resources.append({**created, "custom": True, "outputs": {}})


def stale_locks(stack: Stack) -> list[Lock]:
    """Locks whose process is gone; empty if one of them may still have an owner."""
    stale: list[Lock] = []
    for file in (stack.folder / ".pulumi" / "locks").rglob("*.json"):
        lock = Lock.parse(file.read_text())
        if lock is None:
            stale.append(Lock(0, platform.node(), 0.0))
        elif lock.hostname == platform.node() and not holds(lock):
            stale.append(lock)
        else:
            return []
    return stale


def holds(lock: Lock) -> bool:
    """Whether the lock's process lives; another one that has its number by now began later than the lock."""
    try:
        command_line = Path(f"/proc/{lock.pid}/cmdline").read_bytes()
        return b"pulumi" in command_line and started_at(lock.pid) <= lock.since + 1
    except OSError:
        return False


def started_at(pid: int) -> float:
    """When a process began, in seconds since the epoch (proc(5): starttime counts from boot). OSError if it is gone."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def has_pending_operations(stack: Stack) -> bool:
    """Whether the state lists operations under way. No CLI is started for it: it costs nothing after a good run."""
    return bool(project.read_deployment(stack).get("pending_operations"))


def expected_id(resource: Mapping[str, Any], subscription_id: str) -> str | None:
    """The id that its inputs give a resource of Azure; None for every other resource."""
    token = str(resource["type"])
    if not token.startswith(AZURE_NATIVE):
        return None
    return resource_path(token, resource.get("inputs") or {}, subscription_id)


def _short(urn: str) -> str:
    return " ".join(urn.split("::")[2:]).rpartition("$")[2]
