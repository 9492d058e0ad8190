"""Commands to nodes: in sequence for one, side by side between nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from local.azure.batch.scheduling.performer import Mailbox


async def test_one_node_is_told_in_order_and_does_not_hold_up_another() -> None:
    mailbox, told, gate = Mailbox(), list[str](), asyncio.Event()

    def tell(what: str, wait: bool = False) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            if wait:
                await gate.wait()
            told.append(what)
            if what == "a2":
                mailbox.post("a", tell("a4"))

        return work

    mailbox.post("a", tell("a1", wait=True))
    mailbox.post("a", tell("a2"))
    mailbox.post("b", tell("b1"))
    mailbox.post("a", tell("a3"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert told == ["b1"]
    gate.set()
    await mailbox.idle()
    assert told == ["b1", "a1", "a2", "a3", "a4"]


async def test_a_command_that_fails_is_told_of_and_the_next_goes_on() -> None:
    mailbox, told, failed = Mailbox(), list[str](), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failed.append(context))

    async def fails() -> None:
        raise ValueError("no")

    async def goes_on() -> None:
        told.append("on")

    mailbox.post("a", fails)
    mailbox.post("a", goes_on)
    await mailbox.idle()
    assert told == ["on"] and [str(one["exception"]) for one in failed] == ["no"]


async def test_nothing_outlives_the_end() -> None:
    mailbox, told = Mailbox(), list[str]()

    async def waits() -> None:
        await asyncio.sleep(60)
        told.append("late")

    mailbox.post("a", waits)
    mailbox.post("a", waits)
    await asyncio.sleep(0)
    await mailbox.close()
    await mailbox.idle()
    assert told == []
