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
LEAST_FOLDED: Final = 10  # cells of a column that is folded so that ids stay whole
INDENT: Final = 4  # of text below its row
LEAST_FREE: Final = 28  # cells of a column of free text; with fewer it stands below
_MARK: Final = "\ue000"  # of Unicode's private use; taken out of what comes from outside
LONGEST_BAR: Final = 60
TASK_COLOURS: Final = ("cyan", "magenta", "yellow", "green", "blue", "bright_cyan", "bright_magenta", "bright_yellow")


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A column of a table, and what becomes of cells that do not fit.

    `keep`: never cut, as ids that somebody copies; they are folded when folding the others is not enough. `most`: cut
    after so many cells. `short`: neither. `free`: text of any length; where little room is left for it, it stands below
    its row. `spare`: left out where the table does not fit. Others are folded.
    """

    text: str
    number: bool = False
    keep: bool = False
    short: bool = False
    free: bool = False
    spare: bool = False
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
    """A table for a terminal, none of its lines wider than `width`."""
    found = [[Cell(_one_line(cell.text), cell.colour) for cell in row] for row in rows]
    headings, found = _without_spare(headings, found, width)
    below = next((place for place, one in enumerate(headings) if one.free), None)
    if below is None or width - _natural_width(headings, found, without=below) >= LEAST_FREE:
        whole = _ids_stay_whole(headings, found, width)
        return lines(_drawn(headings, found, colours, ids_whole=whole), width=width, colours=colours)
    # A column of marks shows where each row begins; it is taken off again.
    marked = [Heading(text=_MARK), *(one for one in headings if not one.free)]
    others = [[Cell(_MARK), *(cell for place, cell in enumerate(row) if place != below)] for row in found]
    lead = _MARK + " " * GAP
    whole = _ids_stay_whole(marked, others, width + len(lead))
    drawn = lines(_drawn(marked, others, colours, ids_whole=whole), width=width + len(lead), colours=colours)
    texts = iter(row[below] for row in found)
    result: list[str] = []
    text: Cell | None = None
    for number, line in enumerate((*drawn, _MARK)):
        if number and _MARK in line:  # the row before it ended
            if text is not None and text.text:
                folded = lines(Text(text.text, style=text.colour), width=max(1, width - INDENT), colours=colours)
                result += [f"{' ' * INDENT}{one}" for one in folded]
            text = next(texts, None)
        result.append(line.replace(lead, "", 1) if _MARK in line else line[len(lead) :])
    return result[:-1]


def _without_spare(
    headings: Sequence[Heading], rows: list[list[Cell]], width: int
) -> tuple[Sequence[Heading], list[list[Cell]]]:
    """Without as many of the spare columns, from the last on, as must go so that the others fit."""
    free = next((place for place, one in enumerate(headings) if one.free), None)
    if _natural_width(headings, rows, without=free) - GAP <= width:
        return headings, rows
    spare = next((place for place in reversed(range(len(headings))) if headings[place].spare), None)
    if spare is None:
        return headings, rows
    kept = [place for place in range(len(headings)) if place != spare]
    return _without_spare([headings[place] for place in kept], [[row[place] for place in kept] for row in rows], width)


def _natural_width(headings: Sequence[Heading], rows: Sequence[Sequence[Cell]], *, without: int | None) -> int:
    """How wide the table would be if all cells but those of one column were whole."""
    total = 0
    for place, heading in enumerate(headings):
        if place != without:
            widest = max((cell_len(row[place].text) for row in rows), default=0)
            total += max(cell_len(heading.text), min(widest, heading.most or widest)) + GAP
    return total


def _ids_stay_whole(headings: Sequence[Heading], rows: Sequence[Sequence[Cell]], width: int) -> bool:
    """Whether the table fits when the columns that may be folded are, and those to keep are not."""
    foldable = [place for place, one in enumerate(headings) if not (one.keep or _is_rigid(one))]
    others = [[cell for place, cell in enumerate(row) if place not in foldable] for row in rows]
    rigid = _natural_width([one for place, one in enumerate(headings) if place not in foldable], others, without=None)
    folded = sum(max(LEAST_FOLDED, cell_len(headings[place].text)) + GAP for place in foldable)
    return rigid + folded - GAP <= width


def _is_rigid(heading: Heading) -> bool:
    return heading.short or heading.number or heading.most is not None


def _drawn(
    headings: Sequence[Heading], rows: Iterable[Sequence[Cell]], colours: bool, *, ids_whole: bool = False
) -> Table:
    drawn = Table(box=None, show_edge=False, pad_edge=False, padding=(0, GAP, 0, 0), header_style="")
    for heading in headings:
        drawn.add_column(
            Text(heading.text),
            header_style="bold" if colours and heading.text != _MARK else "",
            justify="right" if heading.number else "left",
            no_wrap=_is_rigid(heading) or (heading.keep and ids_whole),
            overflow="ellipsis" if heading.most is not None else "fold",
            max_width=heading.most,
        )
    for row in rows:
        drawn.add_row(*(Text(cell.text, style=cell.colour) for cell in row))
    return drawn


def plain_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table for a file or a pipe: every cell whole, columns as wide as their widest cell."""
    cells = [list(headings), *([_one_line(cell) for cell in row] for row in rows)]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(headings))]
    for row in cells:
        padded = (cell + " " * (wide - cell_len(cell)) for cell, wide in zip(row, widths, strict=True))
        yield (" " * GAP).join(padded).rstrip()


def _one_line(text: str) -> str:
    return visible(" ".join(text.split())).replace(_MARK, "?")


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
