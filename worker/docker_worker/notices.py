"""The node's notice that it goes away, as one more stop signal.

Azure tells a spot VM through the instance metadata service
(learn.microsoft.com/azure/virtual-machines/linux/scheduled-events): at least 30 s before for `Preempt`, best effort.
Whether a Batch pool's nodes get it is not documented: so nothing relies on it. Blocks only its own daemon thread.
"""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Callable
from typing import Any, Final

from .log import Log
from .signals import Stop

POLL_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 60.0  # between two asks where the endpoint does not answer
ASK_SECONDS: Final = 10.0
EVENTS: Final = "/metadata/scheduledevents?api-version=2020-07-01"
INSTANCE: Final = "/metadata/instance?api-version=2021-02-01"
# What ends this machine's processes. `Freeze` only pauses them.
ENDING: Final = frozenset({"Preempt", "Terminate", "Reboot", "Redeploy"})

Ask = Callable[[str], Any]


def asker(address: str) -> Ask:
    """Asks the metadata service at this address, never through a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(path: str) -> Any:
        request = urllib.request.Request(address.rstrip("/") + path, headers={"Metadata": "true"})  # noqa: S310
        with opener.open(request, timeout=ASK_SECONDS) as answer:
            return json.load(answer)

    return ask


def ending(events: Any, machine: str) -> str | None:
    """The kind of the first event that ends this machine. Events name every machine of the scale set."""
    for event in events.get("Events", ()):
        if event.get("EventType") in ENDING and machine in event.get("Resources", ()):
            return str(event["EventType"])
    return None


def watch(ask: Ask, stop: Stop, log: Log, *, every: float = POLL_SECONDS) -> None:
    """Ask until a stop; a notice is one."""
    machine, pause = "", every
    while not stop.asked.wait(pause):
        try:
            machine = machine or str(ask(INSTANCE)["compute"]["name"])
            kind = ending(ask(EVENTS), machine)
            pause = every
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # nobody there, or somebody else
            pause = min(LONGEST_SECONDS, pause * 2)
            continue
        if kind is not None:
            log("node_goes_away", kind=kind, machine=machine)
            stop.notice(kind)


def start(address: str, stop: Stop, log: Log) -> None:
    """Watch in the background."""
    threading.Thread(target=watch, args=(asker(address), stop, log), name="notices", daemon=True).start()
