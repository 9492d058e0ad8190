"""What the set-up tells while it works."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]
