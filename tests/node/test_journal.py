from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from local.node.agent.journal import Entry, Journal
from local.node.contract import NodeChanged, NodeState, RunEnded, RunStarted

AT = datetime(2026, 11, 1, tzinfo=UTC)


def changed(state: NodeState) -> NodeChanged:
    return NodeChanged(node_id="n", state=state, at=AT)


async def take(journal: Journal, after: int, count: int) -> list[Entry]:
    found = []
    async for entry in journal.read(after):
        found.append(entry)
        if len(found) == count:
            break
    return found


async def test_a_new_journal_on_the_same_file_knows_the_events_of_the_old_one(tmp_path: Path) -> None:
    first = Journal(tmp_path / "journal")
    first.accept("r1")
    first.add(RunStarted(node_id="n", run_id="r1", at=AT))
    first.close()
    again = Journal(tmp_path / "journal")
    assert again.knows("r1")
    assert again.unfinished() == ["r1"]
    assert [entry.event() for entry in await take(again, 0, 1)] == [RunStarted(node_id="n", run_id="r1", at=AT)]


async def test_a_torn_last_line_is_cut_off_and_writing_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    first = Journal(path)
    first.add(changed(NodeState.IDLE))
    first.close()
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:20])
    again = Journal(path)
    again.add(RunEnded(node_id="n", run_id="r", at=AT))
    again.close()
    assert [entry.kind for entry in await take(Journal(path), 0, 2)] == ["NodeChanged", "RunEnded"]


async def test_readers_get_events_written_while_they_wait(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    reading = asyncio.create_task(take(journal, 0, 2))
    journal.add(changed(NodeState.STARTING))
    await asyncio.sleep(0)
    journal.add(changed(NodeState.IDLE))
    assert [entry.seq for entry in await asyncio.wait_for(reading, 5)] == [1, 2]


async def test_a_replay_tells_only_the_last_of_the_past_node_states(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.add(changed(NodeState.STARTING))
    journal.add(RunEnded(node_id="n", run_id="r", at=AT))
    journal.add(changed(NodeState.IDLE))
    assert [entry.kind for entry in await take(journal, 0, 2)] == ["RunEnded", "NodeChanged"]


async def test_reading_after_a_number_leaves_out_what_was_seen(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for run_id in ("a", "b", "c"):
        journal.add(RunEnded(node_id="n", run_id=run_id, at=AT))
    assert [entry.run_id for entry in await take(journal, 2, 1)] == ["c"]


async def test_an_ended_run_is_not_unfinished_but_known(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.accept("r")
    journal.add(RunEnded(node_id="n", run_id="r", at=AT))
    assert journal.unfinished() == []
    assert journal.knows("r")
