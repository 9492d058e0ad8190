"""Every verb as a person sees it, at 80x24 and 120x40 in tmux, and as a program reads it, through pipes and as JSON.

The command lines are those of `every_verb.py`; a verb without a row there fails. The tests in tmux are among the
thorough ones (`python3 -m tools.setup browser` installs it).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from jobs.terminal.wording import CHECKOUT
from jobs.verbs import VERBS
from tests.jobs.command.every_verb import ROWS, Row, run

SIZES = ((80, 24), (120, 40))
EACH = [pytest.param(row, id=row.line) for rows in ROWS.values() for row in rows]
ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3[0-7]|9[0-7]|38;[0-9;]+)m")
# What is one piece to whoever copies it, or is a task's own text: longer than the terminal it stays one line.
ONE_PIECE = re.compile(r"python -m jobs |@sha256:|https?://|ssh |a word and another|[\w-]{64}")


def test_every_verb_has_a_row() -> None:
    assert list(ROWS) == [verb for verb in ROWS if verb in VERBS]
    assert set(ROWS) == set(VERBS), "say in tests/jobs/command/every_verb.py what the new verb is run with"


def screen(tmp_path: Path, width: int, height: int, *, colours: bool) -> str:
    """What all rows leave in a terminal of this size, with escape codes; lines that the terminal broke are joined."""
    socket = f"verbs-{uuid.uuid4().hex[:8]}"
    shell = {name: value for name, value in os.environ.items() if name not in ("TMUX", "NO_COLOR", "CI", "COLUMNS")}
    shell |= {"PS1": "$ ", "TERM": "xterm-256color"} | ({} if colours else {"NO_COLOR": "1"})

    def tmux(*words: str) -> str:
        command = ["tmux", "-L", socket, "-f", str(tmp_path / "tmux.conf"), *words]
        return subprocess.run(command, env=shell, check=True, capture_output=True, text=True).stdout

    (tmp_path / "tmux.conf").write_text("set -g history-limit 50000\n")
    done = tmp_path / "done"
    line = f"cd '{CHECKOUT}' && clear && {sys.executable} -m tests.jobs.command.every_verb; touch '{done}'"
    try:
        tmux("new-session", "-d", "-x", str(width), "-y", str(height), "bash --norc --noprofile")
        tmux("send-keys", line, "Enter")
        until = time.monotonic() + 300
        while not done.exists():
            assert time.monotonic() < until, "\n".join(tmux("capture-pane", "-p").splitlines())
            time.sleep(0.2)
        time.sleep(0.2)
        return tmux("capture-pane", "-p", "-J", "-e", "-S", "-")
    finally:
        subprocess.run(["tmux", "-L", socket, "kill-server"], check=False, capture_output=True)


def parts(shown: str) -> dict[str, list[str]]:
    """Row -> its lines, without colours."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in shown.splitlines():
        plain = re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip()
        if match := re.match(r"begin=(.+?): ", plain):
            name = match[1]
            found[name] = []
        elif plain.startswith("end="):
            name = ""
        elif name:
            found[name].append(plain)
    return found


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_no_verb_is_wider_than_its_terminal(size: tuple[int, int], tmp_path: Path) -> None:
    width, height = size
    shown = screen(tmp_path, width, height, colours=True)
    found = parts(shown)
    assert len(found) == len(EACH)
    fitted = {f"{verb}/{number}" for verb, rows in ROWS.items() for number, row in enumerate(rows) if not row.verbatim}
    long = [f"{row}: {line}" for row in fitted for line in found[row] if len(line) > width]
    assert [line for line in long if not ONE_PIECE.search(line)] == []
    nodes = [line for row in found if row.startswith("nodes/") for line in found[row]]
    assert [line for line in nodes if re.match(r"tvmps_\w{1,17}(?: |$)", line)] == [], "a torn id cannot be copied"
    silent = [row for row, lines in found.items() if not any(lines)]
    assert silent == []
    assert COLOUR.search(shown), "no colour on a terminal"
    assert [row for row, lines in found.items() if "Traceback (most recent call last):" in lines] == ["logs/0"]


@pytest.mark.thorough
def test_no_color_means_no_colour_on_a_terminal(tmp_path: Path) -> None:
    assert COLOUR.findall(screen(tmp_path, 80, 24, colours=False)) == []


@pytest.mark.parametrize("row", EACH)
def test_through_pipes_data_is_on_stdout_and_words_on_stderr(row: Row, capfd: pytest.CaptureFixture[str]) -> None:
    code = run(row)
    out, err = capfd.readouterr()
    assert ESCAPE not in out + err
    assert bool(out.strip()) == row.data, out
    assert out.strip() or err.strip() or code == 0
    assert re.search(r"^(?:error|next): ", out, re.MULTILINE) is None or row.line.startswith("show ")


@pytest.mark.parametrize("row", EACH)
def test_as_json_stdout_has_one_value_a_line_and_nothing_else(row: Row, capfd: pytest.CaptureFixture[str]) -> None:
    if "--help" in row.line or row.line.startswith(("help", "completion")):
        return  # texts by their nature
    run(row, "--json")
    out, err = capfd.readouterr()
    for line in out.splitlines():
        assert isinstance(json.loads(line), dict | list), line
    assert ESCAPE not in out + err
