"""`submit FILE ...`: check everything, show the plan, ask, submit, and watch if asked to.

Its arguments are in `options.py`, what becomes of each plan in `submission.py` and `schedule.py`.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ...errors import UsageError
from ...exits import Exit, worst
from ...files.document import STDIN
from ...files.model.fields import ID
from ...plan.plan import Plan, plan_of
from ...session import Session
from ...state import submitted
from ...terminal import asking
from ...terminal.display import Display
from ...terminal.render import Render
from ...terminal.wording import counted
from .. import notification
from ..look import watch
from ..output import report
from . import schedule
from .submission import CHECKPOINTS, IdTaken, Outcome, Submission, input_key

MOST_SAME: Final = 100  # submissions of one family in one second


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    display = Display(session.render)
    _check_together(arguments)
    each = [argparse.Namespace(**{**vars(arguments), "file": file}) for file in arguments.files]
    plans = [_checked(one, session, display) for one in each]  # all of them, before anything is sent
    if arguments.dry_run:
        _print_definitions(plans, session.render)
        return Exit.OK
    question = _show(plans, session, display)
    if (arguments.watch or arguments.report or arguments.resume) and any(plan.schedule for plan in plans):
        raise UsageError(
            "a schedule makes its jobs later: --watch, --report and --resume are for files without one",
            next_step="leave them out",
        )
    if not asking.agreed(question, yes=arguments.yes):
        display.words("nothing was sent")
        return Exit.OK
    job_ids = []
    for plan, one in zip(plans, each, strict=True):
        if plan.schedule is not None:
            schedule.submit(plan, session, display, arguments.patience)
        else:
            job_ids.append(_submit(plan, one, session, display))
    if arguments.watch or arguments.report:
        return _watch(job_ids, arguments, session)
    for job_id in job_ids:
        display.words(f"next: python -m jobs watch {job_id}")
    return Exit.OK


def _check_together(arguments: argparse.Namespace) -> None:
    """Options that are of one submission. Raises `UsageError`."""
    if len(arguments.files) == 1:
        return
    if arguments.job_id or arguments.resume or arguments.checkpoint:
        raise UsageError(
            "--job-id, --resume and --checkpoint are of one job", next_step="submit the files one after the other"
        )
    if arguments.files.count(STDIN) > 1:
        raise UsageError("stdin can be read once", next_step="give - once")


def _checked(arguments: argparse.Namespace, session: Session, display: Display) -> Plan:
    job_id = arguments.job_id
    if arguments.resume and job_id is None:
        job_id = submitted.resumable(arguments.checkpoint, CHECKPOINTS)
    return plan_of(arguments.file, session, job_id=job_id, progress=display.progress)


def _print_definitions(plans: Sequence[Plan], render: Render) -> None:
    """What would be sent, as the service would get it."""
    for plan in plans:
        for definition in [plan.schedule] if plan.schedule else itertools.chain([plan.job], plan.definitions()):
            render.data(json.dumps(definition, indent=None if render.as_json else 2))


def _show(plans: Sequence[Plan], session: Session, display: Display) -> str:
    """Show the plans; the question to ask. An input that was submitted before is asked about as such."""
    question = "submit?"
    for plan in plans:
        display.words(plan.summary())
        if plan.own_id and (before := submitted.latest(input_key(plan, session))) is not None:
            display.words(
                f"this input was submitted already, as job {before.job} "
                f"({counted(before.tasks, 'task')}, {before.at}); a new job runs all of it again"
            )
            question = "submit it again?"
    return question


def _submit(plan: Plan, arguments: argparse.Namespace, session: Session, display: Display) -> str:
    """Submit one plan; the id of its job."""
    outcome = _submit_under_a_free_id(plan, arguments, session, display)
    tasks = counted(outcome.result.accepted, "task")
    if outcome.already:
        display.words(f"already submitted, complete: job {outcome.job_id} has all {tasks}")
    else:
        display.words(f"submitted {tasks} as job {outcome.job_id}")
    return outcome.job_id


def _submit_under_a_free_id(plan: Plan, arguments: argparse.Namespace, session: Session, display: Display) -> Outcome:
    """An id made of the time may be taken by a submission of the same second: then the next one is tried."""
    first = plan.job_id
    for number in range(2, MOST_SAME):
        try:
            return Submission(plan, arguments, session, display).run()
        except IdTaken:
            following = f"{first}-{number}"
            if not ID.fullmatch(following):
                raise
            plan.spool.close()
            # Read and checked anew, under its new id.
            plan = replace(plan_of(arguments.file, session, job_id=following), own_id=True)
            display.words(f"job {first} was made by another submission just now; this one is job {following}")
    raise IdTaken(f"jobs {first} to {first}-{MOST_SAME - 1} exist. Submit under a --job-id")


def _watch(job_ids: Sequence[str], arguments: argparse.Namespace, session: Session) -> Exit:
    """Watch one job after the other to its end, and report it if asked to."""
    ended = []
    for job_id in job_ids:
        ended.append(watch.follow(session, job_id, timeout=arguments.timeout, notify=notification.of(arguments)))
        if arguments.report:
            report.show(session, job_id)
    return worst(ended)
