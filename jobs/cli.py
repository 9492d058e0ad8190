"""The command line of `python -m jobs`: one verb is run, and errors become exit codes here only."""

from __future__ import annotations

import os
import sys

from .errors import JobsError
from .exits import Exit
from .parser import parse
from .terminal.display import print_last


def main(argv: list[str] | None = None) -> int:
    """Run one verb."""
    _open_standard_streams()
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        from .clock import SystemClock  # after the parser: `--help` loads none of these
        from .service.connection import connect
        from .session import Session
        from .terminal.render import Render

        session = Session(
            find_connection=lambda: connect(arguments.stack, arguments.outputs, os.environ),
            render=Render(as_json=arguments.json),
            clock=SystemClock(),
        )
        return arguments.run(arguments, session)
    except JobsError as error:
        print_last("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]), sys.stderr)
        return error.exit
    except KeyboardInterrupt:
        print_last("interrupted; what was submitted goes on", sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; say nothing at exit either
        return Exit.OK


def _open_standard_streams() -> None:
    """If one is closed (`2>&-`), the next file that is opened would get its number, and what is written to it."""
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
