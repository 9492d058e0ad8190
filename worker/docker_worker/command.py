"""The worker's command line: its verbs, their arguments, and what each calls. Exit codes are `__main__`'s."""

from __future__ import annotations

import argparse
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import BinaryIO, Final, NoReturn

from . import VERSION, check, feed, handlers, items, schema, settings, signals
from .errors import MEANING, Exit, InputError, UsageError
from .log import Log, storable, units
from .run import Runner, RunSettings
from .signals import GRACE_SECONDS, Stop
from .sql import database
from .sql.session import PATIENCE_SECONDS, Session

Verb = Callable[[argparse.Namespace, Log, Stop], None]
SHORTEST_GRACE: Final = 2.0  # two statements of the shortest timeout that the driver knows
LEASE_SECONDS: Final = 60.0
MOST_TOLD: Final = 20  # rows that `enqueue` names one by one
KEPT: Final = "an item of this key has other data, and stays as it is"


class Parser(argparse.ArgumentParser):
    """argparse exits with 2; the worker's usage code is another."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(
            message, cause=f"usage: {self.format_usage().removeprefix('usage: ').strip()}", next_step="see --help"
        )


def seconds(text: str) -> float:
    """A time that is not negative, and is a number."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, 0 or more, got {text!r}")
    return value


def lease(text: str) -> float:
    """A lease: a day at most, since nobody else has the item that long."""
    value = seconds(text)
    if not 1 <= value <= 86400:
        raise argparse.ArgumentTypeError(f"expected 1 to 86400 seconds, got {text!r}")
    return value


def grace(text: str) -> float:
    """The time to stop in: statements are bounded by half of it."""
    value = seconds(text)
    if value < SHORTEST_GRACE:
        raise argparse.ArgumentTypeError(f"expected {SHORTEST_GRACE:g} seconds or more, got {text!r}")
    return value


def number(text: str) -> int:
    """A count of at least one."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {text!r}")
    return value


def queue_name(text: str) -> str:
    """A queue's name: as long as its column, and such that no collation takes it for another."""
    if not 1 <= units(text) <= 64:
        raise argparse.ArgumentTypeError(f"expected 1 to 64 characters, got {text!r}")
    if text != text.strip() or storable(text, 64) != text:
        raise argparse.ArgumentTypeError(
            f"expected no blank at its beginning or end and no control characters, got {text!r}"
        )
    return text


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

    run = verbs.add_parser("run", help="claim items of a queue by lease and call the handler, step by step")
    run.add_argument("--queue", required=True, type=queue_name, metavar="NAME")
    run.add_argument("--handler", metavar="MODULE:FUNCTION", help=f"default: ${settings.HANDLER}")
    run.add_argument("--until-empty", action="store_true", help="end when every item is done or dead")
    run.add_argument("--max-items", type=number, metavar="N", help="end after this many items")
    run.add_argument(
        "--lease", type=lease, default=LEASE_SECONDS, help="more than the longest step takes (%(default)g)"
    )
    run.add_argument("--grace", type=grace, default=GRACE_SECONDS, help="a signal ends us within this (%(default)g)")
    run.add_argument(
        "--max-attempts", type=number, default=RunSettings.max_attempts, help="failures of a step before a dead letter"
    )
    run.add_argument(
        "--retry-delay",
        type=seconds,
        default=RunSettings.retry_delay,
        help="after a failure; doubled with each (%(default)g)",
    )
    _add_patience(run)

    add = verbs.add_parser("enqueue", help="add the rows of a CSV or JSON lines file as items; those there stay")
    add.add_argument("--queue", required=True, type=queue_name, metavar="NAME")
    add.add_argument("file", help="a file, or - for standard input")
    add.add_argument("--format", choices=feed.FORMATS, help="default: by the file's name")
    add.add_argument("--key", metavar="COLUMN", help="what makes a row the same item (default: all of it)")
    _add_patience(add)

    status = verbs.add_parser("status", help="count items, show the oldest lease and the dead letters")
    status.add_argument("--queue", type=queue_name, metavar="NAME", help="default: all")
    _add_patience(status)

    requeue = verbs.add_parser("requeue", help="dead letters become pending again, at the step they died in")
    requeue.add_argument("--queue", required=True, type=queue_name, metavar="NAME")
    requeue.add_argument("--key", help="only the item with this key")
    _add_patience(requeue)

    migrate = verbs.add_parser("migrate", help="make or update the worker's tables, and a handler's")
    migrate.add_argument("--handler", metavar="MODULE:FUNCTION", help="apply its module's MIGRATIONS, too")
    _add_patience(migrate)

    wait = verbs.add_parser("wait", help="do nothing for a while; for testing signals")
    wait.add_argument("--seconds", type=seconds, required=True)
    return parser


