"""The real program, run once per stack and mode, for all tests that only look at what it registered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from infra.worker_image import login
from tests.infra.recording import REFRESH_TOKEN, Run, run_program


@pytest.fixture(scope="session")
def program() -> Callable[..., Run]:
    """`program("dev")`: the program's run; the registry's token exchange is answered here."""
    runs: dict[tuple[str, bool], Run] = {}

    def run(stack: str, *, preview: bool = False) -> Run:
        key = (stack, preview)
        if key not in runs:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(login, "exchange", lambda server, token: f"{REFRESH_TOKEN} {server} {token}")
                runs[key] = run_program(stack, preview=preview)
        return runs[key]

    return run


@pytest.fixture
def dev(program: Callable[..., Run]) -> Run:
    """The `up` of stack dev."""
    return program("dev")


@pytest.fixture(autouse=True)
def event_loop_of_the_thread() -> Iterator[None]:
    """Pulumi's mocks take the thread's current loop; an asynchronous test run before in this process leaves none."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
