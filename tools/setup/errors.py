"""The one exception of the set-up."""

from __future__ import annotations

from tools.errors import ExplainedError


class SetupError(ExplainedError):
    """A step cannot be done on this machine."""
