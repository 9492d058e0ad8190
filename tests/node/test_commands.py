from __future__ import annotations

from pathlib import Path

import pytest

from local.node.agent.commands import find_program, split
from local.node.agent.failures import RunFailed


def test_quotes_group_words_and_nothing_is_expanded() -> None:
    assert split("""/bin/sh -c 'echo $HOME && date' "a b" $X""") == ["/bin/sh", "-c", "echo $HOME && date", "a b", "$X"]


@pytest.mark.parametrize("command_line", ["", "   ", "echo 'open"])
def test_a_command_line_without_words_fails_to_launch(command_line: str) -> None:
    with pytest.raises(RunFailed, match="CommandLaunchFailed"):
        split(command_line)


@pytest.mark.parametrize("word", ["cd", "no-such-program", "./missing"])
def test_a_first_word_that_is_no_program_is_not_found(word: str, tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="CommandProgramNotFound"):
        find_program(word, tmp_path, "/nowhere")


def test_a_relative_program_is_looked_for_in_the_working_directory(tmp_path: Path) -> None:
    program = tmp_path / "tool"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_program("./tool", tmp_path, "") == str(tmp_path / "tool")
