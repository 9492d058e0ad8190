"""The command line of `python -m jobs`: one verb is run, and errors become exit codes here only."""

from __future__ import annotations

import io
import os
import sys

from .errors import JobsError
from .exits import Exit
from .parser import parse


def main(argv: list[str] | None = None) -> int:
    """Run one verb."""
    said = sys.stderr
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that its encoding has not is shown as an escape
            stream.reconfigure(errors="backslashreplace")
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
        print("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]), file=said, flush=True)
        return error.exit
    except KeyboardInterrupt:
        print("interrupted; what was submitted goes on", file=said, flush=True)
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; say nothing at exit either
        return Exit.OK
