"""Starting and stopping in the background: once, also when two do it at the same time."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable

import pytest

from local.errors import LocalError
from local.paths import Paths
from local.processes import background, running
from local.processes.running import BUSY, READY, status_file, supervisor_pid

Hold = Callable[..., subprocess.Popen[str]]


def no_launch(_paths: Paths) -> str:
    pytest.fail("a second supervisor was started")


def test_nothing_runs_in_a_new_home(paths: Paths) -> None:
    assert supervisor_pid(paths) is None
    assert background.status(paths) == {}
    assert background.stop(paths) is False


def test_one_that_runs_is_left_alone(paths: Paths, hold_lock: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = hold_lock()
    status_file(paths).write_text(f'{{"supervisor": {holder.pid}, "azure": 1}}')
    monkeypatch.setattr(background, "_launch", no_launch)
    assert background.start(paths) is False
    assert background.status(paths) == {"supervisor": holder.pid, "azure": 1}


def test_one_that_is_still_starting_is_waited_for(
    paths: Paths, hold_lock: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = hold_lock()
    monkeypatch.setattr(background, "_launch", no_launch)
    requested = threading.Event()

    def pid(paths: Paths) -> int | None:
        requested.set()
        return supervisor_pid(paths)

    monkeypatch.setattr(background, "supervisor_pid", pid)

    def become_ready() -> None:
        assert requested.wait(20)
        status_file(paths).write_text(f'{{"supervisor": {holder.pid}}}')

    other = threading.Thread(target=become_ready)
    other.start()
    assert background.start(paths) is False
    other.join()


def test_the_loser_of_a_race_waits_for_the_winner(
    paths: Paths, hold_lock: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(paths: Paths) -> str:
        status_file(paths).write_text(f'{{"supervisor": {hold_lock().pid}}}')
        return BUSY

    monkeypatch.setattr(background, "_launch", lose)
    assert background.start(paths) is False


def test_a_start_that_fails_says_why_and_where_the_logs_are(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_launch", lambda _paths: "port 1 is taken")
    with pytest.raises(LocalError, match=rf"port 1 is taken\n.*{paths.log}\n.*python -m local start"):
        background.start(paths)
    monkeypatch.setattr(background, "_launch", lambda _paths: READY)
    assert background.start(paths) is True


def test_one_that_never_becomes_ready_is_given_up(
    paths: Paths, hold_lock: Hold, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold_lock()
    monkeypatch.setattr(background, "START_SECONDS", 0.0)
    with pytest.raises(LocalError, match="was not ready within 0 s"):
        background.start(paths)


def test_stop_returns_when_it_is_gone(paths: Paths, hold_lock: Hold) -> None:
    holder = hold_lock()
    assert background.stop(paths) is True
    assert holder.wait(20) == -15
    assert supervisor_pid(paths) is None


@pytest.mark.parametrize("text", ["", "0", "nonsense"])
def test_a_lock_without_a_process_id_never_becomes_a_signal_to_ourselves(
    paths: Paths, hold_lock: Hold, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    hold_lock(text)
    monkeypatch.setattr(running, "PID_SECONDS", 0.0)
    with pytest.raises(LocalError, match="does not say which"):
        background.stop(paths)


def test_the_supervisor_says_what_is_damaged_and_a_second_one_is_told_of_the_first(
    paths: Paths, hold_lock: Hold
) -> None:
    paths.database.write_bytes(b"this is no database" * 100)
    with pytest.raises(LocalError, match=r"azure\.db: file is not a database.*reset --yes"):
        background.start(paths)
    assert supervisor_pid(paths) is None
    hold_lock()
    assert background._launch(paths) == BUSY
