"""What scenarios measured, printed at the end of the run. Each process of a parallel run sends its own."""

from __future__ import annotations

FIGURES: list[str] = []
