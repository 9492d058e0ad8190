"""How a handler is found, and what its answers mean: a mistake is told with its module, not as a bug of the worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.docker_worker.errors import UsageError
from worker.docker_worker.handlers import DONE, MORE, HandlerMistake, load, outcome


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("handlers", "expected module:function"),
        (":handle", "expected module:function"),
        ("no_such_module:handle", "No module named 'no_such_module'"),
        ("broken_handlers:nothing", "fails; ZeroDivisionError: division by zero"),
        ("good_handlers:nothing", "has no attribute 'nothing'"),
        ("good_handlers:LIMIT", "it is 7"),
    ],
)
def test_a_handler_that_is_not_one_is_64(
    reference: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_handlers.py").write_text("1 / 0\n")
    (tmp_path / "good_handlers.py").write_text("LIMIT = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError) as caught:
        load(reference)
    assert said in str(caught.value)
    assert caught.value.exit == 64


def test_answers_of_a_handler() -> None:
    assert [outcome(answer) for answer in (None, "done", "more", DONE, MORE)] == [DONE, DONE, MORE, DONE, MORE]
    with pytest.raises(HandlerMistake, match="returned 42; return MORE, DONE or nothing"):
        outcome(42)
