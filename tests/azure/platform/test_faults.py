"""Rules: what is refused, when they fire, and the control socket; and the clock that it moves."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.azure.platform.clock import MovableClock, clients_now
from local.azure.platform.faults import (
    REQUEST,
    RUN,
    SERVICES,
    Control,
    FaultRefused,
    Faults,
    Listener,
    Rule,
    conditions,
    under,
)
from local.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Iterator[Paths]:
    found = Paths(tmp_path)
    found.ensure()
    yield found
    shutil.rmtree(found.sockets, ignore_errors=True)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"service": "mail", "kind": "cut"}, "'mail' is no service that has faults; there are arm, authority"),
        ({"service": "batch", "kind": "deadlock"}, "'deadlock' is no kind of fault of batch; there are throttle"),
        ({"service": "blobs", "kind": "partial"}, "'partial' is no kind of fault of blobs"),
        ({"service": "arm", "kind": "cut", "match": "("}, "no regular expression"),
        ({"service": "arm", "kind": "cut", "times": -1}, "at least 0"),
        ({"service": "arm", "kind": "cut", "probability": 1.5}, "from 0 to 1"),
        ({"service": "arm", "kind": "delay", "seconds": -1.0}, "seconds are at least 0"),
        ({"service": "arm", "kind": "cut", "retry_after": 3}, "retry_after belongs to throttle"),
    ],
)
def test_what_is_no_fault_is_refused_by_name(given: dict[str, Any], told: str) -> None:
    with pytest.raises(FaultRefused, match=told.replace("(", r"\(")):
        Rule(**given)


def test_a_rule_fires_where_it_matches_after_so_many_and_so_often() -> None:
    faults = Faults()
    number = faults.set(Rule("batch", "cut", times=2, match="create_task", after=1))
    fired = [bool(faults.meet("batch", REQUEST, text)) for text in ["create_TASK POST /x", "list_jobs GET /jobs"]]
    fired += [bool(faults.meet("batch", REQUEST, "create_task POST /x")) for _ in range(4)]
    fired.append(bool(faults.meet("arm", REQUEST, "create_task")))
    assert fired == [False, False, True, True, False, False, False]
    assert faults.state()[number]["fired"] == 2


def test_chance_is_the_same_for_the_same_seed_and_not_for_another() -> None:
    def pattern(seed: int) -> list[bool]:
        faults = Faults()
        faults.set(Rule("arm", "fail", times=0, probability=0.5, seed=seed))
        return [bool(faults.meet("arm", REQUEST, "GET /")) for _ in range(40)]

    assert pattern(1) == pattern(1) != pattern(2)
    assert 5 < sum(pattern(1)) < 35


def test_a_kind_that_cannot_mean_anything_is_not_counted() -> None:
    faults = Faults()
    faults.set(Rule("nodes", "pull-failed"))
    assert faults.meet("nodes", RUN, "run p n j t", {"disk-full"}) == []
    assert [one.kind for one in faults.meet("nodes", RUN, "run p n j t", {"pull-failed"})] == ["pull-failed"]


def test_every_kind_says_what_it_does() -> None:
    kinds = [kind for known in SERVICES.values() for kind in known.values()]
    assert len(kinds) > 60
    assert all(kind.stages and len(kind.text) > 9 for kind in kinds)


def test_a_process_is_told_through_its_socket_and_refuses_in_words(paths: Paths) -> None:
    faults = Faults()
    with Listener(paths, "azure", faults):
        control = Control(paths, "azure")
        first, second = control.set(Rule("arm", "cut")), control.set(Rule("batch", "delay", seconds=2.0))
        assert {one["kind"] for one in control.state().values()} == {"cut", "delay"}
        control.clear(first)
        assert list(control.state()) == [str(second)]
        for question, told in (
            ({"do": "clear", "number": first}, f"there is no fault {first}"),
            ({"do": "dance"}, "'dance' is no question here"),
            ({"do": "set", "rule": {"service": "arm", "kind": "cut", "colour": "red"}}, "a rule has no colour"),
        ):
            with pytest.raises(FaultRefused, match=told):
                control.ask(question)
        assert (paths.sockets / "faults-azure").stat().st_mode & 0o777 == 0o600
    with pytest.raises(FaultRefused, match="python -m local start"):
        control.state()


async def test_conditions_hold_for_a_request_and_not_for_what_it_began() -> None:
    gate, seen = asyncio.Event(), []

    async def later() -> None:
        await gate.wait()
        seen.append(conditions().without_roles)

    with under([Rule("arm", "lost-role"), Rule("arm", "token-skew", seconds=-7)]):
        assert (conditions().without_roles, conditions().token_skew) == (True, timedelta(seconds=-7))
        work = asyncio.create_task(later())
        await asyncio.sleep(0)
    gate.set()
    await work
    assert seen == [False] and conditions().token_skew == timedelta(0)


async def test_a_clock_that_is_moved_calls_back_and_keeps_where_it_stands(paths: Paths) -> None:
    clock, seen = MovableClock(paths), asyncio.Event()
    never: list[str] = []
    clock.call_at(clock.now() + timedelta(hours=1), seen.set)
    clock.call_at(clock.now() + timedelta(hours=1), lambda: never.append("x")).cancel()
    clock.call_at(clock.now() + timedelta(hours=9), lambda: never.append("y"))
    await asyncio.to_thread(clock.move, timedelta(hours=2))
    await asyncio.wait_for(seen.wait(), 5)
    assert never == []
    assert MovableClock(paths).now() - datetime.now(UTC) > timedelta(minutes=119)
    assert abs(clients_now(clock) - datetime.now(UTC)) < timedelta(seconds=5)
    with pytest.raises(ValueError, match="time does not go back"):
        clock.move(timedelta(seconds=-1))
