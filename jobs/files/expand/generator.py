"""`python: "module:function"`: rows from a generator beside the job file. The function is run, also by `validate`."""

from __future__ import annotations

import datetime
import decimal
import importlib
import math
import numbers
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from types import ModuleType
from typing import Any, Final

from ... import text
from ...errors import JobFileError

MOST_BITS: Final = 3 * text.MOST_NUMBER  # of an integer: a digit has a third more


def rows_of(name: str, folder: Path, written: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(where, row) for every mapping that the function gives. What it raises is told with its file and line.

    `written` is where the job file names it. The module is loaded anew each time, so that a second pass begins as the
    first did, and that modules of one name beside two job files are two.
    """
    module_name, _, function_name = name.partition(":")
    where = str(folder.resolve())
    before = set(sys.modules)
    sys.path.insert(0, where)
    try:
        module = importlib.import_module(module_name)
        _check_beside(module, folder.resolve(), written)
        function = getattr(module, function_name, None)
        if not callable(function):
            raise JobFileError(
                [f"{written}: tasks.python: {module_name} has no function {function_name!r}; correct {name!r}"]
            )
        rows: Any = function()
        for number, row in enumerate(rows):
            yield f"{name}: item {number}", _texts(row, f"{name}: item {number}")
    except JobFileError:
        raise
    except GeneratorExit:
        raise
    except (Exception, SystemExit) as error:
        # Whatever the user's code raises; the last frame that is theirs says where.
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{last.filename}:{last.lineno}" if not last.filename.startswith("<") else written
        raise JobFileError([f"{place}: tasks.python: {type(error).__name__}: {error}"]) from error
    finally:
        if where in sys.path:
            sys.path.remove(where)
        for loaded in set(sys.modules) - before:
            if _is_below(sys.modules[loaded], Path(where)):
                del sys.modules[loaded]


def _is_below(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).resolve().is_relative_to(folder)


def _check_beside(module: ModuleType, folder: Path, written: str) -> None:
    """A module that Python has itself (`queue`, `json`) hides one of its name beside the job file."""
    beside = folder / f"{module.__name__.replace('.', '/')}.py"
    if beside.exists() and not _is_below(module, folder):
        raise JobFileError(
            [f"{written}: tasks.python: {module.__name__!r} is a module of Python itself; rename {beside}"]
        )


def _texts(row: Any, where: str) -> dict[str, str]:
    if not isinstance(row, Mapping) or not all(isinstance(name, str) for name in row):
        raise JobFileError([f"{where}: expected a mapping of texts and numbers, got {_shown(row)}"])
    found = {}
    for name, value in row.items():
        written = _text(value)
        if written is None:
            raise JobFileError(
                [f"{where}: expected a mapping of texts and numbers, got {_shown(row)}; write {name!r} as a text"]
            )
        if wrong := text.flaw(written) or text.flaw(name):
            raise JobFileError([f"{where}: {name!r}: {wrong}"])
        found[str.__str__(name)] = written
    return found


def _shown(row: Any) -> str:
    try:
        return f"{row!r:.60}"
    except ValueError:  # an integer of more digits than Python writes
        return "a number that is too long"


def _text(value: Any) -> str | None:
    """A value's text as docs/jobfile.md says; None for one that has none."""
    if isinstance(value, str):
        return str.__str__(value)  # also of an enumeration's member: its value
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, numbers.Integral):
        whole = int(value)
        return int.__repr__(whole) if whole.bit_length() <= MOST_BITS else None
    if isinstance(value, float):
        return float.__repr__(value) if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return str(value) if value.is_finite() else None
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value) if isinstance(value, PurePath) else None
