"""How the program's own errors are worded."""

from pathlib import Path

import pulumi

from local.engine.program import explain

FOLDER = str(Path(__file__).parent)


def raised(work):
    try:
        work()
    except Exception as error:
        return error
    raise AssertionError


class SettingsError(Exception):
    user_message = "pool.max_nodes: expected 0..100, got 250"


def test_an_error_with_words_for_the_user_shows_these_alone():
    def work():
        raise SettingsError

    def wrapped():
        try:
            work()
        except SettingsError as error:
            raise ValueError("outer") from error

    assert explain(raised(work), FOLDER) == SettingsError.user_message
    assert explain(raised(wrapped), FOLDER) == SettingsError.user_message


def test_a_run_error_shows_its_message_alone():
    def work():
        raise pulumi.RunError("calm words")

    assert explain(raised(work), FOLDER) == "calm words"


def test_other_errors_show_the_frames_of_the_users_own_files():
    def work():
        Path(3)  # type: ignore[arg-type]

    text = explain(raised(work), FOLDER)
    assert "test_program.py" in text and "pathlib.py" not in text and "TypeError" in text
