"""`validate FILE ...`: everything that is wrong with job files, every task included. Nothing is sent."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from ...errors import JobFileError, UsageError
from ...exits import Exit, worst
from ...session import Session
from ...terminal.wording import counted

EXAMPLES: Final = ("validate nightly.yaml", "validate --offline nightly.yaml weekly.yaml")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", type=Path, nargs="+", help="job files; - is stdin")
    parser.add_argument(
        "--offline", action="store_true", help="without a stack: pools, families and the worker image are not checked"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    return worst([validate(path, session, offline=arguments.offline) for path in arguments.files])


def validate(path: Path, session: Session, *, offline: bool) -> Exit:
    """Check one file as `submit` does."""
    from ...plan.plan import check_file, plan_of  # with pydantic, which `--help` does not need

    render = session.render
    try:
        count = check_file(path) if offline else plan_of(path, session).count
    except UsageError as error:
        if not render.as_json:
            render.data(str(error))
        else:
            problems = error.problems if isinstance(error, JobFileError) else [error.in_one_line]
            render.record({"file": str(path), "valid": False, "problems": problems})
        return error.exit
    if render.as_json:
        render.record({"file": str(path), "valid": True, "tasks": count})
    else:
        render.data(f"{path}: good, {counted(count, 'task')}")
    return Exit.OK
