"""What people see on a terminal: tables, bars, colours, live pictures, and how numbers and commands are worded."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from jobs import durations
from jobs.service.batch import Counts, JobState
from jobs.state.progress import Look
from jobs.terminal import drawing, wording
from jobs.terminal.drawing import Cell, Heading
from jobs.terminal.render import Render
from jobs.terminal.screen import Screen

HEADINGS = [Heading(text="task", keep=True), Heading(text="node", most=8), Heading(text="why", free=True)]
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def a_terminal_with_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize(
    "text", ["plain words of some length that do not fit on one line", "日本語のとても長い説明文です" * 3, "👩‍🔬 " * 20]
)
def test_no_line_of_a_table_is_wider_than_the_terminal(width: int, text: str) -> None:
    rows = [(Cell("task-1"), Cell("tvmps_0123456789_d"), Cell(text))]
    lines = drawing.table(HEADINGS, rows, width=width, colours=False)
    assert max(cell_len(line) for line in lines) <= width
    assert lines[1].split()[0] == "task-1"
    assert "tvmps_0…" in lines[1]


def test_what_is_folded_is_all_there() -> None:
    words = [f"word{number}" for number in range(30)]
    lines = drawing.table(HEADINGS, [(Cell("t"), Cell("n"), Cell(" ".join(words)))], width=50, colours=False)
    assert [word for line in lines for word in re.findall(r"word\d+", line)] == words


def test_an_id_stays_whole_while_another_column_can_be_folded() -> None:
    headings = [Heading(text="node", keep=True), Heading(text="state"), Heading(text="since", short=True)]
    node = "tvmps_6e0d0eb1e651171d_p"
    rows = [[Cell(node), Cell("waitingforstarttask (takes no tasks, spot)"), Cell("43 min")]]
    lines = drawing.table(headings, rows, width=60, colours=False)
    assert lines[1].startswith(f"{node}  waitingforstarttask")
    assert all(cell_len(line) <= 60 for line in lines)


def test_columns_line_up_under_wide_characters_in_a_file_too() -> None:
    lines = list(drawing.plain_table(("id", "x"), [("日本", "1"), ("a", "2")]))
    assert [cell_len(line[: line.rindex(character)]) for line, character in zip(lines, "x12", strict=True)] == [6, 6, 6]


def test_markup_and_control_characters_in_cells_are_shown_and_not_obeyed() -> None:
    cell = "[red]x[/red] [link=https://x]y[/link] :smile: \x1b[2J\u202e"
    (_, shown) = drawing.table([Heading(text="id")], [[Cell(cell)]], width=200, colours=True)
    assert ESCAPES.sub("", shown) == r"[red]x[/red] [link=https://x]y[/link] :smile: \x1b[2J\u202e"


@pytest.mark.parametrize(
    ("environment", "colours", "live"),
    [
        ({}, True, True),
        ({"NO_COLOR": "1"}, False, True),
        ({"NO_COLOR": ""}, True, True),
        ({"TERM": "dumb"}, False, False),
    ],
)
def test_colours_and_redrawing_obey_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], colours: bool, live: bool
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    out = Terminal()
    render = Render(out=out, err=Terminal())
    assert (render.colours, render.live_colours, render.live) == (colours, colours, live)
    render.table(("state",), [("failed",)])
    assert ("\x1b" in out.getvalue()) is colours


def test_a_bar_has_a_cell_for_everything_there_is_and_ascii_where_that_is_all() -> None:
    (line,) = drawing.lines(drawing.bar(100_000, 1, 1, 1, 30), width=30, colours=False)
    assert line == "█" * 28 + "▒·"
    (coloured,) = drawing.lines(drawing.bar(100_000, 1, 1, 1, 30), width=30, colours=True)
    assert re.search(r"\x1b\[31m█\x1b\[0m\x1b\[34m▒", coloured)
    (plain,) = drawing.lines(drawing.bar(1, 1, 1, 1, 8, unicode=False), width=8, colours=False)
    assert plain == "##xx==.." or len(plain) == 8
    assert set(plain) == set("#x=.")


def test_a_picture_is_drawn_over_the_last_one_and_anew_after_a_resize(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Terminal()
    with Screen(Render(out=Terminal(), err=err)) as screen:
        screen.draw(lambda wide, high: ["one", f"{wide}x{high}"])
        screen.draw(lambda wide, high: ["two"])
        assert "one\n79x23\n\x1b[2F\x1b[Jtwo\n" in err.getvalue()
        monkeypatch.setenv("COLUMNS", "30")
        screen.draw(lambda wide, high: ["three", f"{wide}x{high}"])
        assert err.getvalue().endswith("\x1b[2J\x1b[H\x1b[Jthree\n29x23\n")
        monkeypatch.setenv("LINES", "5")
        screen.draw(lambda wide, high: [f"line {number}" for number in range(50)])
        assert err.getvalue().endswith("line 0\nline 1\nline 2\n... 47 more lines: the termin\n")
    assert err.getvalue().endswith("\x1b[?25h")


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [(0, "task", "0 tasks"), (1, "task", "1 task"), (2, "retry", "2 retries"), (1200, "node", "1200 nodes")],
)
def test_numbers_agree_with_their_nouns(number: int, noun: str, said: str) -> None:
    assert wording.counted(number, noun) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, ""), (0, ""), (0.9, ""), (1, "about 1 s left"), (3700, "about 1 h 1 min left")]
)
def test_nothing_is_said_of_the_last_second(seconds: float | None, said: str) -> None:
    assert wording.remaining(seconds) == said


@pytest.mark.parametrize(("left", "rate", "said"), [(0, 2.0, ""), (1, 4.0, "; 4.0 a second"), (9, 0.0, "")])
def test_the_pace_of_a_job_says_no_0_s_left(left: int, rate: float, said: str) -> None:
    look = Look(
        job=JobState(id="j", state="active"), counts=Counts(active=left), large=False, changed=[], states={},
        over=False, rate=rate,
    )  # fmt: skip
    assert look.pace() == said


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1h30m", 5400)])
def test_times_have_a_unit_or_are_seconds(text: str, seconds: float) -> None:
    assert durations.argument(text) == seconds


def test_a_command_in_a_message_is_one_that_can_be_pasted(tmp_path: Path) -> None:
    programs = tmp_path / "checkout" / ".venv" / "bin"
    programs.mkdir(parents=True)
    python, script = programs / "python", programs / "batch-jobs"
    assert wording.command_for(python, tmp_path / "checkout", "").endswith("&& .venv/bin/python -m jobs")
    script.touch(mode=0o755)
    assert wording.command_for(python, tmp_path / "checkout", "/usr/bin") == ".venv/bin/batch-jobs"
    assert wording.command_for(python, tmp_path / "elsewhere", "/usr/bin") == str(script)
    assert wording.command_for(python, tmp_path / "elsewhere", f"/usr/bin:{programs}") == "batch-jobs"
    linked = tmp_path / "worktree" / ".venv"
    linked.parent.mkdir()
    linked.symlink_to(programs.parent)  # the script in it runs another checkout
    assert wording.command_for(linked / "bin" / "python", wording.CHECKOUT, "").endswith("/bin/python -m jobs")
    other = tmp_path / "other" / "batch-jobs"  # another checkout's command is first on PATH
    other.parent.mkdir()
    other.touch(mode=0o755)
    assert wording.command_for(python, tmp_path / "elsewhere", f"{other.parent}:{programs}") == str(script)


def test_a_command_that_names_its_python_already_is_left_as_it_is() -> None:
    """As in the usage of a verb where no script is installed: the path was doubled."""
    said = "See: .venv/bin/python -m jobs tasks --help, and python -m jobs list"
    expected = "See: .venv/bin/python -m jobs tasks --help, and batch-jobs list"
    assert wording.pasteable(said, "batch-jobs") == expected


def test_words_name_the_command_as_it_was_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "batch-jobs"
    script.touch(mode=0o755)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.chdir("/usr")
    wording.invocation.cache_clear()
    try:
        err = io.StringIO()
        Render(err=err).words("next: python -m jobs watch j")
        assert err.getvalue() == f"next: {script} watch j\n"
    finally:
        wording.invocation.cache_clear()


def test_text_without_room_stands_below_its_row_also_where_ids_are_folded() -> None:
    rows = [
        (Cell("a-long-id-of-a-task-that-fits-nowhere"), Cell("n1"), Cell("why \ue000 it failed", "red")),
        (Cell("b"), Cell("n2"), Cell("")),
        (Cell("c"), Cell("n3"), Cell("another why")),
    ]
    for colours in (False, True):
        lines = [ESCAPES.sub("", line) for line in drawing.table(HEADINGS, rows, width=30, colours=colours)]
        assert lines == [
            "task                      node",
            "a-long-id-of-a-task-that  n1",
            "-fits-nowhere",
            "    why ? it failed",
            "b                         n2",
            "c                         n3",
            "    another why",
        ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (59.9, "59 s"), (90, "1 min 30 s"), (3601, "1 h"), (3660, "1 h 1 min"), (356400, "4 d 3 h")],
)
def test_times_have_their_two_largest_units(seconds: float, said: str) -> None:
    assert durations.words(seconds) == said


def test_a_command_is_never_broken_where_a_line_is() -> None:
    command = (
        "python -m jobs retry a-job-with-a-long-name --task a-task-with-a-name-that-is-longer-than-this-line-has-room"
    )
    told = f"2 tasks failed; run them again: {command}; or look at them first"
    lines = wording.folded(told, 40).split("\n")
    assert f"  {command};" in lines
    assert " ".join(line.strip() for line in lines) == told
    assert wording.folded("short", 40) == "short"


def test_words_of_data_are_folded_on_a_terminal_and_whole_in_a_pipe() -> None:
    text = f"  {' '.join(f'word{number}' for number in range(30))}"
    out, pipe = Terminal(), io.StringIO()
    Render(out=out).advice(text, hang=4)
    Render(out=pipe).advice(text)
    assert pipe.getvalue() == f"{text}\n"
    first, *rest = out.getvalue().splitlines()
    assert first.startswith("  word0 ") and all(line.startswith("      word") for line in rest)
    assert max(map(len, (first, *rest))) <= 80
    assert out.getvalue().split() == text.split()
