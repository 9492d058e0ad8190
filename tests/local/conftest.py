"""A home of its own for each test, and a process that holds the supervisor's lock as a real one does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.paths import HOME_VARIABLE, Paths

# Takes the lock, writes what it was told to write as its process id, says so, and waits to be ended.
HOLDER = """
import fcntl, os, sys, time
file = open(sys.argv[1], "a+")
fcntl.flock(file, fcntl.LOCK_EX)
file.truncate(0)
file.write(sys.argv[2].replace("PID", str(os.getpid())))
file.flush()
print("locked", flush=True)
time.sleep(300)
"""


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    home = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    paths = Paths(home)
    paths.ensure()
    return paths


@pytest.fixture
def hold_lock(paths: Paths) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """`hold_lock()`: a process that is the supervisor for all that the lock says."""
    holders: list[subprocess.Popen[str]] = []

    def hold(text: str = "PID") -> subprocess.Popen[str]:
        argv = [sys.executable, "-c", HOLDER, str(paths.run / "supervisor.lock"), text]
        holder = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        holders.append(holder)
        assert holder.stdout is not None and holder.stdout.readline() == "locked\n"
        return holder

    yield hold
    for holder in holders:
        holder.kill()
        holder.wait()
        assert holder.stdout is not None
        holder.stdout.close()
