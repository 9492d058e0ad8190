"""A provider's process: which address its engine has, and what it serves. Its life is `lifetime.py`'s."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from pulumi.runtime.proto import provider_pb2_grpc

from local.plugins.protocol import lifetime
from local.plugins.protocol.log import EngineLog
from local.plugins.protocol.provider import Provider
from local.plugins.protocol.servicer import Servicer

# A create blocks its thread until Azure is done, and the engine sends all that may run at once (threads are made
# lazily).
THREADS: Final = 256
GRACE_SECONDS: Final = 3.0


def engine_address(arguments: Sequence[str]) -> str | None:
    """The engine's `host:port`: the last argument, after flags such as --logtostderr (absent in attach mode)."""
    last = arguments[-1] if arguments else ""
    return last if ":" in last and not last.startswith("-") else None


def serve(make: Callable[[EngineLog], Provider]) -> NoReturn:
    """Serve until told to stop, or until the parent process has gone."""
    provider = make(EngineLog(engine_address(sys.argv[1:])))
    lifetime.run(
        lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(provider), server),
        provider.cancelled.set,
        threads=THREADS,
        grace_seconds=GRACE_SECONDS,
    )
