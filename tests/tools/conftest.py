"""A machine for the tests of the set-up: an empty PATH, own folders, and programs that stand in for real ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.machine import Machine
from tools.setup import process


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCAL_AZURE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(process, "_stopping", threading.Event())
    return made


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Wait for something that another thread or process does."""

    def wait(happened: Callable[[], object]) -> None:
        for _ in range(2000):
            if happened():
                return
            threading.Event().wait(0.01)
        pytest.fail("it did not happen within 20 s")

    return wait
