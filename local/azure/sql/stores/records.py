"""What sessions and the store of databases (`postgres/`) say to each other: plain records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from local.azure.sql.tds.values import Row

MASTER: Final = "master"
Look = Callable[[], None]  # called while a statement waits; raises Attention when the client cancelled it


class KeyTaken(Exception):
    """A catalog row is there already."""


@dataclass(frozen=True)
class Result:
    """What a statement gave: `columns` is None for one without rows."""

    columns: tuple[str, ...] | None
    rows: list[Row]
    count: int


@dataclass(frozen=True)
class Facts:
    """What a session's functions answer: ORIGINAL_LOGIN(), USER_NAME(), DB_NAME()."""

    login: str
    user: str
    database: str
