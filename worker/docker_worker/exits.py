"""Every exit code of the worker. Batch retries any code but 0, so they inform, and decide nothing."""

from enum import IntEnum
from typing import Final

SIGNALLED: Final = 128  # 128 + signal number: 143 SIGTERM, 130 SIGINT, 129 SIGHUP


class Exit(IntEnum):
    """Exit codes, numbered as in BSD's sysexits.h where it has the case."""

    OK = 0
    USAGE = 64
    INPUT = 65
    NO_HOST = 68
    NO_DATABASE = 69
    BUG = 70
    TRANSIENT = 75
    NOT_TRUSTED = 76
    REFUSED = 77
    CONFIG = 78


MEANING: Final[dict[Exit, str]] = {
    Exit.OK: "done",
    Exit.USAGE: "the command line is wrong",
    Exit.INPUT: "the file of items cannot be read",
    Exit.NO_HOST: "the server's name is not known",
    Exit.NO_DATABASE: "the server has no such database, or does not open it for us",
    Exit.BUG: "the worker itself or a statement of it failed",
    Exit.TRANSIENT: "the database or the identity endpoint did not answer; trying again may help",
    Exit.NOT_TRUSTED: "the server's certificate is not trusted",
    Exit.REFUSED: "the database refused the identity",
    Exit.CONFIG: "a setting or the worker's tables are missing or wrong",
}


def signalled(number: int) -> int:
    """The exit code of a process that stopped because of a signal, as shells write it."""
    return SIGNALLED + number
