"""What a killed run left behind, settled before the next one: a lock without owner, and creations of unknown end.

The file backend's lock stays when its CLI is killed. It names process, host and time, so one whose process is gone is
taken away (`pulumi cancel`), and one that is alive is left for Pulumi to report. Of every operation that was under way
the state has a note. Updates and deletions Pulumi settles by itself: the next run compares or deletes again. For a
creation nobody but the cloud knows whether it happened, so the cloud is asked: what exists is taken over under its id,
what does not exist is created again (`pulumi refresh` with the answers). A Docker image is built and pushed again.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from local.deployment import project
from local.deployment.project import Stack
from local.plugins.azure_native.translate import resource_path
from local.words import say

AZURE_NATIVE = "azure-native:"


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


@dataclass(frozen=True)
class Creation:
    """A creation whose end is not known. `id`: what the resource is called in Azure; None outside Azure."""

    urn: str
    type: str
    id: str | None


def settle(stack: Stack, exists: Callable[[str, str], bool]) -> None:
    """Make the stack fit for the next run. `exists(type, id)` asks the cloud; it is only asked after a kill."""
    stale = stale_locks(stack)
    if stale:
        say(f"    the last run was killed (process {', '.join(str(lock.pid) for lock in stale)}): its lock is removed")
        project.ask(stack, "cancel", "--yes", "--stack", stack.name)
    open_creations = creations(stack)
    if not open_creations:
        return
    made = [one for one in open_creations if one.id is not None and exists(one.type, one.id)]
    for one in open_creations:
        fate = "it exists and is taken over" if one in made else "it does not exist and is created again"
        say(f"    the last run was killed while it created {_short(one.urn)}: {fate}")
    words = [word for one in made for word in ("--import-pending-creates", one.urn, "--import-pending-creates", one.id)]
    project.ask(stack, "refresh", "--yes", "--skip-preview", "--clear-pending-creates", *(word or "" for word in words))


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
        began = Path(f"/proc/{lock.pid}").stat().st_mtime
        words = Path(f"/proc/{lock.pid}/cmdline").read_bytes()
    except OSError:
        return False
    return began <= lock.since + 1 and b"pulumi" in words


def creations(stack: Stack) -> list[Creation]:
    """The creations that the state has as pending."""
    if not stack.state_file.exists():
        return []
    checkpoint = json.loads(stack.state_file.read_text()).get("checkpoint") or {}
    pending = (checkpoint.get("latest") or {}).get("pending_operations") or []
    subscription = stack.environment.get("ARM_SUBSCRIPTION_ID", "")
    return [creation(one["resource"], subscription) for one in pending if one.get("type") == "creating"]


def creation(resource: Mapping[str, Any], subscription_id: str) -> Creation:
    """A pending creation, with the id that its inputs give it."""
    urn, token = str(resource["urn"]), str(resource["type"])
    if not token.startswith(AZURE_NATIVE):
        return Creation(urn, token, None)
    return Creation(urn, token, resource_path(token, resource.get("inputs") or {}, subscription_id))


def _short(urn: str) -> str:
    return " ".join(urn.split("::")[2:]).rpartition("$")[2]
