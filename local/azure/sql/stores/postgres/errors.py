"""PostgreSQL's errors in SQL Server's words: one table.

https://www.postgresql.org/docs/15/errcodes-appendix.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from local.azure.sql.errors import (
    ConstraintViolated,
    DeadlockVictim,
    InvalidColumn,
    InvalidObject,
    LockTimeout,
    NullRefused,
    ObjectExists,
    SqlError,
    Syntax,
    Unavailable,
)

Fields = dict[str, str]


def as_sql_error(fields: Fields, database: str) -> SqlError:
    """The refusal that a client of SQL Server would see."""
    code = fields.get("C", "")
    if code.startswith(("57P", "53")):
        return Unavailable(database)
    make = _TABLE.get(code)
    if make is None:
        text = fields.get("M", code)
        return Syntax(f"Incorrect syntax, or more than the local SQL Server stand-in can do: {text} ({code}).")
    return make(fields)


def _duplicate(fields: Fields) -> SqlError:
    kind = "PRIMARY KEY" if fields.get("n", "").endswith("_pkey") else "PRIMARY KEY or UNIQUE KEY"
    return ConstraintViolated(
        f"Violation of {kind} constraint '{fields.get('n', '')}'. Cannot insert duplicate key in object "
        f"'dbo.{fields.get('t', '')}'."
    )


def _null(fields: Fields) -> SqlError:
    return NullRefused(
        f"Cannot insert the value NULL into column '{fields.get('c', '')}', table 'dbo.{fields.get('t', '')}'; "
        "column does not allow nulls."
    )


def _conflict(fields: Fields) -> SqlError:
    return ConstraintViolated(
        f"The statement conflicted with the constraint '{fields.get('n', '')}' of table 'dbo.{fields.get('t', '')}'.",
        number=547,
    )


def _named(fields: Fields) -> str:
    found = re.search(r'"([^"]+)"', fields.get("M", "")) or re.search(r"column (\S+)", fields.get("M", ""))
    return found[1] if found else fields.get("M", "")


def _numbered(number: int, words: str) -> Callable[[Fields], SqlError]:
    return lambda fields: SqlError(f"{words} ({fields.get('M', '')})", number=number)


_TABLE: Final[dict[str, Callable[[Fields], SqlError]]] = {
    "23505": _duplicate,
    "23502": _null,
    "23503": _conflict,
    "23514": _conflict,
    "40P01": lambda _: DeadlockVictim(),
    "55P03": lambda _: LockTimeout(),
    "42P01": lambda fields: InvalidObject(_named(fields)),
    "42703": lambda fields: InvalidColumn(_named(fields)),
    "42P07": lambda fields: ObjectExists(_named(fields)),
    "42701": _numbered(2705, "Column names in each table must be unique."),
    "22001": _numbered(2628, "String or binary data would be truncated."),
    "22003": _numbered(8115, "Arithmetic overflow error converting expression to data type."),
    "22012": _numbered(8134, "Divide by zero error encountered."),
    "22P02": _numbered(245, "Conversion failed when converting the value to its data type."),
    "22007": _numbered(241, "Conversion failed when converting date and/or time from character string."),
    "22008": _numbered(242, "The conversion of a date or time resulted in an out-of-range value."),
}
