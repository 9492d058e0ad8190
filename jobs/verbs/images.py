"""`images`: what is in the stack's registry (repositories, tags, digests, age), and which pools use it."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .. import durations
from ..exits import Exit
from ..session import Session

if TYPE_CHECKING:
    from ..service.registry import Manifest


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repository", metavar="REPOSITORY", nargs="?", help="only this one")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    from ..service.registry import Registry  # loads requests, which `--help` does not need

    registry = Registry(session.connection)
    names = [arguments.repository] if arguments.repository else sorted(registry.repositories())
    found = [manifest for name in names for manifest in registry.manifests(name)]
    found.sort(key=lambda one: (one.repository, -(one.created.timestamp() if one.created else 0)))
    used = users(session, registry.server)
    outputs = session.connection.outputs
    worker = outputs.worker_image if outputs else ""
    if session.render.as_json:
        for one in found:
            session.render.record(
                {"registry": registry.server, **vars(one), "pools": pools_with(used, registry.server, one)}
            )
        return Exit.OK
    now = session.clock.now()
    session.render.data(f"registry {registry.server}")
    session.render.table(
        ("repository", "tags", "digest", "age", "used by"),
        (
            (
                one.repository,
                ", ".join(one.tags) or "-",
                one.digest[:19],
                durations.age(one.created, now),
                ", ".join(
                    [
                        *pools_with(used, registry.server, one),
                        *(["`image: worker`"] if worker.endswith(one.digest) else []),
                    ]
                )
                or "-",
            )
            for one in found
        ),
    )
    if not found:
        session.render.words("the registry is empty. Run up: it builds and pushes the worker image")
    return Exit.OK


def users(session: Session, server: str) -> dict[str, list[str]]:
    """Image reference -> the pools whose nodes fetch it when they start."""
    found: dict[str, list[str]] = {}
    outputs = session.connection.outputs
    by_start_task = outputs.pool_images if outputs else {}
    for pool in session.batch.pools():
        for image in {*pool.images, by_start_task.get(pool.id, "")}:
            if image.startswith(f"{server}/"):
                found.setdefault(image, []).append(pool.id)
    return found


def pools_with(used: dict[str, list[str]], server: str, one: Manifest) -> list[str]:
    name = f"{server}/{one.repository}"
    references = [f"{name}@{one.digest}", *(f"{name}:{tag}" for tag in one.tags)]
    return sorted({pool for reference in references for pool in used.get(reference, ())})
