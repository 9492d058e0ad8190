"""What a provider may fail with, and the one table that maps it to gRPC status codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc


class PluginError(Exception):
    """A failure with a message meant for people: fact, cause, next step. Subclasses choose the status code."""

    code = grpc.StatusCode.UNKNOWN


class InvalidInput(PluginError):
    """The program asked for something that cannot be."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class Refused(PluginError):
    """The stand-in does not do this, or not now."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class AlreadyExists(PluginError):
    """A resource that should be created is there already."""

    code = grpc.StatusCode.ALREADY_EXISTS


class Cancelled(PluginError):
    """The engine asked to stop."""

    code = grpc.StatusCode.CANCELLED


class CloudError(PluginError):
    """The cloud answered with an error, or not at all."""


class InitFailed(PluginError):
    """The resource exists but did not come up: the engine has to record it."""

    def __init__(self, resource_id: str, outputs: dict[str, Any], reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons))
        self.resource_id = resource_id
        self.outputs = outputs
        self.reasons = list(reasons)
