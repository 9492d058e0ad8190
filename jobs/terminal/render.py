"""The only printer: data on stdout, words on stderr. With `--json` stdout has JSON only.

Printing is never part of the work: a stdout or stderr that takes nothing any more (a pipe whose reader left, a full
disk, a closed terminal) raises nothing here. What of the data could not be written is remembered in `lost`; `cli.py`
tells it at the end, and a verb whose output has no end stops when it sees it. Words for a pipe that is full, because
its reader does not read, are waited for `LONGEST_WAIT` and then dropped: the program goes on, and ends.

Text from outside is shown and never obeyed (`visible.py`): words always, data and tasks' output on a terminal.
Tables and colours are `drawing.py`'s, which is loaded when something is drawn.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import datetime
from typing import Any, Final, TextIO

from .visible import Decoder, in_json, visible
from .wording import folded, pasteable

LONGEST_WAIT: Final = 1.5  # seconds that words wait for a pipe with room


def add_raw(parser: argparse.ArgumentParser) -> None:
    """For verbs that print what tasks wrote."""
    parser.add_argument(
        "--raw", action="store_true", help="control characters as they are, also on a terminal, which obeys them"
    )


class Render:
    """Where everything is printed. One thread uses it. `as_is`: tasks' output unchanged also on a terminal."""

    def __init__(
        self, *, as_json: bool = False, as_is: bool = False, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.as_json = as_json
        self._as_is = as_is
        self._out = out or sys.stdout
        self._err = err or sys.stderr
        self._decoder = Decoder()
        self.lost: OSError | ValueError | None = None
        self._words_wait = LONGEST_WAIT

    def words(self, text: str) -> None:
        """Progress, plans and next steps: for people. A command of this program stands there as it can be pasted."""
        shown = visible(pasteable(text))
        if _is_terminal(self._err):
            shown = folded(shown, _size(self._err)[0])
        self.escape(f"{shown}\n")

    @property
    def words_descriptor(self) -> int | None:
        """The file descriptor that words go to, when it is one."""
        try:
            return self._err.fileno()
        except (AttributeError, OSError, ValueError):
            return None

    def escape(self, text: str) -> None:
        """Text with a terminal's escape codes, for people: drawn over what was there. Parts that come from outside
        must have gone through `visible`."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: closed
            if (descriptor := self.words_descriptor) is None or _is_terminal(self._err):
                self._err.write(text)
                self._err.flush()
            else:
                self._write_words(descriptor, text.encode(self._err.encoding, "backslashreplace"))

    @property
    def live(self) -> bool:
        """Whether words go to a terminal that can be drawn on again in place."""
        return _is_terminal(self._err) and not self.as_json and not _is_dumb()

    @property
    def on_terminal(self) -> bool:
        """Whether data goes to a terminal."""
        return _is_terminal(self._out)

    @property
    def shows_visibly(self) -> bool:
        """Whether tasks' output is shown with control characters as their escapes: on a terminal, without --raw."""
        return self.on_terminal and not self._as_is

    @property
    def colours(self) -> bool:
        """Whether stdout is a terminal that shows colours (https://no-color.org)."""
        return _is_terminal(self._out) and _wants_colours()

    @property
    def live_colours(self) -> bool:
        """Whether stderr is such a terminal."""
        return _is_terminal(self._err) and _wants_colours()

    @property
    def unicode(self) -> bool:
        """Whether both streams can write more than ASCII."""
        return _writes_unicode(self._out) and _writes_unicode(self._err)

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines of stdout's terminal, now: it may have been resized."""
        return _size(self._out)

    @property
    def live_size(self) -> tuple[int, int]:
        """Columns and lines of stderr's terminal, now."""
        return _size(self._err)

    def data(self, text: str) -> None:
        """One line of what was asked for."""
        self.drawn(visible(text) if _is_terminal(self._out) and not self._as_is else text)

    def drawn(self, text: str) -> None:
        """A line of data with our own colours in it. Parts that come from outside must have gone through `visible`."""
        self._write(lambda: self._out.write(f"{text}\n"))

    def raw(self, data: bytes, *, last: bool = False) -> None:
        """A piece of a task's output: its bytes as they are, on a terminal as visible text. `last`: nothing follows."""
        buffer = getattr(self._out, "buffer", None)
        if self._as_is or not _is_terminal(self._out):
            if buffer is not None:
                self._write(lambda: (self._out.flush(), buffer.write(data)))
                return
            self._write(lambda: self._out.write(data.decode(errors="replace")))
            return
        text = self._decoder.text(data, last=last)
        if last:
            self._decoder = Decoder()
        self._write(lambda: self._out.write(text))

    def record(self, value: Any) -> None:
        """One JSON value on a line of its own."""
        text = json.dumps(_fields(value), default=_plain, ensure_ascii=not _writes_unicode(self._out))
        self.drawn(in_json(text))

    def yaml(self, value: Any) -> None:
        """One value as an item of a YAML list: all of them are one document."""
        import yaml

        plain = json.loads(json.dumps(_fields(value), default=_plain))
        self.drawn(yaml.safe_dump([plain], sort_keys=False, allow_unicode=False).rstrip("\n"))

    def advice(self, text: str, hang: int = 2) -> None:
        """A line of data that is ours and may name a command of this program. On a terminal it is folded at words,
        its further lines `hang` cells more to the right."""
        text = pasteable(text)
        if self.on_terminal:
            text = folded(text, self.size[0], hang=hang)
        self.data(text)

    def table(self, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """A table without options of its own (see `table.py` for the others)."""
        from . import drawing

        if not self.on_terminal:
            lines: Iterable[str] = drawing.plain_table(header, ([str(cell) for cell in row] for row in rows))
        else:
            cells = ([drawing.Cell(str(cell)) for cell in row] for row in rows)
            headings = [drawing.Heading(text=text) for text in header]
            lines = drawing.table(headings, cells, width=self.size[0], colours=self.colours)
        for line in lines:
            self.drawn(line)

    def _write_words(self, descriptor: int, data: bytes) -> None:
        """In pieces for which a pipe that is ready has room. After words were dropped, later ones do not wait."""
        self._err.flush()
        ready = select.poll()
        ready.register(descriptor, select.POLLOUT)
        while data:
            if not ready.poll(self._words_wait * 1000):
                self._words_wait = 0.0
                return
            data = data[os.write(descriptor, data[: select.PIPE_BUF]) :]

    def _write(self, write: Callable[[], object]) -> None:
        """Write and flush, unless that failed before."""
        if self.lost is not None:
            return
        try:
            if self._out is None:  # Python's own: the descriptor was closed from the start
                raise OSError("it is closed")
            write()
            self._out.flush()
        except (OSError, ValueError) as error:
            self.lost = error


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _is_dumb() -> bool:
    """A terminal that knows no escape codes (`TERM=dumb`), or whose kind is not known at all."""
    return os.environ.get("TERM", "").casefold() in ("dumb", "unknown")


def _wants_colours() -> bool:
    return not os.environ.get("NO_COLOR") and not _is_dumb()


def _size(stream: TextIO | None) -> tuple[int, int]:
    """COLUMNS and LINES where somebody set them, else what the terminal says, else 80 and 24."""
    try:
        found = os.get_terminal_size(stream.fileno()) if stream is not None else os.terminal_size((0, 0))
    except (AttributeError, OSError, ValueError):
        found = os.terminal_size((0, 0))
    columns, rows = (
        int(given) if given.isdecimal() and 0 < int(given) < 10_000 else seen or usual
        for given, seen, usual in (
            (os.environ.get("COLUMNS", ""), found.columns, 80),
            (os.environ.get("LINES", ""), found.lines, 24),
        )
    )
    return columns, rows


def _fields(value: Any) -> Any:
    """A dataclass as a mapping; anything else as it is."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _writes_unicode(stream: TextIO | None) -> bool:
    return (getattr(stream, "encoding", None) or "utf-8").replace("-", "").lower().startswith("utf")


def _plain(value: object) -> str:
    """What JSON has no form for: times as ISO 8601, all else as its text."""
    return value.isoformat() if isinstance(value, datetime) else str(value)
