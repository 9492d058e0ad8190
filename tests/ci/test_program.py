"""How a script ends: data on stdout, words on stderr, one message and an exit code of its own for each failure."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from ci import program
from ci.program import Exit, PipelineError
from local.errors import LocalError


def raising(error: BaseException) -> Callable[[], int]:
    def work() -> int:
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            PipelineError("a fact", cause="its cause", next_step="a step"),
            "error: a fact\n  cause: its cause\n  next:  a step\n",
        ),
        (LocalError("no CLI", next_step="make setup"), "error: no CLI\n  next:  make setup\n"),
        (
            OSError(28, "No space left on device", "Pulumi.dev.yaml"),
            "error: this machine failed: No space left on device (Pulumi.dev.yaml)\n"
            "  next:  mend that, then run the same again\n",
        ),
    ],
)
def test_what_a_script_cannot_help_is_one_message(
    error: BaseException, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.run(raising(error)) == Exit.NOT_DONE
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", told)


def test_a_defect_is_no_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(subprocess.SubprocessError):
        program.run(raising(subprocess.SubprocessError()))


def test_ctrl_c_and_every_other_end_have_codes_of_their_own() -> None:
    assert program.run(raising(KeyboardInterrupt())) == Exit.INTERRUPTED
    assert program.run(lambda: Exit.DIFFERS) == 7
    assert len({code.value for code in Exit}) == len(Exit)


def test_data_and_words_are_never_mixed(capsys: pytest.CaptureFixture[str]) -> None:
    program.data("data")
    program.words("words")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("data\n", "words\n")
