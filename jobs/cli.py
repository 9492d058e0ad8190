"""The command line of `python -m jobs`: one verb is run, and errors become exit codes here only."""

from __future__ import annotations

import os
import sys

from .errors import from_outside
from .exits import Exit
from .parser import parse
from .signals import Ended
from .terminal.render import Render
from .terminal.streams import lost_data

WATCHING = ("submit", "watch")  # their exit code is the job's result, whatever became of what they printed


def main(argv: list[str] | None = None) -> int:
    """Run one verb."""
    render = Render()
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        from .clock import SystemClock  # after the parser: `--help` loads none of these
        from .service.connection import connect
        from .session import Session

        render = Render(as_json=arguments.json, as_is=getattr(arguments, "raw", False))
        session = Session(
            find_connection=lambda: connect(arguments.stack, arguments.outputs, os.environ),
            render=render,
            clock=SystemClock(),
        )
        code = arguments.run(arguments, session)
    except Ended as ended:
        render.words("ended from outside; what was submitted goes on")
        return ended.exit
    except KeyboardInterrupt:
        render.words("interrupted; what was submitted goes on")
        return Exit.INTERRUPTED
    except ImportError:
        raise  # `__main__.py` knows which Python has the packages
    except Exception as exception:
        error = from_outside(exception)
        render.words("\n".join([f"error: {error}", *getattr(exception, "__notes__", ())]))
        return error.exit
    if lost := lost_data(render):
        render.words(f"error: {lost}")
        return Exit.MACHINE if code == Exit.OK and arguments.verb not in WATCHING else code
    return code
