"""A list that is asked for again and again: drawn in place on a terminal, elsewhere a line for each changed thing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from .. import durations
from ..errors import ServiceError, Throttled, Unreachable
from ..exits import Exit
from ..session import Session
from ..signals import Ended
from ..terminal.screen import Screen
from ..terminal.table import Listing, form_of
from ..terminal.visible import visible
from ..terminal.wording import folded

PAUSE: Final = 2.0  # seconds between two looks
OUTAGE: Final = 60.0  # seconds for which a service that answered before may be away
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Look(Generic[T]):
    """The things of this moment, lines to stand above them, and whether nothing will change any more."""

    things: Sequence[T]
    above: Sequence[str] = ()
    over: bool = False


def add_watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--watch", "-w", action="store_true", help="go on, showing what changes, until Ctrl-C")
    add_interval(parser, "with --watch: ")


def add_interval(parser: argparse.ArgumentParser, when: str = "") -> None:
    """`--interval` of a verb that looks again and again; `when` says when it counts."""
    parser.add_argument(
        "--interval",
        type=durations.argument,
        default=PAUSE,
        metavar="TIME",
        help=f"{when}time between two looks (default {PAUSE:g}s)",
    )


def watch_list(
    session: Session, arguments: argparse.Namespace, listing: Listing[T], ask: Callable[[], Look[T]]
) -> Exit:
    """Show what `ask` finds until it says that nothing changes any more. Ctrl-C is the usual end, and no error."""
    render = session.render
    form = form_of(arguments, render)
    in_place = render.live and render.on_terminal and form in ("table", "wide")
    try:
        if in_place:
            with Screen(render) as screen:
                for look in _looks(session, arguments.interval, ask):
                    now = session.clock.now()
                    things = listing.sorted(arguments, look.things, now)

                    def picture(
                        wide: int, high: int, look: Look[T] = look, things: list[T] = things, at: datetime = now
                    ) -> list[str]:
                        above = [line for one in look.above for line in _folded(one, wide)]
                        if not things:
                            return [*above, "(none)"]
                        return [*above, *listing.lines(arguments, render, things, at, width=wide)]

                    screen.draw(picture)
        else:
            shown: dict[str, Any] = {}
            for look in _looks(session, arguments.interval, ask):
                changed = [one for one in look.things if shown.get(listing.name(one)) != listing.record(one)]
                shown = {listing.name(one): listing.record(one) for one in look.things}
                listing.show(arguments, render, changed, session.clock.now())
                if render.lost:
                    return Exit.OK  # nobody reads the rest
    except Ended:
        raise
    except KeyboardInterrupt:
        pass
    return Exit.OK


def _folded(line: str, wide: int) -> list[str]:
    """A line of words, as lines that fit. One with colours in it was drawn for the terminal already."""
    return [line] if "\x1b" in line else folded(visible(line, lines=False), wide).split("\n")


def _looks(session: Session, pause: float, ask: Callable[[], Look[T]]) -> Iterator[Look[T]]:
    """Looks with pauses between them; a service that answered before may be away for a while."""
    last_answer: float | None = None
    while True:
        try:
            look = ask()
        except ServiceError as error:
            passes = isinstance(error, Unreachable | Throttled) or type(error) is ServiceError
            if not passes or last_answer is None or session.clock.monotonic() - last_answer >= OUTAGE:
                raise
        else:
            last_answer = session.clock.monotonic()
            yield look
            if look.over:
                return
        session.clock.sleep(pause)
