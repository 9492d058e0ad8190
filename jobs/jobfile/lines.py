"""Where each key and item of a job file was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

Place = tuple[str | int, ...]  # keys, and places in lists, from the top of the file


@dataclass(frozen=True)
class Lines:
    """The file's path, and the line of every place in it, from 1."""

    path: Path
    numbers: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of the place, or of the nearest one around it that was written."""
        while place and place not in self.numbers:
            place = place[:-1]
        return self.numbers.get(place, 1)

    def where(self, place: Place) -> str:
        return f"{self.path}:{self.line(place)}"
