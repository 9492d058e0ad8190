"""What `--operate` allows: the verbs `cancel`, `retry` and `connect`, run as if they were typed."""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import UsageError
from ..session import Session
from ..terminal.render import Render
from ..verbs.arguments import batch_id
from ..verbs.manage import cancel
from ..verbs.pools import connect
from ..verbs.submit import retry

Action = Callable[[Session, Mapping[str, str]], dict[str, Any]]


def _cancel(session: Session, what: Mapping[str, str]) -> dict[str, Any]:
    tasks = [_id(what, "task")] if what.get("task") else []
    return _run(session, cancel.run, job=_id(what, "job"), tasks=tasks, yes=True)


def _retry(session: Session, what: Mapping[str, str]) -> dict[str, Any]:
    tasks = [_id(what, "task")] if what.get("task") else None
    return _run(session, retry.run, job=_id(what, "job"), task=tasks, new_job=False, dry_run=False, yes=True)


def _connect(session: Session, what: Mapping[str, str]) -> dict[str, Any]:
    """A user with a password that is in this one answer and kept nowhere."""
    return _run(
        session,
        connect.run,
        node=_id(what, "node"),
        pool=_id(what, "pool"),
        command=None,
        key=None,
        password=True,
        remove=None,
        admin=False,
        days=1,
        only_print=True,
    )


ACTIONS: Final[Mapping[str, Action]] = {"cancel": _cancel, "retry": _retry, "connect": _connect}


def _id(what: Mapping[str, str], name: str) -> str:
    try:
        return batch_id(str(what.get(name, "")))
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{name}: {error}") from error


def _run(session: Session, verb: Callable[[argparse.Namespace, Session], object], **arguments: Any) -> dict[str, Any]:
    """The verb's data and words."""
    out, err = io.StringIO(), io.StringIO()
    own = Session(
        find_connection=lambda: session.connection,
        render=Render(out=out, err=err),
        clock=session.clock,
        make_batch=lambda _: session.batch,
        make_blobs=lambda _: session.blobs,
    )
    verb(argparse.Namespace(**arguments), own)
    return {"data": out.getvalue().strip(), "words": err.getvalue().strip()}
