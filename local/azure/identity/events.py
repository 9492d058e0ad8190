"""Scheduled events of the instance metadata endpoint: the announced end of a node, made on purpose, for tests.

    python -m local.azure.identity.events NODE --kind Preempt
    python -m local.azure.identity.events clear

Form: learn.microsoft.com/azure/virtual-machines/linux/scheduled-events. Nothing happens to the node: `Preempt` is the
notice that a spot VM gets before it is evicted. That a Batch pool's nodes get any is a guess. Every node sees the
events of all nodes, as every VM of a scale set does.
"""

from __future__ import annotations

import argparse
import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final

from local.paths import Paths, jobs_command

KINDS: Final = ("Freeze", "Preempt", "Reboot", "Redeploy", "Terminate")
NOTICE: Final = timedelta(seconds=30)  # the least for Preempt; others have minutes


def document(paths: Paths) -> dict[str, Any]:
    """What `/metadata/scheduledevents` answers."""
    try:
        return json.loads(_file(paths).read_text())
    except FileNotFoundError:
        return {"DocumentIncarnation": 1, "Events": []}


def announce(paths: Paths, node_id: str, kind: str) -> None:
    """Add an event of this kind for a node."""
    event = {
        "EventId": str(uuid.uuid4()).upper(),
        "EventStatus": "Scheduled",
        "EventType": kind,
        "ResourceType": "VirtualMachine",
        "Resources": [node_id],
        "NotBefore": format_datetime(datetime.now(UTC) + NOTICE, usegmt=True),
        "Description": "",
        "EventSource": "Platform",
        "DurationInSeconds": -1,
    }
    _write(paths, [*document(paths)["Events"], event])


def clear(paths: Paths) -> None:
    """Remove all events."""
    _write(paths, [])


def _write(paths: Paths, events: list[dict[str, Any]]) -> None:
    part = _file(paths).with_suffix(".part")
    part.write_text(json.dumps({"DocumentIncarnation": document(paths)["DocumentIncarnation"] + 1, "Events": events}))
    part.replace(_file(paths))


def _file(paths: Paths) -> Path:
    return paths.state / "scheduled-events.json"


def main(arguments: list[str] | None = None) -> int:
    """`python -m local.azure.identity.events NODE | clear`."""
    parser = argparse.ArgumentParser(prog="python -m local.azure.identity.events", description="Announce a node's end.")
    parser.add_argument("node", help=f"a node's id ({jobs_command()} nodes POOL), or `clear`")
    parser.add_argument("--kind", choices=KINDS, default="Preempt", help="what will happen to it (default %(default)s)")
    given = parser.parse_args(arguments)
    paths = Paths.default()
    if not paths.state.is_dir():
        print(f"there is no local Azure in {paths.home}; start it: python -m local start", file=sys.stderr)
        return 1
    if given.node == "clear":
        clear(paths)
    else:
        announce(paths, given.node, given.kind)
    return 0


if __name__ == "__main__":
    sys.exit(main())
