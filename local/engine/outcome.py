"""How a verb of the engine is run and shown, and what it leaves: options, exit codes, the outcome."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from local.engine.digest import changed

OK: Final = 0
UNEXPECTED_CHANGES: Final = 1
FAILED: Final = 255  # Pulumi's own, as is the next
CANCELLED: Final = 130


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a run is done and shown."""

    parallel: int = 16
    json: bool = False
    preview_only: bool = False  # refresh and destroy: say what would be done
    expect_no_changes: bool = False
    show_secrets: bool = False
    out: TextIO = field(default_factory=lambda: sys.stdout)
    err: TextIO = field(default_factory=lambda: sys.stderr)


@dataclass(frozen=True)
class Outcome:
    """What a run leaves: `outputs` as plain JSON, secrets hidden unless they were asked for."""

    exit_code: int
    digest: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether any resource was, or would be, changed."""
        return changed(self.digest.get("changeSummary", {}))
