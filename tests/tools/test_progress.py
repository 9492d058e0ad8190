"""What a person sees while the set-up works: on a terminal one line that is rewritten, in a log a line now and then."""

from __future__ import annotations

import io
import threading

import pytest

from tools.setup import progress
from tools.setup.progress import Display, one_line, through, time_left


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def screen(written: str) -> list[str]:
    """The lines that a terminal shows after `written`: a carriage return with "erase" empties a line."""
    return [line.rsplit("\r\x1b[K", 1)[-1] for line in written.split("\n")]


def test_on_a_terminal_the_states_share_the_last_line_and_what_is_said_stays_above_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    out, clock = Terminal(), Clock()
    display = Display(out, clock=clock)
    display.show("Azurite", "")
    display.show("CLI", "1 of 9 packages")
    clock.now += 62
    display.refresh()
    assert screen(out.getvalue()) == ["    [1:02] Azurite | CLI: 1 of 9 packages"]
    display.say("Azurite: ready")
    display.done("Azurite")
    display.show("CLI", "2 of 9 packages, and a text that is longer than this terminal")
    display.refresh()
    above, below = screen(out.getvalue())
    assert above == "    Azurite: ready"
    assert below.startswith("    [1:02] CLI: 2 of 9 packages") and below.endswith("…") and len(below) < 60
    display.done("CLI")
    display.refresh()
    assert screen(out.getvalue()) == ["    Azurite: ready", ""]


@pytest.mark.parametrize("out", [io.StringIO, Terminal])
def test_in_a_log_and_on_a_dumb_terminal_a_line_comes_only_after_five_quiet_seconds(
    monkeypatch: pytest.MonkeyPatch, out: type[io.StringIO]
) -> None:
    monkeypatch.setenv("TERM", "dumb" if out is Terminal else "xterm")
    written, clock = out(), Clock()
    display = Display(written, clock=clock)
    display.show("CLI", "1 of 9 packages")
    for _ in range(49):
        clock.now += 0.1
        display.refresh()
    assert written.getvalue() == ""
    clock.now += 0.2
    display.refresh()
    display.refresh()
    assert written.getvalue() == "    [0:05] CLI: 1 of 9 packages\n"
    clock.now += 4
    display.say("Azurite: ready")
    clock.now += 4
    display.refresh()
    assert written.getvalue().count("\n") == 2
    clock.now += 1
    display.refresh()
    assert written.getvalue().endswith("    [0:14] CLI: 1 of 9 packages\n")


def test_the_line_is_cleared_when_the_work_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()
    with Display(out) as display:
        display.show("CLI", "linking")
        display.refresh()
    assert screen(out.getvalue()) == [""]


@pytest.mark.parametrize(
    ("done", "total", "seconds", "left"),
    [
        (0, 100, 60, ""),
        (10, 100, 4, ""),  # too early to tell
        (0.5, 100, 60, ""),
        (50, 100, 120, "about 2 min left"),
        (10, 100, 60, "about 9 min left"),
        (80, 100, 200, "about 50 s left"),
        (100, 100, 200, "about 10 s left"),
    ],
)
def test_time_left_goes_by_what_was_done(done: float, total: float, seconds: float, left: str) -> None:
    assert time_left(done, total, seconds) == left


def test_a_caller_without_a_display_gets_the_newest_state_every_few_seconds() -> None:
    clock, said = Clock(), []
    show = through(said.append, clock=clock)
    for number in range(12):
        show(f"{number} of 12")
        clock.now += 1
    assert said == ["5 of 12", "10 of 12"]


def test_a_long_block_tells_for_how_long_it_has_been_at_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.01)
    said: list[str] = []
    heard = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        heard.set()

    with progress.elapsing(say, "bootstrapping"):
        assert heard.wait(10)
    count = len(said)
    assert said[0] == "bootstrapping: 0 s so far"
    assert len(said) == count


def test_a_line_of_states_names_what_has_nothing_to_count() -> None:
    assert one_line({"Azurite": "", "CLI": "linking"}, 3725) == "[62:05] Azurite | CLI: linking"
