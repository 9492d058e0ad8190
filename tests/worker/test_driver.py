"""The driver's thread: every call ends within its bound, and what is left of a stuck one is nobody's any more."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.worker.silent import Silent
from worker.docker_worker.sql.driver import Link, NoAnswer, OtherProcess


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def test_a_commit_without_an_answer_ends_within_its_bound_and_its_socket_is_shut(server: socket.socket) -> None:
    link = Link.open(lambda: Silent(socket.create_connection(server.getsockname())), seconds=10, bound=0.2)
    theirs, _ = server.accept()
    began = time.monotonic()
    with pytest.raises(NoAnswer, match=r"no answer within 0\.2 s"):
        link.commit()
    assert time.monotonic() - began < 30
    theirs.settimeout(5)
    assert theirs.recv(1) == b""  # the server learns at once that nobody waits
    assert link.closed
    with pytest.raises(NoAnswer):
        link.rollback()
    link.close()
    theirs.close()


def test_a_login_without_an_answer_ends_within_its_bound_and_its_socket_is_shut(server: socket.socket) -> None:
    def log_in() -> Silent:
        made = Silent(socket.create_connection(server.getsockname()))
        made.commit()
        return made

    with pytest.raises(NoAnswer):
        Link.open(log_in, seconds=0.2, bound=1)
    theirs, _ = server.accept()
    theirs.settimeout(5)
    assert theirs.recv(1) == b""
    theirs.close()


def test_a_call_that_nothing_ends_is_left_behind() -> None:
    """As a name that does not resolve, or an identity endpoint that does not answer: there is no socket of ours."""
    release = threading.Event()
    link = Link.open(Silent, seconds=10, bound=0.1)
    with pytest.raises(NoAnswer):
        link.run(lambda _: release.wait(60))
    began = time.monotonic()
    link.close()
    assert time.monotonic() - began < 30
    release.set()


def test_other_sockets_of_the_process_are_left_alone(server: socket.socket) -> None:
    before = socket.create_connection(server.getsockname())
    link = Link.open(Silent, seconds=10, bound=0.1)
    after = socket.create_connection(server.getsockname())
    with pytest.raises(NoAnswer):
        link.run(lambda _: time.sleep(0.5))
    for one in (before, after):
        one.sendall(b"x")
        one.close()


def test_an_error_of_the_call_is_the_callers() -> None:
    link = Link.open(Silent, seconds=10, bound=10)
    with pytest.raises(ZeroDivisionError):
        link.run(lambda _: 1 / 0)
    with pytest.raises(TimeoutError, match="the work's own"):
        link.run(raise_timeout)
    assert not link.closed
    link.close()


def raise_timeout(_: object) -> None:
    raise TimeoutError("the work's own")


def test_a_forked_process_has_no_database() -> None:
    link = Link.open(Silent, seconds=10, bound=10)
    child = os.fork()
    if child == 0:
        try:
            link.commit()
        except OtherProcess:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    link.commit()
    link.close()
