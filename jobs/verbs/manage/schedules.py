"""`schedules`: the job schedules of the account, and what becomes of one. `submit` makes them from job files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Final

from ... import durations
from ...errors import UsageError
from ...exits import Exit
from ...service.schedules import ScheduleState
from ...session import Session
from ...terminal import asking
from ...terminal.table import Column, Listing, colour_of, form_of
from ..arguments import batch_id

EXAMPLES: Final = (
    "schedules",
    "schedules show nightly",
    "schedules disable nightly",
    "schedules enable nightly",
    "schedules delete nightly --yes",
)
ACTIONS: Final = ("show", "disable", "enable", "terminate", "delete")

LISTING: Final = Listing[ScheduleState](
    columns=(
        Column(name="schedule", text=lambda one, now: one.id, keep=True),
        Column(name="state", text=lambda one, now: one.state, colour=lambda one: colour_of(one.state), short=True),
        Column(name="every", text=lambda one, now: _every(one), key=lambda one, now: one.interval, short=True),
        Column(
            name="next",
            text=lambda one, now: one.next_run.strftime("%Y-%m-%d %H:%MZ") if one.next_run else "-",
            key=lambda one, now: one.next_run,
        ),
        Column(name="last job", text=lambda one, now: one.recent_job or "-"),
        Column(name="pool", text=lambda one, now: one.pool_id, most=24, spare=True),
        Column(name="family", text=lambda one, now: one.family or "-", wide=True),
        Column(
            name="age",
            text=lambda one, now: durations.age(one.created, now),
            key=lambda one, now: one.created and now - one.created,
            wide=True,
        ),
    ),
    name=lambda one: one.id,
    record=lambda one: one,
)


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        metavar="ACTION ID",
        nargs="*",
        help="nothing: all are listed; show: one, with its times; disable: it makes no job until it is enabled; "
        "terminate: it makes no further job, and its job is ended; delete: it and all of its jobs go",
    )
    asking.add_yes(parser)
    LISTING.options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    words: list[str] = arguments.words
    if not words:
        return _list(arguments, session)
    action, *ids = words
    if action not in ACTIONS:
        raise UsageError(
            f"{action!r} is no action", next_step=f"write one of {', '.join(ACTIONS)}, as in: schedules show {action}"
        )
    if not ids:
        raise UsageError("no job schedule is named", next_step=f"name it: python -m jobs schedules {action} ID")
    found = [session.batch.schedule(_id(one)) for one in ids]  # all exist, or nothing is done
    if action == "show":
        return _show(arguments, session, found)
    return _change(action, arguments, session, found)


def _id(word: str) -> str:
    try:
        return batch_id(word)
    except argparse.ArgumentTypeError as error:
        raise UsageError(str(error)) from error


def _list(arguments: argparse.Namespace, session: Session) -> Exit:
    found = sorted(session.batch.schedules(), key=lambda one: one.id)
    LISTING.show(arguments, session.render, found, session.clock.now())
    if not found:
        session.render.words("there are no job schedules. Submit a file with `schedule`: python -m jobs submit FILE")
    return Exit.OK


def _show(arguments: argparse.Namespace, session: Session, found: Sequence[ScheduleState]) -> Exit:
    render = session.render
    if form_of(arguments, render) != "table" or arguments.columns:
        LISTING.show(arguments, render, found, session.clock.now())
        return Exit.OK
    for one in found:
        for name, value in (
            ("schedule", one.id),
            ("state", one.state),
            ("every", _every(one)),
            ("not before", _time(one.until)),
            ("not after", _time(one.after)),
            ("window", durations.words(one.window.total_seconds()) if one.window else ""),
            ("next job", _time(one.next_run)),
            ("last job", one.recent_job),
            ("ended", _time(one.ended)),
            ("pool", one.pool_id),
            ("family", one.family),
            ("command", one.command),
        ):
            if value:
                render.data(f"{name:<10} {value}")
        if one.recent_job:
            render.words(f"next: python -m jobs show {one.recent_job}")
    return Exit.OK


def _change(action: str, arguments: argparse.Namespace, session: Session, found: Sequence[ScheduleState]) -> Exit:
    render, batch, names = session.render, session.batch, ", ".join(one.id for one in found)
    lost = {
        "terminate": "the job of each is ended",
        "delete": "all of their jobs are deleted; output in containers stays",
    }
    if action in lost and not asking.agreed(f"{action} {names}: {lost[action]}?", yes=arguments.yes):
        render.words("nothing was done")
        return Exit.OK
    calls: dict[str, tuple[Callable[[str], None], str]] = {
        "disable": (batch.disable_schedule, "makes no job until it is enabled: python -m jobs schedules enable {0}"),
        "enable": (batch.enable_schedule, "makes jobs again"),
        "terminate": (batch.terminate_schedule, "makes no further job, and its job is being ended"),
        "delete": (batch.delete_schedule, "and its jobs are being deleted"),
    }
    call, told = calls[action]
    for one in found:
        call(one.id)
        if render.as_json:
            render.record({"schedule": one.id, "action": action})
        render.words(f"schedule {one.id} {told.format(one.id)}")
    return Exit.OK


def _every(one: ScheduleState) -> str:
    return durations.words(one.interval.total_seconds()) if one.interval else "once"


def _time(instant: object) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}Z" if instant else ""
