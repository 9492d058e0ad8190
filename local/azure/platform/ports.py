"""Stable ports: one block of consecutive loopback ports, chosen at the first start and kept, handed out by name.

Owns numbers; binding is the services' (`sites.py`). Nodes relay the whole block, so every service takes its port here.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Iterable

from local.azure.platform.store import Store

HOST = "127.0.0.1"
_KIND = "ports"
_BLOCK = "block"
_NAMES = "names"
_LOWEST, _HIGHEST = 20000, 32000  # below Linux's default ephemeral range (32768-60999)
_TRIES = 200


class PortInUse(Exception):
    """Another program listens on a port that is ours since the first start."""

    def __init__(self, name: str, port: int) -> None:
        self.name = name
        self.port = port
        super().__init__(
            f"port {port} on {HOST} (recorded for {name!r}) is taken by another program. "
            f"Stop that program (`ss -ltnp 'sport = :{port}'` names it), "
            "or run `python -m local reset --yes` to choose new ports; that forgets everything deployed locally."
        )


class NoPortLeft(Exception):
    """Every port of the block has a name already, or no free block was found."""


class Ports:
    """The block, and the names given to its ports."""

    def __init__(self, store: Store, size: int = 48) -> None:
        self._store = store
        with store.transaction():
            recorded = store.get(_KIND, _BLOCK)
            if recorded is None:
                recorded = {"first": _find_block(size), "size": size}
                store.put(_KIND, _BLOCK, recorded)
        self._block = range(recorded["first"], recorded["first"] + recorded["size"])

    def block(self) -> range:
        """All the ports of this local Azure."""
        return self._block

    def names(self) -> dict[str, int]:
        """The names given so far and their ports."""
        return dict(self._store.get(_KIND, _NAMES) or {})

    def reserve(self, name: str) -> int:
        """The port of this name: the same one for ever, until it is released."""
        with self._store.transaction():
            names = self.names()
            if name in names:
                return names[name]
            taken = set(names.values())
            free = [port for port in self._block if port not in taken and is_free(port)]
            if not free:
                raise NoPortLeft(
                    f"no port is left for {name!r}: the {len(self._block)} ports {self._block.start}-"
                    f"{self._block.stop - 1} belong to {', '.join(sorted(names))}. "
                    "Delete a Batch account or registry that you do not need."
                )
            names[name] = free[0]
            self._store.put(_KIND, _NAMES, names)
            return free[0]

    def release(self, name: str) -> None:
        """Give the port of a deleted resource back."""
        with self._store.transaction():
            names = self.names()
            if names.pop(name, None) is not None:
                self._store.put(_KIND, _NAMES, names)

    def check(self, names: Iterable[str] | None = None) -> None:
        """Raise PortInUse for a recorded port that another program uses. For a start, before anything listens."""
        recorded = self.names()
        for name in recorded if names is None else names:
            if name in recorded and not is_free(recorded[name]):
                raise PortInUse(name, recorded[name])


def is_free(port: int) -> bool:
    """Whether no program listens there now (a port in TIME_WAIT counts as free, as it does for a server)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _find_block(size: int) -> int:
    choice = random.SystemRandom()
    for _ in range(_TRIES):
        first = choice.randrange(_LOWEST, _HIGHEST - size)
        if all(is_free(port) for port in range(first, first + size)):
            return first
    raise NoPortLeft(
        f"no {size} consecutive free ports between {_LOWEST} and {_HIGHEST} on {HOST}; close some programs."
    )
