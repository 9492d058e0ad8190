"""The agent's memory: an append-only file of events, each on disk before anybody hears of it.

A line is `{"seq": n, "kind": ..., "event": {...}}`. `Accepted` lines are the agent's own (a run it promised to do); the
others are the contract's events. Readers replay from a sequence number and then wait for more; nobody polls.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.node.contract import NodeChanged, NodeEvent, RunEnded, RunStarted, from_json, to_json

_KINDS: dict[str, type] = {"NodeChanged": NodeChanged, "RunStarted": RunStarted, "RunEnded": RunEnded}
_ACCEPTED = "Accepted"


@dataclass(frozen=True)
class Entry:
    """One line. `run_id` is empty for the node's own events."""

    seq: int
    kind: str
    data: dict[str, Any]

    @property
    def run_id(self) -> str:
        """The run that the line speaks of."""
        return self.data.get("run_id", "")

    def line(self) -> str:
        """The line as written, and as sent to the host."""
        return json.dumps({"seq": self.seq, "kind": self.kind, "event": self.data}) + "\n"

    @classmethod
    def parse(cls, line: str | bytes) -> Entry:
        """The entry of a whole line."""
        found = json.loads(line)
        return cls(found["seq"], found["kind"], found["event"])

    def event(self) -> NodeEvent:
        """The contract's event."""
        return from_json(_KINDS[self.kind], self.data)


class Journal:
    """Opens (and repairs) the file; a torn last line, left by a kill in the middle of a write, is cut off."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._entries = _load(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._grown = asyncio.Event()
        self._closed = False

    def close(self) -> None:
        """Close the file. Readers get what is written, then end."""
        os.close(self._descriptor)
        self._closed = True
        self._grown.set()

    def accept(self, run_id: str) -> None:
        """Remember a run before any work on it: if the node dies now, the run is known to be lost."""
        self._append(_ACCEPTED, {"run_id": run_id})

    def add(self, event: NodeEvent) -> None:
        """Write an event down, then let the readers have it."""
        self._append(type(event).__name__, to_json(event))

    def knows(self, run_id: str) -> bool:
        """Whether this run was ever accepted here."""
        return any(entry.run_id == run_id for entry in self._entries)

    def unfinished(self) -> list[str]:
        """Runs that were accepted and have no end: after a boot, these are lost."""
        ended = {entry.run_id for entry in self._entries if entry.kind == "RunEnded"}
        accepted = [entry.run_id for entry in self._entries if entry.kind == _ACCEPTED]
        return [run_id for run_id in accepted if run_id not in ended]

    async def read(self, after: int) -> AsyncIterator[Entry]:
        """Everything later than `after`, then each new event until the journal is closed.

        A replay tells only the last of the node's own past states.
        """
        last_state = max((entry.seq for entry in self._entries if entry.kind == "NodeChanged"), default=0)
        while True:
            grown = self._grown
            for entry in self._entries[after:]:
                after = entry.seq
                past_state = entry.kind == "NodeChanged" and entry.seq < last_state
                if entry.kind != _ACCEPTED and not past_state:
                    yield entry
            if after == len(self._entries):
                if self._closed:
                    return
                await grown.wait()

    def _append(self, kind: str, data: dict[str, Any]) -> None:
        entry = Entry(len(self._entries) + 1, kind, data)
        os.write(self._descriptor, entry.line().encode())
        os.fsync(self._descriptor)
        self._entries.append(entry)
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()


def _load(path: Path) -> list[Entry]:
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(path, len(whole))
    return [Entry.parse(line) for line in whole.splitlines()]
