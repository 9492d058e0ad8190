"""The worker's command line: parse, run the verb in the worker thread, turn the outcome into an exit code."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from . import VERSION, check, database, lines, settings
from .errors import UsageError, WorkerError
from .exits import MEANING, Exit, signalled
from .signals import GRACE_SECONDS, Stop, Work, finish, listening

Verb = Callable[[argparse.Namespace, lines.Say, Stop], None]


class Parser(argparse.ArgumentParser):
    """argparse exits with 2; the worker's usage code is another."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(
            message, cause=f"usage: {self.format_usage().removeprefix('usage: ').strip()}", next_step="See --help"
        )


def seconds(text: str) -> float:
    """A time that is not negative, and is a number."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more, got {text!r}")
    return value


def build_parser() -> Parser:
    """All verbs and their arguments."""
    epilog = (
        "exit codes: " + "; ".join(f"{code.value} {MEANING[code]}" for code in Exit) + "; 128+n stopped by signal n"
    )
    parser = Parser(
        prog="docker-worker", description="Work against SQL Server from inside a Batch task.", epilog=epilog
    )
    parser.add_argument("--version", action="version", version=f"docker-worker {VERSION}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    verbs.add_parser("check", help="reach SQL Server; print its version, our identity, and a row written and read back")
    wait = verbs.add_parser("wait", help="do nothing for a while; for testing signals")
    wait.add_argument("--seconds", type=seconds, required=True)
    return parser


def run_check(_arguments: argparse.Namespace, say: lines.Say, _stop: Stop) -> None:
    check.check(settings.load_sql(os.environ), settings.load_task(os.environ), say=say, connect=database.connect)


def run_wait(arguments: argparse.Namespace, say: lines.Say, stop: Stop) -> None:
    say("waiting", seconds=arguments.seconds, uid=os.getuid(), pid=os.getpid())
    if not stop.asked.wait(arguments.seconds):
        say("done")


VERBS: dict[str, Verb] = {"check": run_check, "wait": run_wait}


def main(argv: list[str] | None = None) -> int:
    """Run one verb. The only place that knows exit codes of errors."""
    try:
        arguments = build_parser().parse_args(argv)
    except UsageError as error:
        lines.complain(str(error))
        return error.exit
    with listening() as stop:
        work = Work(lambda: VERBS[arguments.verb](arguments, lines.to(sys.stdout), stop))
        work.start()
        ended = finish(work, stop)
        if stop.number is not None:
            name = signal.Signals(stop.number).name
            lines.complain(
                f"stopped by {name}" + ("" if ended else f"; the work did not end within {GRACE_SECONDS:g} s")
            )
            return signalled(stop.number)
    if isinstance(work.error, WorkerError):
        lines.complain(str(work.error))
        return work.error.exit
    if work.error is not None:
        lines.complain(f"{type(work.error).__name__}: {work.error}; a bug in the worker. Report it with this line")
        return Exit.BUG
    return Exit.OK


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    if threading.active_count() > 1:  # a thread stuck in the driver must not hold the process back
        os._exit(code)
    sys.exit(code)
