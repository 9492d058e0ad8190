"""What a killed run left behind, settled before the next one: a lock without owner, and creations of unknown end.

The file backend's lock stays when its CLI is killed. It names process, host and time, so one whose process is gone is
taken away (`pulumi cancel`), and one that is alive is left for Pulumi to report. Of every operation that was under
way the state has a note. What was being changed or deleted is read again, since the state may name what is gone. For
a creation nobody but the cloud knows whether it happened, so the cloud is asked. What exists is written into the
state with the inputs of the interrupted creation (`pulumi stack export` and `import`), and read (`pulumi refresh`);
what does not exist is created again. When a plugin dies, Pulumi takes its creations for failed and notes nothing, so
those are found in the events of the last run (`--event-log`). `pulumi refresh --import-pending-creates` would be the
shorter way, but version 3.274.1 forgets such a creation instead of importing it. A Docker image is built and pushed
again.
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

from local.deployment import project
from local.deployment.project import Stack
from local.errors import LocalError
from local.plugins.azure_native.translate import resource_path
from local.words import say

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


def settle(stack: Stack, exists: Callable[[str, str], bool]) -> None:
    """Make the stack fit for the next run. `exists(type, id)` asks the cloud; it is only asked after a kill."""
    drop_half_written(stack)
    stale = stale_locks(stack)
    if stale:
        say(f"    the last run was killed (process {', '.join(str(lock.pid) for lock in stale)}): its lock is removed")
        project.ask(stack, "cancel", "--yes", "--stack", stack.name)
    log = event_log(stack)
    begun = unfinished(log.read_text().splitlines()) if log.exists() else {}
    if not begun and not has_pending_operations(stack):
        return
    exported = json.loads(project.ask(stack, "stack", "export"))
    deployment = exported["deployment"]
    resources = deployment.setdefault("resources", [])
    pending = deployment.pop("pending_operations", None) or []
    known = {one["urn"] for one in resources}
    creations = {one["resource"]["urn"]: one["resource"] for one in pending if one["type"] == CREATING}
    creations |= {urn: new for urn, new in begun.items() if new and urn not in known | creations.keys()}
    changed = {one["resource"]["urn"] for one in pending if one["type"] != CREATING} | begun.keys() - creations.keys()
    to_read = [urn for urn in sorted(changed) if urn in known]
    for urn in to_read:
        say(f"    the last run did not finish changing {_short(urn)}: it is read again")
    for urn, creation in creations.items():
        resource_id = expected_id(creation, stack.environment.get("ARM_SUBSCRIPTION_ID", ""))
        made = resource_id is not None and exists(creation["type"], resource_id)
        fate = "it exists and is taken over" if made else "it does not exist and is created again"
        say(f"    the last run did not finish creating {_short(urn)}: {fate}")
        if made:
            adopt(resources, {**creation, "id": resource_id})
            to_read.append(urn)
    project.ask(stack, "stack", "import", stdin=json.dumps(exported))
    if to_read:
        project.ask(stack, "refresh", "--yes", "--skip-preview", *(f"--target={urn}" for urn in to_read))
    log.unlink(missing_ok=True)


def drop_half_written(stack: Stack) -> None:
    """Remove what the file backend was writing when it was killed.

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
    """URNs in Azure whose operation a run began and did not end well: the plugin may have died with the answer.

    With the resource where it was to be created; None where it was there before and was to be changed or deleted. A
    creation that met somebody else's resource is not one of them.
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
        elif (told := event.get("diagnosticEvent")) and EXISTED in str(told.get("message")):
            begun.pop(told.get("urn", ""), None)
    return begun


def _events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:  # the CLI was killed while it wrote
            continue
        if isinstance(event, dict):
            yield event


def adopt(resources: list[dict[str, Any]], made: dict[str, Any]) -> None:
    """Put a resource into a state; one of the same URN is what it was to replace, and is deleted by the next run."""
    for old in resources:
        if old["urn"] == made["urn"]:
            old["delete"] = True
    resources.append({**made, "custom": True, "outputs": {}})


def stale_locks(stack: Stack) -> list[Lock]:
    """Locks whose process is gone; empty if one of them may still have an owner."""
    found: list[Lock] = []
    for file in (stack.folder / ".pulumi" / "locks").rglob("*.json"):
        lock = Lock.parse(file.read_text())
        if lock is None:
            found.append(Lock(0, platform.node(), 0.0))
        elif lock.hostname == platform.node() and not holds(lock):
            found.append(lock)
        else:
            return []
    return found


def holds(lock: Lock) -> bool:
    """Whether the lock's process lives; another one that has its number by now began later than the lock."""
    try:
        words = Path(f"/proc/{lock.pid}/cmdline").read_bytes()
        return b"pulumi" in words and started_at(lock.pid) <= lock.since + 1
    except OSError:
        return False


def started_at(pid: int) -> float:
    """When a process began, in seconds since the epoch (proc(5): starttime counts from boot). OSError if it is gone."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19])
    boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime "))
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def has_pending_operations(stack: Stack) -> bool:
    """A look into the state file, so that a run that follows a good one costs nothing."""
    if not stack.state_file.exists():
        return False
    try:
        checkpoint = json.loads(stack.state_file.read_text())["checkpoint"]
        return bool((checkpoint.get("latest") or {}).get("pending_operations"))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LocalError(
            f"{stack.state_file} is not a Pulumi checkpoint",
            cause=f"something else changed it ({type(error).__name__}: {error})",
            next_step=f"restore it ({stack.state_file.name}.bak is the one before), or forget everything deployed "
            "locally: python -m local reset --yes",
        ) from None


def expected_id(resource: Mapping[str, Any], subscription_id: str) -> str | None:
    """The id that its inputs give a resource of Azure; None for every other resource."""
    token = str(resource["type"])
    if not token.startswith(AZURE_NATIVE):
        return None
    return resource_path(token, resource.get("inputs") or {}, subscription_id)


def _short(urn: str) -> str:
    return " ".join(urn.split("::")[2:]).rpartition("$")[2]
