"""What a verb lists, in the form that is asked for: `-o table|wide|json|yaml|name`, `--columns`, `--sort`.

A verb says once which columns its things have (`Column`) and what stands in their JSON; everything else is here. On a
terminal a table is drawn to the terminal's width; to a file or a pipe every cell is whole.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from ..errors import UsageError
from .render import Render
from .wording import did_you_mean

WHOLE: Final = 10_000  # cells: as wide as the table is
FORMS: Final = ("table", "wide", "json", "yaml", "name")
# State of a job, task, node or pool -> its colour. What is not named has none.
COLOURS: Final = {
    "succeeded": "green",
    "idle": "green",
    "failed": "red",
    "running": "blue",
    "preparing": "cyan",
    "active": "",
    "creating": "cyan",
    "starting": "cyan",
    "waitingforstarttask": "cyan",
    "starttaskfailed": "red",
    "unusable": "red",
    "unknown": "red",
    "preempted": "magenta",
    "rebooting": "yellow",
    "reimaging": "yellow",
    "upgradingos": "yellow",
    "leavingpool": "bright_black",
    "offline": "bright_black",
    "deallocating": "bright_black",
    "deallocated": "bright_black",
    "deleting": "bright_black",
    "disabled": "yellow",
    "terminating": "yellow",
}
T = TypeVar("T")


def colour_of(state: str) -> str:
    return COLOURS.get(state, "")


@dataclass(frozen=True, kw_only=True)
class Column(Generic[T]):
    """A column: its name (also its heading), what its cell shows of a thing at a time, and how it is sorted.

    `key` is the value that is sorted by (None: unknown, last); without one the text is. `wide`: shown with `-o wide`
    only, or when it is named. `keep`, `short`, `free`, `spare` and `most` are `drawing.Heading`'s; with `-o wide` and
    --columns nothing is spare, and `-o wide` cuts nothing.
    """

    name: str
    text: Callable[[T, datetime], object]
    key: Callable[[T, datetime], Any] | None = None
    colour: Callable[[T], str] | None = None
    number: bool = False
    wide: bool = False
    keep: bool = False
    short: bool = False
    free: bool = False
    spare: bool = False
    most: int | None = None


@dataclass(frozen=True, kw_only=True)
class Listing(Generic[T]):
    """Things of one kind: their columns, the name of each, and what is told of each in JSON and YAML."""

    columns: Sequence[Column[T]]
    name: Callable[[T], str]
    record: Callable[[T], Any]

    def options(self, parser: argparse.ArgumentParser) -> None:
        """`-o`, `--columns` and `--sort` for a verb that lists these."""
        names = ", ".join(column.name for column in self.columns)
        parser.add_argument(
            "--output", "-o", choices=FORMS, help="table (default), wide with all columns, json (as --json), yaml, name"
        )
        parser.add_argument(
            "--columns", metavar="A,B", type=self._chosen, help=f"only these columns, in this order: {names}"
        )
        parser.add_argument("--sort", metavar="COLUMN", type=self._column, help="sort by this column")
        parser.add_argument("--reverse", action="store_true", help="the other way round")

    def sorted(self, arguments: argparse.Namespace, things: Iterable[T], now: datetime) -> list[T]:
        """The things in the order that is asked for; what a column does not know comes last either way."""
        found = list(things)
        if (column := arguments.sort) is not None:
            key = column.key or (lambda thing, at: str(column.text(thing, at)).casefold())
            known = [(value, number) for number, thing in enumerate(found) if (value := key(thing, now)) is not None]
            known.sort(key=lambda one: one[0], reverse=arguments.reverse)
            places = {number for _, number in known}
            rest = [thing for number, thing in enumerate(found) if number not in places]
            return [*(found[number] for _, number in known), *rest]
        return found[::-1] if arguments.reverse else found

    def show(
        self,
        arguments: argparse.Namespace,
        render: Render,
        things: Iterable[T],
        now: datetime,
        *,
        ordered: bool = False,
    ) -> None:
        """Print the things in the form that is asked for. `ordered`: they are sorted already."""
        form = form_of(arguments, render)
        found = list(things) if ordered else self.sorted(arguments, things, now)
        if form == "name":
            for thing in found:
                render.data(self.name(thing))
        elif form in ("json", "yaml"):
            for thing in found:
                (render.record if form == "json" else render.yaml)(self.record(thing))
        elif found:
            whole = arguments.output == "wide"  # its lines are the terminal's to break, where they do not fit
            for line in self.lines(arguments, render, found, now, width=WHOLE if whole else render.size[0]):
                render.drawn(line)

    def lines(
        self, arguments: argparse.Namespace, render: Render, things: Sequence[T], now: datetime, *, width: int
    ) -> list[str]:
        """The table's lines, drawn for stdout; on a terminal none is wider than `width`."""
        from . import drawing

        wide, named = arguments.output == "wide", bool(arguments.columns)
        chosen = arguments.columns or [one for one in self.columns if wide or not one.wide]
        if not render.on_terminal:
            texts = ([str(one.text(thing, now)) for one in chosen] for thing in things)
            return list(drawing.plain_table([one.name for one in chosen], texts))
        headings = [
            drawing.Heading(
                text=one.name,
                number=one.number,
                keep=one.keep,
                short=one.short,
                free=one.free,
                spare=one.spare and not (wide or named),
                most=None if wide else one.most,
            )
            for one in chosen
        ]
        cells = (
            [drawing.Cell(str(one.text(thing, now)), one.colour(thing) if one.colour else "") for one in chosen]
            for thing in things
        )
        return drawing.table(headings, cells, width=width, colours=render.colours)

    def _column(self, name: str) -> Column[T]:
        for column in self.columns:
            if column.name == name.strip().casefold():
                return column
        known = [column.name for column in self.columns]
        near = did_you_mean(name, known) or f"; there are: {', '.join(known)}"
        raise argparse.ArgumentTypeError(f"there is no column {name!r}{near}")

    def _chosen(self, names: str) -> list[Column[T]]:
        return [self._column(name) for name in names.split(",")]


def form_of(arguments: argparse.Namespace, render: Render) -> str:
    """The form in which data is printed. Raises `UsageError` for options that contradict one another."""
    form = arguments.output or ("json" if render.as_json else "table")
    if render.as_json and form != "json":
        raise UsageError(f"--json and -o {form} ask for two forms", next_step="give one of them")
    if arguments.columns and form not in ("table", "wide"):
        raise UsageError(
            f"--columns is for tables; -o {form} has everything that is known", next_step="leave one of the two out"
        )
    return form
