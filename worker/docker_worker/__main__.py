"""The worker's process: parse, run the verb in the work thread, turn the outcome into an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

from . import settings
from .command import VERBS, build_parser
from .errors import Exit, UsageError, WorkerError, signalled
from .log import Output, json_log, print_error
from .signals import GRACE_SECONDS, Work, finish, listening
from .sql.sql_errors import safe_text


def main(argv: list[str] | None = None) -> int:
    """Run one verb. The only place that knows exit codes of errors."""
    try:
        arguments = build_parser().parse_args(argv)
    except UsageError as error:
        print_error(*error.lines)
        return error.exit
    task = settings.load_task(os.environ)
    output = Output(1)
    log = json_log(output.write, job=task.job_id, task=task.task_id, node=task.node_id)
    grace = getattr(arguments, "grace", GRACE_SECONDS)
    with listening() as stop:
        work = Work(lambda: VERBS[arguments.verb](arguments, log, stop))
        work.start()
        ended = finish(work, stop, grace=grace)
        if stop.number is not None:
            if isinstance(work.error, WorkerError):
                print_error(*work.error.lines)
            unfinished = "" if ended else f"; the work did not end within {grace:g} s"
            if not ended and stop.at_once.is_set():
                unfinished = "; a second signal, so at once"
            print_error(f"stopped by {stop.reason}{unfinished}")
            return signalled(stop.number)
    if isinstance(work.error, WorkerError):
        print_error(*work.error.lines)
        return work.error.exit
    if work.error is not None:
        text = f"{type(work.error).__name__}: {safe_text(work.error)}"
        print_error(text, "  cause: a bug in the worker", "  next:  report it with these lines")
        return Exit.BUG
    if (
        output.failure is not None and arguments.verb != "run"
    ):  # what `run` did is in the database; else it is the result
        print_error(
            f"the result cannot be written to stdout: {output.failure}", "  next:  run it again with another stdout"
        )
        return Exit.BUG
    return Exit.OK


if __name__ == "__main__":
    code = main()
    with contextlib.suppress(OSError, ValueError):  # a handler may have closed it
        sys.stdout.flush()
    if threading.active_count() > 1:  # a thread stuck in the driver must not hold the process back
        os._exit(code)
    sys.exit(code)
