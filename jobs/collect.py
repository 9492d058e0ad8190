"""`collect JOB DIR`: download everything the job left in its container. A file is complete or not there."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from typing import Any, Final

from .errors import NotFound, ServiceError, UsageError
from .exits import Exit
from .session import Session
from .storage import Blob, Blobs

WORKERS: Final = 8


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("folder", metavar="DIR", type=Path)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    job = session.batch.job(arguments.job)
    if not job.container:
        raise UsageError(
            f"job {job.id} was submitted without a stack, so it has no container. Use: python -m jobs logs {job.id}"
        )
    done, kept = collect(session, job.container, f"{job.id}/", arguments.folder)
    if session.render.as_json:
        session.render.record({"job": job.id, "folder": str(arguments.folder), "downloaded": done, "present": kept})
    else:
        session.render.words(f"{done} files downloaded to {arguments.folder}, {kept} were there already")
    return Exit.OK


def collect(session: Session, container: str, prefix: str, folder: Path) -> tuple[int, int]:
    """Download in parallel. Returns how many files were downloaded, and how many were there with the same size."""
    blobs, wanted, kept = session.blobs, [], 0
    for blob in blobs.list(container, prefix):
        target = place(folder, blob.name.removeprefix(prefix))
        if target.is_file() and target.stat().st_size == blob.size:
            kept += 1
        else:
            wanted.append((blob, target))
    if not wanted and not kept:
        raise NotFound(
            f"{container}/{prefix} has no files yet. Tasks upload when they end: python -m jobs watch {prefix[:-1]}"
        )
    done = 0
    with ThreadPoolExecutor(WORKERS) as pool:
        futures = {pool.submit(_download, blobs, container, blob, target): blob for blob, target in wanted}
        try:
            for future in as_completed(futures):
                future.result()
                done += 1
        except (ServiceError, OSError, KeyboardInterrupt):
            pool.shutdown(cancel_futures=True)
            session.render.words(
                f"stopped: {done} of {len(wanted)} files are in {folder}; the same command goes on from there"
            )
            raise
    return done, kept


def place(folder: Path, name: str) -> Path:
    """Where a blob goes. A task chooses its blobs' names, so none may lead out of the folder."""
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or parts[0] == "/":
        raise UsageError(
            f"blob {name!r} would be written outside of {folder}. Download it by its name with another tool"
        )
    return folder.joinpath(*parts)


def _download(blobs: Blobs, container: str, blob: Blob, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as stream:
            for piece in blobs.read(container, blob.name):
                stream.write(piece)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
