"""Stopping: each signal has its exit code, work never sees it, and stuck work does not hold the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from worker.docker_worker.signals import STOP_SIGNALS, Stop, Work, finish, listening

WORKER = Path(__file__).parents[2] / "worker"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
def test_a_signal_stops_the_worker_with_its_exit_code(number: signal.Signals, code: int) -> None:
    command = [sys.executable, "-m", "docker_worker", "wait", "--seconds", "60"]
    with subprocess.Popen(command, cwd=WORKER, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert '"waiting"' in process.stdout.readline()  # printed after the handlers are there
        process.send_signal(number)
        _, words = process.communicate(timeout=20)
    assert process.returncode == code
    assert words == f"docker-worker: stopped by {number.name}\n"


def test_waiting_to_the_end_is_0() -> None:
    command = [sys.executable, "-m", "docker_worker", "wait", "--seconds", "0"]
    done = subprocess.run(command, cwd=WORKER, capture_output=True, text=True, check=True)
    assert '"done"' in done.stdout


def test_the_works_thread_has_the_signals_blocked() -> None:
    """EINTR inside the Microsoft driver kills the connection; so no signal may ever be delivered to this thread."""
    work = Work(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    work.start()
    assert finish(work, Stop())
    assert work.result is not None
    assert set(STOP_SIGNALS) <= work.result
    assert not set(STOP_SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_work_that_ends_within_the_grace_is_waited_for() -> None:
    release = threading.Event()
    work = Work(lambda: release.wait(20))
    work.start()
    with listening() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.asked.wait(5)
        release.set()
        assert finish(work, stop, grace=20)
    assert stop.number == signal.SIGTERM


def test_work_that_does_not_end_is_given_up_after_the_grace() -> None:
    stop, release = Stop(), threading.Event()
    work = Work(lambda: release.wait(20))
    work.start()
    stop.handle(signal.SIGTERM)
    assert not finish(work, stop, grace=0)
    release.set()
    work.join()


def test_a_second_signal_does_not_wait_for_the_grace() -> None:
    stop, release = Stop(), threading.Event()
    work = Work(lambda: release.wait(20))
    work.start()
    stop.handle(signal.SIGTERM)
    stop.handle(signal.SIGTERM)
    assert not finish(work, stop, grace=1000)
    release.set()
    work.join()


def test_the_old_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with listening():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
