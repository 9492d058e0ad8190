"""Tables, bars and colours as lines of text, drawn by rich: its only importer, loaded when something is drawn.

Everything from outside comes in as `Text`, never as rich's markup, and has gone through `visible`: an id like
`[red]x[/]` is shown as it is. rich knows how wide characters are, and cuts or folds what does not fit.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from .visible import visible

GAP: Final = 2  # cells between two columns
LONGEST_BAR: Final = 60
TASK_COLOURS: Final = ("cyan", "magenta", "yellow", "green", "blue", "bright_cyan", "bright_magenta", "bright_yellow")


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A column of a table. `keep`: never cut or folded, as ids that somebody copies; `most`: cells at most."""

    text: str
    number: bool = False
    keep: bool = False
    most: int | None = None


@dataclass(frozen=True)
class Cell:
    """What stands in a table; `colour` is one of rich's 16, empty for none."""

    text: str
    colour: str = ""


def lines(drawn: RenderableType, *, width: int, colours: bool) -> list[str]:
    """The lines of something that rich draws, none wider than `width`."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(width, 1),
        force_terminal=colours,
        color_system="standard" if colours else None,
        no_color=not colours,
        markup=False,
        emoji=False,
        highlight=False,
        legacy_windows=False,
    )
    console.print(drawn, soft_wrap=False)
    return [line.rstrip() for line in out.getvalue().removesuffix("\n").split("\n")]


def table(headings: Sequence[Heading], rows: Iterable[Sequence[Cell]], *, width: int, colours: bool) -> list[str]:
    """A table for a terminal: cells that do not fit are folded at words, or cut where the column has a `most`."""
    drawn = Table(
        box=None, show_edge=False, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold" if colours else ""
    )
    for heading in headings:
        drawn.add_column(
            Text(heading.text),
            justify="right" if heading.number else "left",
            no_wrap=heading.keep or heading.number or heading.most is not None,
            overflow="ellipsis" if heading.most is not None else "fold",
            max_width=heading.most,
        )
    for row in rows:
        drawn.add_row(*(Text(_one_line(cell.text), style=cell.colour) for cell in row))
    return lines(drawn, width=width, colours=colours)


def plain_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table for a file or a pipe: every cell whole, columns as wide as their widest cell."""
    cells = [list(headings), *([_one_line(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(headings))]
    for row in cells:
        padded = (cell + " " * (wide - cell_len(cell)) for cell, wide in zip(row, widths, strict=True))
        yield (" " * GAP).join(padded).rstrip()


def _one_line(text: str) -> str:
    return visible(" ".join(text.split()))


def bar(succeeded: int, failed: int, running: int, active: int, width: int, *, unicode: bool = True) -> Text:
    """Shares of the tasks as a bar; whatever there is has at least one cell."""
    signs = "██▒·" if unicode else "#x=."
    parts = ((succeeded, "green"), (failed, "red"), (running, "blue"), (active, "bright_black"))
    total = succeeded + failed + running + active
    width = max(4, min(width, LONGEST_BAR))
    if not total:
        return Text(signs[3] * width, style="bright_black")
    cells = [max(1, count * width // total) if count else 0 for count, _ in parts]
    most = max(range(4), key=cells.__getitem__)
    cells[most] += width - sum(cells)
    drawn = Text(no_wrap=True, overflow="crop")
    for cell, (_, colour), sign in zip(cells, parts, signs, strict=True):
        drawn.append(sign * cell, style=colour)
    return drawn


def one_line(*parts: str | tuple[str, str]) -> Text:
    """A line that is cut where the terminal ends: texts, or (text, colour)."""
    drawn = Text(no_wrap=True, overflow="ellipsis")
    for part in parts:
        text, colour = part if isinstance(part, tuple) else (part, "")
        drawn.append(visible(text, lines=False), style=colour)
    return drawn


def pieces(parts: Iterable[tuple[str, str]], between: str) -> Text:
    """Texts with their colours, folded between them where a line ends."""
    drawn = Text()
    for number, (text, colour) in enumerate(parts):
        drawn.append(between if number else "")
        drawn.append(visible(text, lines=False), style=colour)
    return drawn


def coloured(text: str, colour: str) -> str:
    """The text with the escape codes of a colour around it."""
    return Style.parse(colour).render(text, color_system=ColorSystem.STANDARD) if colour else text
