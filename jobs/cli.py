"""The command line of `python -m jobs`: the parser, the table of verbs, and where errors become exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from . import collect, logs, nodes, report, submit, watch
from .clock import SystemClock
from .connection import connect
from .errors import JobsError, UsageError
from .exits import MEANING, Exit
from .render import Render
from .session import Session

VERBS = (submit, watch, report, logs, collect, nodes)


class Parser(argparse.ArgumentParser):
    """argparse's own way of leaving would hide the exit code in it."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See: {self.prog} --help")


def build_parser() -> Parser:
    """All verbs; what every verb takes is in the parent."""
    common = Parser(add_help=False)
    common.add_argument(
        "--stack", help="the stack whose outputs say where to go (default: local, where .local/cloud.json exists)"
    )
    common.add_argument("--outputs", type=Path, metavar="FILE", help="read the stack's outputs from a JSON file")
    common.add_argument("--json", action="store_true", help="data as JSON lines on stdout")
    parser = Parser(
        prog="python -m jobs",
        description="Submit work to Azure Batch and look at it.",
        epilog="exit codes: " + "; ".join(f"{code.value} {MEANING[code]}" for code in Exit),
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    for verb in VERBS:
        verb.register(verbs, [common])
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run one verb."""
    render = Render()
    try:
        arguments = build_parser().parse_args(argv)
        render = Render(as_json=arguments.json)
        session = Session(
            find_connection=lambda: connect(arguments.stack, arguments.outputs, os.environ),
            render=render,
            clock=SystemClock(),
        )
        return arguments.run(arguments, session)
    except JobsError as error:
        render.words("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]))
        return error.exit
    except KeyboardInterrupt:
        render.words("interrupted; what was submitted goes on")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; say nothing at exit either
        return Exit.OK
