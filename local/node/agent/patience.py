"""Asking again a service that does not answer, or cannot just now, as Azure's own clients do.

So a local Azure that is killed and started again costs a task nothing. Only for what may be done twice without harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiohttp import ClientConnectionError, ClientPayloadError

T = TypeVar("T")
PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds between attempts: together the 60 s for which a local Azure may be away."""
TRANSIENT: Final = frozenset({0, 408, 429, 500, 502, 503, 504})
"""Statuses to ask again after (learn.microsoft.com/azure/storage/blobs/storage-retry-policy); 0: no answer."""


def may_pass(error: Exception) -> bool:
    """An error with a status goes by that; one without it is a connection's, or stays."""
    status = getattr(error, "status", None)
    if status is not None:
        return status in TRANSIENT
    return isinstance(error, TimeoutError | ClientConnectionError | ClientPayloadError)


async def patiently(attempt: Callable[[], Awaitable[T]], passes: Callable[[Exception], bool] = may_pass) -> T:
    """Try again after what may pass; the last attempt's error is raised."""
    for pause in PAUSES:
        try:
            return await attempt()
        except Exception as error:
            if not passes(error):
                raise
        await asyncio.sleep(pause)
    return await attempt()
