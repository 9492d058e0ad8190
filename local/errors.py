"""The exception of the local commands."""

from __future__ import annotations

from tools.errors import ExplainedError


class LocalError(ExplainedError):
    """A command of `python -m local` cannot go on."""
