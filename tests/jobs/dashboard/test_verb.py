"""`python -m jobs dashboard`: what it prints, and what it refuses before it listens."""

from __future__ import annotations

import asyncio
import json
import re
import socket

import pytest

from jobs.command.parser import parse
from jobs.errors import Unreachable, UsageError
from jobs.exits import Exit
from tests.jobs.dashboard.scene import furnish
from tests.jobs.fakes import Stage, stage


@pytest.fixture
def scene() -> Stage:
    found = stage()
    furnish(found)
    return found


@pytest.fixture
def _ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comes as soon as the server listens."""

    async def interrupt(_: asyncio.Event) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(asyncio.Event, "wait", interrupt)


def run(scene: Stage, *words: str) -> Exit:
    arguments = parse(["dashboard", *words])
    return arguments.run(arguments, scene.session)


@pytest.mark.usefixtures("_ctrl_c")
def test_it_prints_an_address_on_loopback_with_the_token_in_its_fragment(scene: Stage) -> None:
    assert run(scene) == Exit.OK
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/#token=[\w-]{43}\n", scene.out.getvalue())
    assert "only shows" in scene.err.getvalue() and "token=" not in scene.err.getvalue()
    assert "the dashboard has ended" in scene.err.getvalue()


@pytest.mark.usefixtures("_ctrl_c")
def test_with_json_the_address_is_a_value() -> None:
    scene = stage(as_json=True)
    furnish(scene)
    assert run(scene, "--operate") == Exit.OK
    found = json.loads(scene.out.getvalue())
    assert found["operate"] is True and found["address"].startswith("http://127.0.0.1:")
    assert "may cancel, retry and connect" in scene.err.getvalue()


def test_a_port_that_is_taken_is_told(scene: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} (?s:cannot be had.*leave --port out)"):
            run(scene, "--port", str(port))


@pytest.mark.parametrize("port", ["-1", "65536", "http", "1.5", "\u0663"])
def test_what_is_no_port_is_refused(scene: Stage, port: str) -> None:
    with pytest.raises(UsageError, match=r"no port|expected one argument"):
        run(scene, "--port", port)


def test_an_account_that_does_not_answer_is_told_before_anything_listens(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise Unreachable("nobody answers")

    monkeypatch.setattr(scene.batch, "pools", away)
    with pytest.raises(Unreachable, match="nobody answers"):
        run(scene)
    assert scene.out.getvalue() == ""
