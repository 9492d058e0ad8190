"""In a real terminal of 80 by 24 and of 120 by 40: what a person sees who types the verbs one after the other.

These tests are among the thorough ones: they need tmux (`python3 -m tools.setup browser`, which `make test` calls).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.terminal.wording import CHECKOUT

pytestmark = pytest.mark.thorough

SIZES = ((80, 24), (120, 40))
SECONDS = 60.0  # for the whole search; a person who types needs most of it


class Terminal:
    """A shell in tmux, in which `batch-jobs` is the command line on the stack of a busy day."""

    def __init__(self, folder: Path, width: int, height: int) -> None:
        self._socket = f"jobs-{uuid.uuid4().hex[:8]}"
        command = folder / "batch-jobs"
        program = f"{sys.executable} -m tests.jobs.command.at_a_terminal"
        command.write_text(f'#!/bin/sh\ncd "{CHECKOUT}" && exec {program} "$@"\n')
        command.chmod(0o755)
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PS1": "$ ", "TERM": "xterm-256color"}
        environment = {name: value for name, value in environment.items() if name not in ("TMUX", "NO_COLOR", "CI")}
        size = ("-x", str(width), "-y", str(height))
        words = ("-f", "/dev/null", "new-session", "-d", *size, "bash --norc --noprofile")
        subprocess.run(["tmux", "-L", self._socket, *words], env=environment, check=True)

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-L", self._socket, *words], check=True, capture_output=True, text=True)
        return done.stdout

    def type(self, line: str) -> list[str]:
        """Type a command; what it printed, when it has ended."""
        mark = uuid.uuid4().hex[:6]
        self._tmux("send-keys", f"clear; echo begin={mark}; {line}; echo end={mark}", "Enter")
        until, shown = time.monotonic() + 30, []
        while time.monotonic() < until:
            shown = self._tmux("capture-pane", "-p", "-J", "-S", "-300").splitlines()
            if f"end={mark}" in shown:
                at = shown.index(f"begin={mark}")
                return [text.rstrip() for text in shown[at + 1 : shown.index(f"end={mark}")]]
            time.sleep(0.1)
        raise AssertionError(f"{line} did not end:\n" + "\n".join(shown))

    def close(self) -> None:
        self._tmux("kill-server")


@pytest.fixture(params=SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def terminal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    found = Terminal(tmp_path, *request.param)
    yield found
    found.close()


def test_a_person_finds_which_task_failed_why_on_which_node_and_reads_its_stderr(terminal: Terminal) -> None:
    """Without knowing anything: by the list, and then by the commands that are printed, pasted as they stand."""
    began = time.monotonic()
    heading, *rows = terminal.type("batch-jobs list")
    at = heading.split().index("failed")
    job = next(row.split()[0] for row in rows if int(row.split()[at]) > 0)

    told = terminal.type(f"batch-jobs show {job}")
    assert "  simulate-00042: exit code 3 (retry 1)" in told
    (following,) = re.findall(r"next: (.+?);", "\n".join(told))

    told = terminal.type(following.replace("python -m jobs", "batch-jobs"))
    shown = "\n".join(told)
    assert "exit code 3: the program's own code" in shown
    assert "node       tvm-0003" in told
    assert "ValueError: /mnt/inputs/wing-0042.msh: the mesh has 17 open edges" in shown
    assert time.monotonic() - began < SECONDS


def test_no_table_is_wider_than_the_terminal_and_no_word_of_ours_is_torn(terminal: Terminal) -> None:
    """-J joins what the terminal broke: a line of ours that is longer than it was not folded."""
    width = int(terminal._tmux("display-message", "-p", "#{pane_width}"))
    for verb in (
        "list",
        "pools",
        "nodes",
        "tasks simulate-wing --limit 20",
        "show simulate-wing",
        "report simulate-wing",
        "images",
    ):
        for line in terminal.type(f"batch-jobs {verb}"):
            assert len(line) <= width or "@sha256:" in line or "python -m jobs" in line, line
