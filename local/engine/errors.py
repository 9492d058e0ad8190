"""Everything that can stop the engine, as one tree.

`UsageError`    the caller: project file, stack settings, passphrase, options
`ProgramError`  the Pulumi program: asks for what cannot be done, or what this engine does not do
`ProviderError` the plugin, or the cloud behind it
`Stopped`       nothing new: the deployment was stopped, and why has been reported already
`EngineBug`     us

No traceback reaches the wire or the user, except for an `EngineBug`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final


class EngineError(Exception):
    """The root: its text is for the user (fact, cause, next step)."""


class UsageError(EngineError):
    """The caller gave the engine something it cannot work with."""


class ConfigError(UsageError):
    """A project or stack file says something that cannot be used."""


class SecretsError(UsageError):
    """A secret cannot be read: no passphrase, a wrong one, or damaged text."""


class StackLocked(UsageError):
    """Another engine works on this stack."""


class ProgramError(EngineError):
    """The program asked for something that cannot be done."""


class ProviderError(EngineError):
    """A plugin refused, failed or died."""


class PluginFailed(ProviderError):
    """The plugin process itself is the trouble: missing, does not start, or exited."""


class AlreadyExists(ProviderError):
    """Create found the resource there; `id` is its id, as far as the plugin named it."""

    def __init__(self, message: str, resource_id: str) -> None:
        super().__init__(message)
        self.id = resource_id


class InitFailed(ProviderError):
    """The resource exists but did not come up: it has an id and must be recorded."""

    def __init__(self, resource_id: str, outputs: Mapping[str, Any], reasons: Sequence[str]) -> None:
        super().__init__("; ".join(reasons) or "the resource was created but did not come up")
        self.id, self.outputs, self.reasons = resource_id, dict(outputs), list(reasons)


class Stopped(EngineError):
    """The deployment was stopped. The cause has been reported as a diagnostic."""


class EngineBug(EngineError):
    """Something that cannot happen did."""


# The status a failed request of the program is answered with. The SDK turns UNAVAILABLE into a quiet RunError: the
# cause has been shown by us already. A failed invoke may be caught by the program, so it must carry another status.
REGISTRATION_STATUS: Final[Mapping[type[EngineError], str]] = {
    ProgramError: "UNAVAILABLE",
    ProviderError: "UNAVAILABLE",
    Stopped: "UNAVAILABLE",
    EngineBug: "UNAVAILABLE",
    UsageError: "UNAVAILABLE",
}
INVOKE_STATUS: Final[Mapping[type[EngineError], str]] = {**REGISTRATION_STATUS, ProviderError: "UNKNOWN"}


def status_of(error: EngineError, table: Mapping[type[EngineError], str]) -> str:
    """The gRPC status name for an error: that of its nearest ancestor in the table."""
    return next((table[cls] for cls in type(error).__mro__ if cls in table), "UNAVAILABLE")
