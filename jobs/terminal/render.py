"""The only printer: data on stdout, words on stderr. With `--json` stdout has JSON only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any, TextIO


class Render:
    """Where everything is printed. One thread uses it."""

    def __init__(self, *, as_json: bool = False, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self.as_json = as_json
        self._out, self._err = out or sys.stdout, err or sys.stderr

    def words(self, text: str) -> None:
        """Progress, plans and next steps: for people."""
        print(text, file=self._err, flush=True)

    @property
    def words_descriptor(self) -> int | None:
        """The file descriptor that words go to, when it is one."""
        try:
            return self._err.fileno()
        except (AttributeError, OSError, ValueError):
            return None

    def escape(self, text: str) -> None:
        """Text with a terminal's escape codes, for people: drawn over what was there."""
        self._err.write(text)
        self._err.flush()

    @property
    def live(self) -> bool:
        """Whether words go to a terminal, where a table can be drawn again in place."""
        return self._err.isatty() and not self.as_json

    @property
    def colours(self) -> bool:
        """Whether stdout is a terminal that shows colours (https://no-color.org)."""
        return self._out.isatty() and not os.environ.get("NO_COLOR")

    def data(self, text: str) -> None:
        """One line of what was asked for."""
        print(text, file=self._out, flush=True)

    def raw(self, data: bytes) -> None:
        """Bytes as they are: a task's output."""
        self._out.flush()
        buffer = getattr(self._out, "buffer", None)
        if buffer is None:
            self._out.write(data.decode(errors="replace"))
        else:
            buffer.write(data)
            buffer.flush()

    def record(self, value: Any) -> None:
        """One JSON value on a line of its own."""
        plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        print(json.dumps(plain, default=_plain, ensure_ascii=False), file=self._out, flush=True)

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Columns as wide as their widest cell; several lines in a cell are joined."""
        cells = [list(header), *([" ".join(str(cell).split()) for cell in row] for row in rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
        for row in cells:
            self.data("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _plain(value: object) -> str:
    """What JSON has no form for: times as ISO 8601, all else as its text."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
