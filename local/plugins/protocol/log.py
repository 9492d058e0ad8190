"""Messages to people through the engine (stdout and stderr of a plugin are hidden by the Pulumi CLI)."""

from __future__ import annotations

import contextlib

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc


class EngineLog:
    """`status` lines replace each other beside the resource's name; `info` and `warning` stay."""

    def __init__(self, address: str | None = None) -> None:
        self._stub: engine_pb2_grpc.EngineStub | None = None
        if address:
            self.connect(address)

    def connect(self, address: str) -> None:
        """Send messages to the engine at `host:port`, which the engine gives as an argument or by `Attach`."""
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def status(self, urn: str, text: str) -> None:
        """A line that the next one replaces."""
        self._send(urn, text, engine_pb2.INFO, ephemeral=True)

    def info(self, urn: str, text: str) -> None:
        """A line that stays."""
        self._send(urn, text, engine_pb2.INFO)

    def warning(self, urn: str, text: str) -> None:
        """A line that stays, marked as a warning."""
        self._send(urn, text, engine_pb2.WARNING)

    def _send(
        self, urn: str, text: str, severity: engine_pb2.LogSeverity.ValueType, *, ephemeral: bool = False
    ) -> None:
        if self._stub is None:
            return
        request = engine_pb2.LogRequest(severity=severity, message=text, urn=urn, ephemeral=ephemeral)
        with contextlib.suppress(grpc.RpcError):  # a message lost is no reason to fail a deployment
            self._stub.Log(request, timeout=5)
