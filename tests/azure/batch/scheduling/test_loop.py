"""The account's loop: order, one transaction for a turn, and nothing said before it is written."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.azure.batch.scheduling.loop import Loop
from local.azure.platform.store import Store


@dataclass(frozen=True)
class Said:
    what: str


@dataclass(frozen=True)
class Look:
    where: str


class Bench:
    def __init__(self, store: Store) -> None:
        self.store, self.loop, self.taken = store, Loop(store), list[str]()
        self.loop.handlers = {Said: self.said, Look: self.look}

    def said(self, event: Said) -> None:
        self.taken.append(event.what)
        if event.what == "bad":
            raise ValueError("bad")
        if event.what == "first":
            self.loop.post_late(Look("a"))
            self.loop.post(Said("follows"))

    def look(self, event: Look) -> None:
        self.taken.append(f"look {event.where}")


@pytest.fixture
def bench() -> Bench:
    return Bench(Store(None))


async def test_what_follows_is_taken_in_order_and_what_is_late_once_and_last(bench: Bench) -> None:
    with bench.loop.turn():
        bench.loop.post(Said("first"))
        bench.loop.post_late(Look("a"))
        bench.loop.post(Said("second"))
    assert bench.taken == ["first", "second", "follows", "look a"]


async def test_what_was_posted_before_a_turn_is_taken_before_it(bench: Bench) -> None:
    bench.loop.post(Said("report"))
    bench.loop.post_late(Look("b"))
    with bench.loop.turn():
        bench.taken.append("asked")
    assert bench.taken == ["report", "asked", "look b"]


async def test_a_report_is_taken_without_anybody_asking(bench: Bench) -> None:
    bench.loop.post(Said("report"))
    assert bench.taken == [] and bench.loop.is_busy
    await asyncio.sleep(0)
    assert bench.taken == ["report"] and not bench.loop.is_busy


async def test_one_event_that_cannot_be_taken_does_not_stop_the_others(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with bench.loop.turn():
        bench.loop.post(Said("bad"))
        bench.loop.post(Said("good"))
    assert bench.taken == ["bad", "good"]
    assert "Said could not be taken" in caplog.text


async def test_commands_leave_when_the_turn_is_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "azure.db"
    bench, other, seen = Bench(Store(path)), Store(path), []
    with bench.loop.turn():
        with bench.loop.turn():
            bench.store.put("kind", "key", {"a": 1})
            bench.loop.command(lambda: seen.append(other.get("kind", "key")))
        assert seen == []
    assert seen == [{"a": 1}]


async def test_a_turn_that_fails_is_not_written_and_commands_nothing(bench: Bench) -> None:
    seen: list[str] = []
    with pytest.raises(ValueError, match="no"), bench.loop.turn():
        bench.store.put("kind", "key", {"a": 1})
        bench.loop.command(lambda: seen.append("sent"))
        raise ValueError("no")
    assert bench.store.get("kind", "key") is None and seen == []
    bench.loop.command(lambda: seen.append("at once"))
    assert seen == ["at once"]
