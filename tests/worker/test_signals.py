"""Stopping: each signal has its exit code, work never sees it, and stuck work does not hold the process."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import pytest

from tests.worker.silent import Silent
from worker.docker_worker.signals import STOP_SIGNALS, Stop, Work, finish, listening
from worker.docker_worker.sql.driver import Link

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


def test_the_work_and_what_it_starts_have_nothing_blocked() -> None:
    """A child inherits the mask of the thread that starts it, and one with SIGTERM blocked cannot be terminated."""
    work = Work(lambda: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    work.start()
    assert finish(work, Stop())
    assert work.result is not None
    assert not set(STOP_SIGNALS) & work.result


def test_the_drivers_thread_has_the_signals_blocked() -> None:
    """EINTR inside the Microsoft driver kills the connection; so no signal may ever be delivered to this thread."""
    link = Link.open(Silent, seconds=20, bound=20)
    assert set(STOP_SIGNALS) <= link.run(lambda _: signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    link.close()
    assert not set(STOP_SIGNALS) & signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_signals_that_our_starter_blocked_reach_us() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        with listening() as stop:
            os.kill(os.getpid(), signal.SIGTERM)
            assert stop.asked.wait(5)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def sleep_long() -> None:
    time.sleep(120)


def terminated(start: Callable[[], Any]) -> int:
    """The exit code of a child that work started and then terminated, as a handler would."""
    child = start()
    child.terminate()
    return child.wait(20) if isinstance(child, subprocess.Popen) else (child.join(20), child.exitcode)[1]


def forked() -> ForkProcess:
    process = multiprocessing.get_context("fork").Process(target=sleep_long)
    process.start()
    return process


@pytest.mark.parametrize(
    ("work", "result"),
    [
        (lambda: terminated(lambda: subprocess.Popen(["sleep", "120"])), -signal.SIGTERM),
        (lambda: terminated(lambda: subprocess.Popen("exec sleep 120", shell=True)), -signal.SIGTERM),
        (lambda: terminated(lambda: subprocess.Popen(["sleep", "120"], preexec_fn=int)), -signal.SIGTERM),
        (lambda: subprocess.run(["timeout", "0.2", "sleep", "120"], timeout=20, check=False).returncode, 124),
        (lambda: terminated(forked), -signal.SIGTERM),
    ],
    ids=["Popen", "shell", "preexec", "timeout", "multiprocessing"],
)
def test_children_of_the_work_can_be_terminated(work: Callable[[], int], result: int) -> None:
    with listening() as stop:
        thread = Work(work)
        thread.start()
        assert finish(thread, stop)
    assert (thread.error, thread.result) == (None, result)
    assert not stop.asked.is_set()


def test_a_pool_of_processes_ends() -> None:
    def work() -> list[int]:
        with multiprocessing.get_context("fork").Pool(2) as pool:  # leaving the block terminates its processes
            return pool.map(abs, [-1, -2])

    with listening() as stop:
        thread = Work(work)
        thread.start()
        assert finish(thread, stop)
    assert (thread.error, thread.result) == (None, [1, 2])


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
