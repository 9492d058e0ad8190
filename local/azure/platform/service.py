"""What a service of the local Azure is to `app.py`: something with a name that starts and stops."""

from __future__ import annotations

from typing import Protocol


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
