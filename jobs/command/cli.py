"""The command line of `python -m jobs`: one verb is run, and errors become exit codes here only."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from ..errors import NotFound, from_outside
from ..exits import Exit
from ..signals import Ended
from ..terminal.render import Render
from ..terminal.streams import lost_data
from ..terminal.wording import remember
from ..verbs import VERBS
from .parser import parse

if TYPE_CHECKING:
    from ..session import Session

WATCHING = ("submit", "watch", "wait")  # their exit code is the job's result, whatever became of what they printed


def main(argv: list[str] | None = None) -> int:
    """Run one verb."""
    render, arguments, session = Render(), None, None
    try:
        if "_ARGCOMPLETE" in os.environ:  # a shell asks at a TAB; this ends the process
            from .completion import answer

            answer(_session)
        arguments = parse(sys.argv[1:] if argv is None else argv)
        remember(VERBS, arguments.stack, arguments.outputs)
        as_json = arguments.json or getattr(arguments, "output", None) == "json"
        render = Render(as_json=as_json, as_is=getattr(arguments, "raw", False))
        session = _session(arguments, render)
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
        lines = [f"error: {error}", *getattr(exception, "__notes__", ())]
        if isinstance(error, NotFound) and arguments is not None and session is not None:
            from .suggestions import hint

            lines += filter(None, [hint(error, arguments, session)])
        render.words("\n".join(lines))
        return error.exit
    if lost := lost_data(render):
        render.words(f"error: {lost}")
        return Exit.MACHINE if code == Exit.OK and arguments.verb not in WATCHING else code
    return code


def _session(arguments: argparse.Namespace, render: Render | None = None) -> Session:
    """What a verb is given. Imported here, after the parser: `--help` loads none of these."""
    from ..clock import SystemClock
    from ..service.connection import connect
    from ..session import Session

    return Session(
        find_connection=lambda: connect(arguments.stack, arguments.outputs, os.environ),
        render=render or Render(),
        clock=SystemClock(),
    )
