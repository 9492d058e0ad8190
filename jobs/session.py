"""What a verb is given: the connection's services, made when first asked for, the printer and the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from .clock import Clock
from .errors import UsageError
from .service.batch import Batch
from .service.connection import Connection
from .service.storage import Blobs
from .terminal.render import Render


def azure_batch(connection: Connection) -> Batch:
    """The real service; imported here, because azure.batch takes half a second to load and `--help` needs none."""
    from .service.client import AzureBatch

    return AzureBatch(connection)


def azure_blobs(connection: Connection) -> Blobs:
    from .service.storage import AzureBlobs

    return AzureBlobs(connection)


@dataclass(kw_only=True)
class Session:
    find_connection: Callable[[], Connection]
    render: Render
    clock: Clock
    make_batch: Callable[[Connection], Batch] = azure_batch
    make_blobs: Callable[[Connection], Blobs] = azure_blobs

    @cached_property
    def connection(self) -> Connection:
        return self.find_connection()

    @cached_property
    def batch(self) -> Batch:
        return self.make_batch(self.connection)

    @cached_property
    def blobs(self) -> Blobs:
        if self.connection.outputs is None:
            raise UsageError("there is no stack, so no storage account is known", next_step="use --stack")
        return self.make_blobs(self.connection)
