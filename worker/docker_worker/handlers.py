"""What a team writes, and how it is found.

A handler is an ordinary function `handle(item, step, tx)`. It is called with step 0, 1, 2, ... until it returns DONE
(or nothing). What it writes through `tx` and the step's checkpoint are one transaction: both happen, or neither. So it
need not be idempotent towards the database; it must be towards everything else (files, other services).
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn, cast

from .errors import UsageError
from .sql.sql_errors import safe_text
from .sql.transaction import Transaction


class Next(StrEnum):
    """What a handler returns."""

    MORE = "more"
    DONE = "done"


MORE: Final = Next.MORE
DONE: Final = Next.DONE


@dataclass(frozen=True, kw_only=True)
class Item:
    """One piece of work. `attempt` counts claims; `failures` counts those of the present step that came to nothing.

    `problem`: why no handler can have it, where the row is not one of ours.
    """

    id: int
    queue: str
    key: str
    data: Mapping[str, Any]
    step: int = 0
    attempt: int = 1
    failures: int = 0
    problem: str = ""


Handler = Callable[[Item, int, Transaction], "Next | str | None"]


class HandlerMistake(TypeError):
    """A handler returned what no handler may."""


def outcome(value: object) -> Next:
    """What the handler returned, as one of the two."""
    if value is None:
        return DONE
    try:
        return Next(value)  # type: ignore[arg-type]
    except ValueError:
        raise HandlerMistake(f"the handler returned {value!r}; return MORE, DONE or nothing") from None


def call(handler: Handler, item: Item, tx: Transaction) -> Next:
    """The handler's answer. A process that it forked ends here, however it comes out of the handler: it would go on as
    a second worker with the same lease and the same connection."""
    owner = os.getpid()
    try:
        answer = handler(item, item.step, tx)
    except BaseException as error:
        if os.getpid() != owner:
            _end_child(error)
        raise
    if os.getpid() != owner:
        _end_child(None)
    return outcome(answer)


def _end_child(error: BaseException | None) -> NoReturn:
    code = 0
    if isinstance(error, SystemExit):
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    elif error is not None:
        code = 1
        with contextlib.suppress(Exception):
            print(
                f"a process that the handler forked ended by {type(error).__name__}: {safe_text(error)}",
                file=sys.stderr,
            )
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code & 0xFF)


def load(reference: str) -> Handler:
    """The function behind `module:function`."""
    module, _, name = reference.partition(":")
    form = "Write module:function, for example docker_worker.examples.primes:handle"
    if not module or not name:
        raise UsageError(f"the handler is {reference!r}", cause="expected module:function", next_step=form)
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"the handler {reference!r} is not there", cause=str(error), next_step=form) from error
    except (Exception, SystemExit) as error:  # whatever a team's module does when it is imported
        text = f"{type(error).__name__}: {safe_text(error)}"
        raise UsageError(f"the module of handler {reference!r} fails", cause=text, next_step="correct it") from error
    if not callable(found):
        raise UsageError(f"the handler {reference!r} is no function", cause=f"it is {found!r}", next_step=form)
    return cast(Handler, found)


def migrations(reference: str) -> tuple[str, Sequence[Sequence[str]]]:
    """The name of a handler's module, and the tables it wants: MIGRATIONS, a list of lists of statements."""
    load(reference)
    module = importlib.import_module(reference.partition(":")[0])
    return module.__name__, getattr(module, "MIGRATIONS", ())
