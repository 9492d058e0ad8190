"""What starts and stops in the azure process: services, and the sites on which they answer.

A site is one aiohttp application on one reserved loopback port, with TLS or without. Owns sockets; not what is answered
on them.
"""

from __future__ import annotations

import errno
from typing import Protocol

from aiohttp import web

from local.azure.platform.certificates import server_context
from local.azure.platform.ports import HOST, PortInUse
from local.paths import Paths

_STOP_SECONDS = 2.0


class Service(Protocol):
    """Built as `X(cloud)`: the constructor registers hooks, `start` opens sites, `stop` closes them."""

    @property
    def name(self) -> str:
        """For logs and errors."""
        ...

    async def start(self) -> None:
        """Return when requests are answered."""
        ...

    async def stop(self) -> None:
        """Stop answering; leave state on disk as it is."""
        ...


class Site:
    """`start` returns when the port is open; `stop` ends open requests after a short while."""

    def __init__(self, app: web.Application, name: str, port: int, paths: Paths | None) -> None:
        """`paths` gives the certificate; None means plain http."""
        self.name = name
        self.port = port
        self._paths = paths
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_SECONDS)

    @property
    def url(self) -> str:
        """Where clients reach it."""
        return f"{'http' if self._paths is None else 'https'}://{HOST}:{self.port}"

    async def start(self) -> None:
        """Listen, or raise PortInUse."""
        await self._runner.setup()
        context = None if self._paths is None else server_context(self._paths)
        try:
            await web.TCPSite(self._runner, HOST, self.port, ssl_context=context).start()
        except OSError as error:
            await self._runner.cleanup()
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(self.name, self.port) from error
            raise

    async def stop(self) -> None:
        """Close the port."""
        await self._runner.cleanup()