def _add_patience(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--patience", type=seconds, default=PATIENCE_SECONDS, help="with a dead database, 75 after this (%(default)g)"
    )


@contextmanager
def session_of(arguments: argparse.Namespace, log: Log, stop: Stop) -> Iterator[Session]:
    """A session for the verb; its statements are bounded by half of the grace."""
    bound = max(1, min(settings.STATEMENT_SECONDS, int(getattr(arguments, "grace", GRACE_SECONDS) / 2)))
    sql = settings.load_sql(os.environ, statement_seconds=bound)
    session = Session(sql, database.connect, stop=stop, log=log, patience=arguments.patience)
    try:
        yield session
    finally:
        session.close()


def run_check(_arguments: argparse.Namespace, log: Log, _stop: Stop) -> None:
    check.check(settings.load_sql(os.environ), settings.load_task(os.environ), log=log, connect=database.connect)


def run_wait(arguments: argparse.Namespace, log: Log, stop: Stop) -> None:
    log("waiting", seconds=arguments.seconds, uid=os.getuid(), pid=os.getpid())
    if not stop.asked.wait(arguments.seconds):
        log("done")


def run_run(arguments: argparse.Namespace, log: Log, stop: Stop) -> None:
    handler = handlers.load(settings.load_handler(os.environ, arguments.handler))
    owner = settings.load_task(os.environ).owner()
    queue = items.Queue(name=arguments.queue, owner=owner, lease=arguments.lease)
    rules = RunSettings(
        until_empty=arguments.until_empty,
        max_items=arguments.max_items,
        max_attempts=arguments.max_attempts,
        retry_delay=arguments.retry_delay,
    )
    with session_of(arguments, log, stop) as session:
        schema.require(session)
        log("started", queue=arguments.queue, owner=owner, lease=arguments.lease, grace=arguments.grace)
        signals.watch_notices(settings.metadata_address(os.environ), stop, log)
        runner = Runner(session, queue, handler, rules, log=log, stop=stop)
        try:
            runner.run()
        finally:
            log("ended", **asdict(runner.totals))


def run_enqueue(arguments: argparse.Namespace, log: Log, stop: Stop) -> None:
    form = feed.format_of(arguments.file, arguments.format)
    run = f"enqueue/{uuid.uuid4().hex}"
    read = new = different = 0
    try:
        with session_of(arguments, log, stop) as session, _open(arguments.file) as stream:
            for rows in feed.batches(feed.rows(stream, form, arguments.key, name=arguments.file)):
                added = session.transact(
                    lambda tx, retried, rows=rows: items.add(tx, arguments.queue, rows, run=run, retried=retried)
                )
                read, new, different = read + len(rows), new + added.new, different + len(added.differing)
                for row in added.differing[: max(0, MOST_TOLD - different + len(added.differing))]:
                    log("kept", queue=arguments.queue, line=row.line, item=row.key, reason=KEPT)
                if stop.asked.is_set():
                    break
    finally:  # also when a line is wrong or the database is gone: what was added is there
        facts = {"read": read, "added": new, "there": read - new, "different": different}
        log("enqueued", queue=arguments.queue, **facts)


@contextmanager
def _open(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = open(name, "rb")  # noqa: PTH123, SIM115 - closed below
    except (OSError, ValueError) as error:
        raise InputError(f"{name!r} cannot be read", cause=str(error), next_step="give a file, or -") from error
    with stream:
        yield stream


def run_status(arguments: argparse.Namespace, log: Log, stop: Stop) -> None:
    with session_of(arguments, log, stop) as session:
        counts, dead = session.transact(lambda tx, retried: (items.counts(tx), items.dead_letters(tx, arguments.queue)))
    for name, facts in counts.items():
        if arguments.queue in (None, name):
            log("queue", queue=name, **facts)
    for letter in dead:
        log("dead_letter", **letter)


def run_requeue(arguments: argparse.Namespace, log: Log, stop: Stop) -> None:
    with session_of(arguments, log, stop) as session:
        count = session.transact(lambda tx, retried: items.requeue(tx, arguments.queue, arguments.key))
    log("requeued", queue=arguments.queue, items=count)


def run_migrate(arguments: argparse.Namespace, log: Log, stop: Stop) -> None:
    wanted = [(schema.COMPONENT, schema.MIGRATIONS)]
    if arguments.handler:
        wanted.append(handlers.migrations(arguments.handler))
    with session_of(arguments, log, stop) as session:
        for component, steps in wanted:
            version = schema.migrate(session, component=component, steps=steps, log=log)
            log("schema", component=component, version=version)


VERBS: dict[str, Verb] = {
    "check": run_check,
    "run": run_run,
    "enqueue": run_enqueue,
    "status": run_status,
    "requeue": run_requeue,
    "migrate": run_migrate,
    "wait": run_wait,
}
