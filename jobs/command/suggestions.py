"""Names that the service knows: offered at a TAB, and as the nearest one to a name that does not exist."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from ..errors import JobsError, NotFound
from ..session import Session
from ..terminal.wording import did_you_mean
from ..verbs import VERBS

# The service's code for what does not exist -> the kind of its name, and the arguments that may have it.
NOT_FOUND: Final = {
    "JobNotFound": ("job", ("job", "jobs")),
    "TaskNotFound": ("task", ("task", "tasks")),
    "PoolNotFound": ("pool", ("pool", "pools", "old", "to")),
}
MOST: Final = 500  # names that are offered or compared


def names(kind: str, session: Session, arguments: argparse.Namespace) -> Iterable[str]:
    """The names of a kind (job, task, pool, node, repository, verb) that exist."""
    if kind == "verb":
        return VERBS
    batch = session.batch
    if kind == "job":
        return (job.id for job in batch.jobs(""))
    if kind == "task":
        return (task.id for task in batch.some_tasks(arguments.job, "changed", MOST))
    outputs = session.connection.outputs
    if kind == "pool":
        second_words = [verb.split()[1] for verb in VERBS if verb.startswith(f"{arguments.verb} ")]
        return dict.fromkeys([*second_words, *(outputs.pools if outputs else ()), *(pool.id for pool in batch.pools())])
    if kind == "node":
        pools = outputs.pools.values() if outputs else [pool.id for pool in batch.pools()]
        return (node.id for pool in pools for node in batch.nodes(pool))
    from ..service.registry import Registry

    return Registry(session.connection).repositories()


def hint(error: NotFound, arguments: argparse.Namespace, session: Session) -> str:
    """`did you mean 'nightly-1'?` for the argument that named what does not exist; empty without a near name.

    The service is asked for what there is, once and not for all of it; whether it answers changes no outcome.
    """
    kind, places = NOT_FOUND.get(error.code, ("", ()))
    for place in places:
        value = getattr(arguments, place, None)
        for given in [value] if isinstance(value, str) else value or ():
            with suppress(JobsError):
                known = list(itertools.islice(names(kind, session, arguments), MOST))
                if given not in known and (near := did_you_mean(given, known)):
                    return near.removeprefix("; ")
    return ""
