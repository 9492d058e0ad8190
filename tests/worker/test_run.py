"""`run` and its neighbours with the real driver against the stand-in: every promise of the loop, one test each."""

from __future__ import annotations

import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from local.azure.platform.faults import Rule
from local.azure.sql.faults import sql_fault
from local.azure.sql.provision import provision
from testbeds.worker_steps import GOOD as GOOD_MISBEHAVIOUR
from testbeds.worker_steps import MISBEHAVIOUR
from testbeds.worker_world import DATABASE, HANDLERS, World

pytestmark = pytest.mark.thorough

HANDLE = ("--handler", f"{HANDLERS}:handle")
BUSY_TEXT = "The service has encountered an error processing your request. Please try again. Error code 9002."
RUN = ("run", "--queue", "q", "--until-empty", "--retry-delay", "0", *HANDLE)


def steps(world: World) -> list[tuple[str, int]]:
    return sorted((str(item), int(step)) for item, step in world.rows("SELECT item, step FROM dbo.steps_done"))


def items(world: World) -> dict[str, tuple[str, int, int]]:
    found = world.rows("SELECT item_key, status, step, attempts FROM dbo.work_items ORDER BY id")
    return {key: (status, step, attempts) for key, status, step, attempts in found}


def wait_for_file(file: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not file.exists():
        assert time.monotonic() < deadline, f"{file.name} did not appear"
        time.sleep(0.02)


def test_every_step_of_every_item_is_done_once(world: World) -> None:
    world.enqueue("q", [{"name": "a", "steps": 3}, {"name": "b"}])
    worker = world.run(*RUN)
    assert steps(world) == [("a", 0), ("a", 1), ("a", 2), ("b", 0)]
    assert items(world) == {"a": ("done", 3, 1), "b": ("done", 1, 1)}
    assert worker.events("ended")[0]["done"] == 2
    claimed = worker.events("claimed")[0]
    assert (claimed["job"], claimed["task"], claimed["node"]) == ("job-1", "task-1", "node-1")
    assert (claimed["item"], claimed["step"], claimed["attempt"]) == ("a", 0, 1)
    assert "eyJ" not in worker.text  # how every token begins


def test_dead_letters_of_other_queues_do_not_hide_those_of_the_queue_that_is_asked_for(world: World) -> None:
    world.enqueue("q", [{"name": "ours"}])
    world.enqueue("other", [{"name": f"theirs-{number}"} for number in range(51)])
    world.rows("UPDATE dbo.work_items SET status = 'dead', error = 'x'")
    assert [one["item"] for one in world.run("status", "--queue", "q").events("dead_letter")] == ["ours"]
    assert len(world.run("status").events("dead_letter")) == 50


def test_adding_the_same_file_again_adds_nothing(world: World, tmp_path: Path) -> None:
    file = tmp_path / "items.csv"
    file.write_text("name,steps\na,1\nb,1\n")
    assert world.run("enqueue", "--queue", "q", str(file)).events("enqueued")[0]["added"] == 2
    file.write_text("name,steps\na,1\nb,1\nc,1\n")
    again = world.run("enqueue", "--queue", "q", str(file)).events("enqueued")[0]
    assert (again["read"], again["added"]) == (3, 1)


def test_migrating_again_changes_nothing_and_running_without_tables_is_78(world: World) -> None:
    assert not world.run("migrate").events("migrated")
    world.rows("DROP TABLE dbo.docker_worker_schema")
    worker = world.run(*RUN, expect=78)
    assert "run `migrate` once" in worker.text


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_step_and_gives_the_item_back(world: World, number: signal.Signals, code: int) -> None:
    world.enqueue("q", [{"name": "a", "steps": 60, "seconds": 0.2}])
    worker = world.start(*RUN)
    worker.wait_for("claimed")
    worker.signal(number)
    assert worker.end() == code
    [given_back] = worker.events("given_back")
    status, step, _ = items(world)["a"]
    assert (status, step) == ("pending", given_back["step"])
    assert steps(world) == [("a", done) for done in range(step)]
    assert f"stopped by {number.name}" in worker.text


def test_a_second_signal_stops_at_once_and_the_step_is_undone(world: World, tmp_path: Path) -> None:
    world.enqueue("q", [{"name": "a", "seconds": 120, "writes_first": True, "mark": str(tmp_path / "mark")}])
    worker = world.start(*RUN, "--grace", "100")
    wait_for_file(tmp_path / "mark")
    worker.signal(signal.SIGTERM)
    deadline = time.monotonic() + 30
    while worker.process.poll() is None and time.monotonic() < deadline:
        worker.signal(signal.SIGTERM)
        time.sleep(0.05)
    assert worker.end() == 143
    assert "a second signal" in worker.text
    assert steps(world) == []


def test_a_step_longer_than_the_grace_is_left_behind(world: World, tmp_path: Path) -> None:
    world.enqueue("q", [{"name": "a", "seconds": 120, "writes_first": True, "mark": str(tmp_path / "mark")}])
    worker = world.start(*RUN, "--grace", "2")
    wait_for_file(tmp_path / "mark")
    worker.signal(signal.SIGTERM)
    assert worker.end(30) == 143
    assert "did not end within 2 s" in worker.text
    assert steps(world) == []


def test_the_nodes_notice_is_a_stop_signal(world: World) -> None:
    world.enqueue("q", [{"name": "a", "steps": 600, "seconds": 0.2}])
    world.imds.events = [{"EventType": "Preempt", "Resources": ["node_8"]}]
    worker = world.start(*RUN)
    worker.wait_for("claimed")
    while "/metadata/scheduledevents" not in world.imds.asked:
        time.sleep(0.05)
    assert worker.process.poll() is None  # it was another machine's
    world.imds.events = [{"EventType": "Preempt", "Resources": ["node_7", "node_8"]}]
    assert worker.end() == 143
    assert worker.events("node_goes_away")[0]["kind"] == "Preempt"
    assert items(world)["a"][0] == "pending"


def test_a_killed_workers_item_is_resumed_where_it_was(world: World) -> None:
    world.enqueue("q", [{"name": "a", "steps": 12, "seconds": 0.2}])
    worker = world.start(*RUN, "--lease", "2")
    worker.wait_for("claimed")
    while len(steps(world)) < 2:
        time.sleep(0.05)
    worker.signal(signal.SIGKILL)
    assert worker.end() == -signal.SIGKILL
    assert items(world)["a"][0] == "running"
    second = world.run(*RUN, "--lease", "2")
    assert second.events("claimed")[0]["step"] >= 2
    assert steps(world) == [("a", step) for step in range(12)]
    assert items(world)["a"] == ("done", 12, 2)


def test_a_lost_lease_rolls_the_step_back(world: World) -> None:
    world.enqueue("q", [{"name": "a", "seconds": 4}])
    slow = world.start(*RUN, "--lease", "1")
    slow.wait_for("claimed")
    fast = world.run(*RUN, "--lease", "60")
    assert slow.end() == 0
    assert [worker.events("ended")[0]["done"] for worker in (slow, fast)] == [0, 1]
    assert slow.events("lease_lost")
    assert steps(world) == [("a", 0)]


def test_a_poison_item_becomes_a_dead_letter_and_can_be_requeued(world: World) -> None:
    world.enqueue("q", [{"name": "bad", "steps": 3, "fails_at": 1}, {"name": "good"}])
    worker = world.run(*RUN, "--max-attempts", "3")
    assert len(worker.events("failed")) == 2
    [letter] = worker.events("dead_letter")
    assert letter["error"] == "ValueError: bad is poison"
    assert items(world) == {"bad": ("dead", 1, 3), "good": ("done", 1, 1)}
    assert steps(world) == [("bad", 0), ("good", 0)]
    status = world.run("status", "--queue", "q")
    [queue] = status.events("queue")
    assert (queue["dead"], queue["done"], queue["pending"], queue["running"]) == (1, 1, 0, 0)
    assert status.events("dead_letter")[0]["error"] == "ValueError: bad is poison"
    assert world.run("requeue", "--queue", "q").events("requeued")[0]["items"] == 1
    assert items(world)["bad"][:2] == ("pending", 1)


def test_an_item_that_kills_its_workers_becomes_a_dead_letter(world: World) -> None:
    world.enqueue("q", [{"name": "a", "dies_at": 0}])
    for _ in range(2):
        world.run(*RUN, "--lease", "1", expect=9)
    worker = world.run(*RUN, "--max-attempts", "2")
    assert "lease expired 2 times" in worker.events("dead_letter")[0]["error"]
    assert steps(world) == []


@pytest.mark.parametrize(
    ("function", "said"),
    [("bad_statement", "no_such_table"), ("wrong_answer", "return MORE, DONE or nothing")],
)
def test_a_handlers_mistakes_are_its_items_failures(world: World, function: str, said: str) -> None:
    world.enqueue("q", [{"name": "a"}])
    words = ("run", "--queue", "q", "--until-empty", "--max-attempts", "1", "--handler", f"{HANDLERS}:{function}")
    assert said in world.run(*words).events("dead_letter")[0]["error"]


@pytest.mark.parametrize(
    "fault",
    [
        sql_fault("deadlock", match="steps_done"),
        sql_fault("failover", match="steps_done"),
        sql_fault("failover", match="COMMIT", times=3),
        sql_fault("cut", match="steps_done"),
        sql_fault("cut-before-commit", times=4),
    ],
    ids=lambda fault: f"{fault.kind} {fault.match}",
)
def test_transient_errors_are_tried_again(world: World, fault: Rule) -> None:
    world.enqueue("q", [{"name": "a", "steps": 3}])
    number = world.faults.set(fault)
    worker = world.run(*RUN)
    assert world.faults.state()[number]["fired"] == fault.times
    assert len(worker.events("retry")) == fault.times
    assert steps(world) == [("a", 0), ("a", 1), ("a", 2)]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("kind", ["deadlock", "cut"])
def test_a_handler_cannot_keep_half_of_an_undone_step(world: World, kind: str, fails: bool) -> None:
    """The server undid the transaction, and the handler passes over that: the step is tried again, not committed."""
    world.enqueue("q", [{"name": "a", "fails": fails}])
    number = world.faults.set(sql_fault(kind, match="steps_done"))
    words = ("run", "--queue", "q", "--until-empty", "--max-attempts", "1")
    worker = world.run(*words, "--handler", f"{HANDLERS}:passes_over_errors")
    assert world.faults.state()[number]["fired"] == 1
    [retry] = worker.events("retry")
    assert (retry["item"], retry["step"], retry["attempt"]) == ("a", 0, 1)
    assert steps(world) == [("a", 0), ("a", 1)]
    assert items(world)["a"] == ("done", 1, 1)


def test_a_commit_whose_answer_is_lost_is_not_repeated(world: World) -> None:
    """The worst moment: the server commits, and the connection goes before the answer."""
    world.enqueue("q", [{"name": "a", "steps": 3}])
    number = world.faults.set(sql_fault("cut-after-commit", times=5))
    worker = world.run(*RUN)
    assert world.faults.state()[number]["fired"] == 5
    assert len(worker.events("retry")) == 5
    assert steps(world) == [("a", 0), ("a", 1), ("a", 2)]
    assert items(world)["a"] == ("done", 3, 1)


def test_a_dead_database_is_75_after_the_patience(world: World) -> None:
    world.enqueue("q", [{"name": "a", "steps": 100, "seconds": 0.1}])
    worker = world.start(*RUN, "--patience", "2")
    worker.wait_for("claimed")
    world.cut()
    assert worker.end() == 75
    assert "does not answer" in worker.text
    assert worker.events("not_given_back")


def test_a_signal_is_obeyed_while_the_database_is_away(world: World) -> None:
    world.enqueue("q", [{"name": "a", "steps": 100, "seconds": 0.1}])
    worker = world.start(*RUN, "--patience", "600", "--grace", "3")
    worker.wait_for("claimed")
    world.cut()
    worker.wait_for("retry")
    worker.signal(signal.SIGTERM)
    assert worker.end(30) == 143


def test_a_statement_that_is_always_too_slow_is_bounded_and_its_items_failure(world: World) -> None:
    world.enqueue("q", [{"name": "a", "seconds": 30}])
    words = ("run", "--queue", "q", "--until-empty", "--handler", f"{HANDLERS}:slow_query", "--grace", "2")
    worker = world.run(*words, "--patience", "1", "--max-attempts", "1")
    assert "timeout" in worker.events("dead_letter")[0]["error"].lower()
    assert steps(world) == []
    assert items(world)["a"][0] == "dead"


REASONS = {
    "commit": "committed its step's transaction",
    "commit twice": "committed its step's transaction",
    "commit all": "ended its step's transaction",
    "rollback": "ended its step's transaction",
    "begin": "left open a transaction",
    "use": "(USE)",
    "isolation": "SERIALIZABLE",
    "close": "closed the connection",
    "text": r"half \ud800, NUL \u0000, ESC \u001b[2J",
    "unprintable": "whose text cannot be made",
    "cancelled": "CancelledError",
    "interrupt": "KeyboardInterrupt",
    "generator": "GeneratorExit",
    "exit": "SystemExit: done here",
    "nan": "not JSON compliant",
    "surrogate": "",
    "words": "50013: deadlock: login failed",
    "column": "207: Invalid column name 'acquired_at'",
    "denied": "",
}
"""What a misbehaving handler's dead letter says."""


def test_a_handler_that_misbehaves_fails_its_item_and_nothing_else(world: World) -> None:
    """One worker meets all of it, with good items between: it stays, each bad item is told with its reason, and nothing
    that was written is there twice, or without its item being done."""
    assert world.databases is not None
    user = "CREATE USER [id-node] FROM EXTERNAL PROVIDER; ALTER ROLE db_datareader ADD MEMBER [id-node]"
    provision(world.cloud.paths, "other", user, world.databases)  # so that USE is possible
    good = [f"good {number}" for number in range(len(MISBEHAVIOUR))]
    rows = [
        row for how, name in zip(MISBEHAVIOUR, good, strict=True) for row in ({"name": how, "how": how}, {"name": name})
    ]
    world.enqueue("q", rows)
    words = ("--max-attempts", "2", "--lease", "100", "--patience", "30", "--handler", f"{HANDLERS}:misbehave")
    world.run("run", "--queue", "q", "--until-empty", "--retry-delay", "0", *words)
    letters = {
        key: (status, error) for key, status, error in world.rows("SELECT item_key, status, error FROM dbo.work_items")
    }
    bad = {how for how in MISBEHAVIOUR if letters[how][0] != "done"}
    assert bad == set(MISBEHAVIOUR) - GOOD_MISBEHAVIOUR, letters
    for how in bad:
        assert REASONS[how].lower() in str(letters[how][1]).lower(), (how, letters[how])
    assert {letters[name][0] for name in good} == {"done"}
    kept = Counter(item for item, _ in steps(world))
    # ended by itself, the handler's transaction is out of our hands: what was kept is kept once, and never done again
    assert kept == Counter([*good, *(set(MISBEHAVIOUR) - bad), "commit all"])


def test_what_a_handler_committed_before_its_worker_died_is_never_done_again(world: World) -> None:
    """A mark was in the transaction: whoever takes the item finds it, and a requeue makes a new beginning."""
    world.enqueue("q", [{"name": "a"}])
    words = ("run", "--queue", "q", "--until-empty", "--lease", "1", "--handler", f"{HANDLERS}:commits_and_dies")
    world.run(*words, expect=9)
    assert items(world)["a"][0] == "running"
    [letter] = world.run(*RUN, "--lease", "1").events("dead_letter")
    assert "in an earlier try, and what that had written is kept" in letter["error"]
    assert steps(world) == [("a", 0)]
    assert items(world)["a"][:2] == ("dead", 0)
    world.run("requeue", "--queue", "q")
    world.run(*RUN)
    assert items(world)["a"][:2] == ("done", 1)


def test_a_row_of_another_tool_is_a_dead_letter_and_the_queue_goes_on(world: World) -> None:
    world.enqueue("q", [{"name": name} for name in ("text", "list", "deep", "good")])
    for name, data in (("text", "not JSON"), ("list", "[1, 2]"), ("deep", "[" * 100_000)):
        world.rows("UPDATE dbo.work_items SET data = %s WHERE item_key = %s", data, name)
    worker = world.run(*RUN)
    assert {name: item[0] for name, item in items(world).items()} == dict.fromkeys(("text", "list", "deep"), "dead") | {
        "good": "done"
    }
    assert ["JSON" in letter["error"] for letter in worker.events("dead_letter")] == [True] * 3


def test_an_item_whose_step_never_passes_does_not_hold_up_the_queue(world: World) -> None:
    """Its error is one that passes, and never does; everybody else's statements are answered."""
    world.enqueue("q", [{"name": "a"}, {"name": "b"}])
    world.faults.set(sql_fault("deadlock", match="steps_done", times=0))
    worker = world.run(*RUN, "--patience", "0.5", "--max-attempts", "2")
    assert {name: item[0] for name, item in items(world).items()} == {"a": "dead", "b": "dead"}
    assert "rolled our transaction back" in worker.events("dead_letter")[0]["error"]


@pytest.mark.parametrize(
    "fault",
    [
        sql_fault("error", match="steps_done", number=49919, message="busy, in words that nobody knows"),
        sql_fault("error", match="COMMIT", number=40197, message=BUSY_TEXT),
        sql_fault(
            "error",
            number=976,
            message="The target database, 'worklist', is participating in an availability group "
            "and is currently not accessible for queries.",
            times=2,
        ),
    ],
    ids=lambda fault: str(fault.number),
)
def test_microsofts_transient_numbers_are_tried_again(world: World, fault: Rule) -> None:
    world.enqueue("q", [{"name": "a", "steps": 2}])
    number = world.faults.set(fault)
    worker = world.run(*RUN)
    assert world.faults.state()[number]["fired"] == fault.times == len(worker.events("retry"))
    assert steps(world) == [("a", 0), ("a", 1)]


def test_a_commit_that_takes_longer_than_our_wait_is_settled_by_the_database(world: World) -> None:
    """It takes effect after we gave it up: the look waits for it, and the step is not done again."""
    world.enqueue("q", [{"name": "a", "steps": 2}])
    number = world.faults.set(sql_fault("slow-commit", match="COMMIT", seconds=6))
    began = time.monotonic()
    worker = world.run(*RUN, "--grace", "2")
    assert world.faults.state()[number]["fired"] == 1
    assert "a commit" in worker.events("retry")[0]["error"]
    assert time.monotonic() - began < 40
    assert steps(world) == [("a", 0), ("a", 1)]
    assert items(world)["a"][:2] == ("done", 2)


@pytest.mark.parametrize("match", ["steps_done", DATABASE])
def test_a_server_that_says_nothing_at_all_is_given_up_in_time(world: World, match: str) -> None:
    """It does not even answer a cancellation; at a login as in a statement."""
    world.enqueue("q", [{"name": "a"}])
    number = world.faults.set(sql_fault("mute", match=match, seconds=30))
    began = time.monotonic()
    worker = world.run(*RUN, "--grace", "2", "--patience", "20")
    assert time.monotonic() - began < 28
    assert world.faults.state()[number]["fired"] == 1
    assert worker.events("retry")
    assert steps(world) == [("a", 0)]


def test_an_error_that_passes_after_a_step_longer_than_the_patience_is_tried_again(world: World) -> None:
    world.enqueue("q", [{"name": "a", "seconds": 2}])
    world.faults.set(sql_fault("deadlock", match="steps_done"))
    worker = world.run(*RUN, "--patience", "1")
    assert len(worker.events("retry")) == 1
    assert items(world)["a"] == ("done", 1, 1)


def test_keys_that_the_servers_collation_takes_for_one_are_items_each(world: World, tmp_path: Path) -> None:
    keys = ["A1", "a1", "a1 ", "ä1", "Ä1", "strasse", "straße", "\uff21\uff11", "\u30ab", "\uff76"]
    (tmp_path / "keys.csv").write_text("id,v\n" + "".join(f"{key},1\n" for key in keys))
    added = world.run("enqueue", "--queue", "q", "--key", "id", str(tmp_path / "keys.csv")).events("enqueued")[0]
    assert (added["read"], added["added"]) == (len(keys), len(keys))
    again = world.run("enqueue", "--queue", "q", "--key", "id", str(tmp_path / "keys.csv")).events("enqueued")[0]
    assert (again["read"], again["added"], again["there"], again["different"]) == (len(keys), 0, len(keys), 0)
    other = world.run("enqueue", "--queue", "Q", "--key", "id", str(tmp_path / "keys.csv")).events("enqueued")[0]
    assert other["added"] == len(keys)  # another queue, too
    assert world.run("requeue", "--queue", "q", "--key", "A1").events("requeued")[0]["items"] == 0


def test_a_row_that_an_item_of_its_key_keeps_out_is_told(world: World, tmp_path: Path) -> None:
    (tmp_path / "keys.csv").write_text("id,v\na,1\nb,2\na,3\n")
    worker = world.run("enqueue", "--queue", "q", "--key", "id", str(tmp_path / "keys.csv"))
    [kept] = worker.events("kept")
    assert (kept["line"], kept["item"]) == (4, "a")
    facts = worker.events("enqueued")[0]
    assert (facts["read"], facts["added"], facts["there"], facts["different"]) == (3, 2, 1, 1)


def test_rows_before_a_wrong_line_are_added_and_counted(world: World, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"n": 1.10}\n{"n": 2}\n{"n": NaN}\n')
    worker = world.run("enqueue", "--queue", "q", str(tmp_path / "rows.jsonl"), expect=65)
    assert "line 3, is wrong" in worker.text
    assert worker.events("enqueued")[0]["added"] == 2
    assert world.rows("SELECT data FROM dbo.work_items ORDER BY id") == [('{"n": 1.10}',), ('{"n": 2}',)]


def test_an_enqueue_whose_commit_was_not_answered_counts_its_rows_once(world: World, tmp_path: Path) -> None:
    (tmp_path / "keys.csv").write_text("id\na\nb\n")
    world.faults.set(sql_fault("cut-after-commit"))
    facts = world.run("enqueue", "--queue", "q", "--key", "id", str(tmp_path / "keys.csv")).events("enqueued")[0]
    assert (facts["read"], facts["added"], facts["there"]) == (2, 2, 0)


FIRST_VERSION = (
    "DROP TABLE dbo.work_items",
    "DROP TABLE dbo.work_open_steps",
    "DELETE FROM dbo.docker_worker_schema WHERE component = 'docker_worker' AND version > 1",
    "CREATE TABLE dbo.work_items (id BIGINT IDENTITY(1,1) NOT NULL PRIMARY KEY, queue NVARCHAR(64) NOT NULL, "
    "item_key NVARCHAR(200) NOT NULL, data NVARCHAR(MAX) NOT NULL, status NVARCHAR(10) NOT NULL, step INT NOT NULL, "
    "attempts INT NOT NULL, failures INT NOT NULL, available_at BIGINT NOT NULL, owner NVARCHAR(300) NULL, "
    "error NVARCHAR(2000) NULL, changed_at BIGINT NOT NULL, CONSTRAINT uq_work_items_key UNIQUE (queue, item_key))",
    "CREATE INDEX ix_work_items_open ON dbo.work_items (queue, id) WHERE status IN ('pending', 'running')",
    "INSERT INTO dbo.work_items (queue, item_key, data, status, step, attempts, failures, available_at, changed_at) "
    """VALUES ('q', 'a', '{"name": "a"}', 'pending', 0, 0, 0, 0, 0)""",
)
"""Back to the tables as `migrate` made them before keys were exact."""


def test_tables_of_the_first_version_are_brought_to_exact_keys(world: World, tmp_path: Path) -> None:
    for statement in FIRST_VERSION:
        world.rows(statement)
    assert [event["version"] for event in world.run("migrate").events("migrated")] == [2, 3]
    (tmp_path / "rows.jsonl").write_text('{"name": "a"}\n{"name": "A"}\n')
    world.run("enqueue", "--queue", "q", "--key", "name", str(tmp_path / "rows.jsonl"))
    world.run(*RUN)
    assert {name: item[0] for name, item in items(world).items()} == {"a": "done", "A": "done"}


def test_max_items_ends_a_run(world: World) -> None:
    world.enqueue("q", [{"name": "a"}, {"name": "b"}])
    world.run("run", "--queue", "q", "--max-items", "1", *HANDLE)
    assert [status for status, *_ in items(world).values()] == ["done", "pending"]


def test_a_missing_token_is_75_and_an_unknown_identity_77(world: World) -> None:
    world.imds.away = True
    assert "no token" in world.run("status", "--patience", "0", expect=75).text
    world.imds.away = False
    world.rows("DROP USER [id-node]")
    assert "refused identity" in world.run("status", expect=77).text


def test_the_examples_do_what_they_say(world: World, tmp_path: Path) -> None:
    (tmp_path / "ranges.csv").write_text("low,high\n0,100000\n")
    world.run("enqueue", "--queue", "primes", str(tmp_path / "ranges.csv"))
    world.run("run", "--queue", "primes", "--until-empty", "--handler", "docker_worker.examples.primes:handle")
    results = world.rows("SELECT result FROM dbo.work_results ORDER BY step")
    assert ['"primes": 5133' in results[0][0], '"primes": 4459' in results[1][0]] == [True, True]

    (tmp_path / "readings.csv").write_text("sensor,value\n" + "".join(f"s{n},{n / 2}\n" for n in range(450)))
    (tmp_path / "files.jsonl").write_text('{"file": "readings.csv"}\n')
    load = "docker_worker.examples.load:handle"
    world.run("migrate", "--handler", load)
    world.run("enqueue", "--queue", "load", "--key", "file", str(tmp_path / "files.jsonl"))
    world.run("run", "--queue", "load", "--until-empty", WORKER_HANDLER=load, AZ_BATCH_TASK_WORKING_DIR=str(tmp_path))
    assert world.rows("SELECT COUNT(*), SUM(value) FROM dbo.sensor_readings") == [(450, 449 * 450 / 4)]
