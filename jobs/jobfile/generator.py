"""`python: "module:function"`: rows from a generator beside the job file. The function is run, also by `validate`."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import JobFileError


def rows_of(name: str, folder: Path, written: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(where, row) for every mapping that the function gives. What it raises is told with its file and line.

    `written` is where the job file names it.
    """
    module_name, _, function_name = name.partition(":")
    where = str(folder.resolve())
    sys.path.insert(0, where)
    try:
        function = getattr(importlib.import_module(module_name), function_name, None)
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
    except Exception as error:
        # Whatever the user's code raises; the last frame that is theirs says where.
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{last.filename}:{last.lineno}" if not last.filename.startswith("<") else written
        raise JobFileError([f"{place}: tasks.python: {type(error).__name__}: {error}"]) from error
    finally:
        if where in sys.path:
            sys.path.remove(where)


def _texts(row: Any, where: str) -> dict[str, str]:
    if not isinstance(row, Mapping) or any(
        not isinstance(value, str | int | float) or isinstance(value, bool) for value in row.values()
    ):
        raise JobFileError([f"{where}: expected a mapping of texts and numbers, got {row!r:.60}"])
    return {str(name): str(value) for name, value in row.items()}
