"""The arguments of `submit`. What it does takes most of a second to load (pydantic, asyncio); `--help` needs none."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ... import durations
from ...exits import Exit
from ...terminal import asking
from .. import notification

if TYPE_CHECKING:
    from ...session import Session

EXAMPLES: Final = (
    "submit jobs/samples/hello.yaml",
    "submit jobs/samples/hello.yaml --watch --report --yes",
    "submit nightly.yaml weekly.yaml --yes",
    "submit - --yes < nightly.yaml",
    "submit nightly.yaml --resume --job-id nightly-7",
)
PATIENCE: Final = "10m"  # the submission's own default, as somebody would type it


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        type=Path,
        metavar="FILE",
        nargs="+",
        help="job files; all are checked before anything is sent; - is stdin",
    )
    asking.add_yes(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="print the definitions that would be sent, and send nothing"
    )
    parser.add_argument("--job-id", metavar="ID", help="instead of job.id of the file")
    parser.add_argument("--resume", action="store_true", help="go on with a submission that did not end")
    parser.add_argument(
        "--checkpoint",
        type=Path,
        metavar="FILE",
        help="instead of .jobs/JOB.checkpoint, for --resume; refused tasks are listed in JOB.failures.jsonl beside it",
    )
    parser.add_argument("--workers", type=_workers, default=32, metavar="N", help="requests at a time (default 32)")
    parser.add_argument(
        "--patience",
        type=durations.argument,
        default=PATIENCE,
        metavar="TIME",
        help="how long a service that is away, busy or failing is waited for, for example 2h (default 10m)",
    )
    parser.add_argument("--watch", action="store_true", help="watch the job to its end")
    parser.add_argument("--report", action="store_true", help="after watching, show each task's exit code and stdout")
    parser.add_argument(
        "--timeout", type=durations.argument, metavar="TIME", help="give up watching after this, for example 10m"
    )
    notification.add_notify(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    from . import submit

    return submit.run(arguments, session)


def _workers(text: str) -> int:
    """How many, for argparse: refused before a job is made."""
    from ...submission import MOST_WORKERS

    if not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"expected 1 to {MOST_WORKERS}, got {text!r}")
    return int(text)
