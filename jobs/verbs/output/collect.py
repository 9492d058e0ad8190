"""`collect JOB DIR`: download everything the job left in its container. A file is complete and checked, or not there.

Tasks choose the names: `download_paths.py` gives each a place below the folder; one that cannot be one stops nothing.

The same command again downloads what is missing or not right. A job without a container (submitted without a stack) has
its stdout and stderr on its nodes: those are collected then.
"""

from __future__ import annotations

import argparse
import fnmatch
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from ...errors import JobsError, NotFound
from ...exits import Exit
from ...service.batch import JobState
from ...session import Session
from ...state import task_output
from ...terminal.wording import counted
from ..arguments import batch_id
from .download import Download, RemoteFile, Tally, blobs, download_all, node_logs
from .download_paths import Folder, Places

EXAMPLES: Final = ("collect nightly-7 results", 'collect nightly-7 results --only "*/out/*.csv"')
MOST_TOLD: Final = 10  # patterns that uploaded nothing
SHOWN: Final = 10  # names in a message


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("job", type=batch_id, metavar="JOB", help="the job's id")
    parser.add_argument("folder", metavar="DIR", type=Path, help="where to; it is made if it is not there")
    parser.add_argument("--only", metavar="PATTERN", help="only TASK/FILE names that match, for example '*/out/*.csv'")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    job = session.batch.job(arguments.job)
    tally = collect(session, job, arguments.folder, only=arguments.only)
    _tell(session, job, arguments.folder, tally, task_output.of_job(session, job))
    return Exit.MACHINE if tally.renamed else Exit.OK


def collect(session: Session, job: JobState, folder: Path, *, only: str | None = None) -> Tally:
    """Download what is not there yet. Raises the first failure after all others were tried."""
    tally = Tally()
    with Folder(folder) as target:
        listed = blobs(session, job, target) if job.container else node_logs(session, job, target)
        places = Places(ignores_case=target.ignores_case())
        failure = download_all(_placed(listed, places, tally, only), tally, session)
    if failure is not None:
        raise _with_what_was_done(failure, tally, folder)
    if not tally.downloaded and not tally.present:
        raise _nothing_there(job, only)
    return tally


def _placed(listed: Iterable[RemoteFile], places: Places, tally: Tally, only: str | None) -> Iterator[Download]:
    """Each chosen file with its own place below the folder. Every name takes its place, chosen or not: the next
    `--only` finds the same ones."""
    for file in listed:
        place = places.of(file.name)
        if only is not None and not fnmatch.fnmatchcase(file.name, only):
            continue
        if place != file.name:
            tally.renamed[file.name] = place
        yield Download(file, place)


def _with_what_was_done(failure: JobsError, tally: Tally, folder: Path) -> JobsError:
    names = ", ".join(repr(name) for name in tally.failed[:SHOWN])
    failure.add_note(
        f"{counted(len(tally.failed), 'file')} failed, downloaded to {folder}: {tally.downloaded}; "
        f"the same command goes on from there\nfailed: {names}{', ...' if len(tally.failed) > SHOWN else ''}"
    )
    return failure


def _nothing_there(job: JobState, only: str | None) -> NotFound:
    where = f"{job.container}/{job.folder}/" if job.container else f"the nodes of job {job.id}"
    fitting = f" that match {only!r}" if only else ""
    return NotFound(
        f"{where} has no files{fitting} yet",
        cause="tasks upload when they end",
        next_step=f"python -m jobs watch {job.id}",
    )


def _tell(session: Session, job: JobState, folder: Path, tally: Tally, nothing: list[tuple[str, str]]) -> None:
    """What was downloaded, which patterns of which tasks uploaded nothing, and which files got other names."""
    render = session.render
    if render.as_json:
        without = [{"task": task_id, "pattern": pattern} for task_id, pattern in nothing]
        render.record({"job": job.id, "folder": str(folder), **vars(tally), "uploaded_nothing": without})
    else:
        render.words(
            f"{counted(tally.downloaded, 'file')} ({tally.size / 1e6:.1f} MB) downloaded to {folder}, "
            f"{tally.present} were there already"
        )
        for task_id, pattern in nothing[:MOST_TOLD]:
            render.words(f"  task {task_id}: nothing was uploaded by the pattern {pattern!r}")
        if len(nothing) > MOST_TOLD:
            render.words(f"  and so {len(nothing) - MOST_TOLD} patterns more")
    if tally.renamed:
        shown = "\n".join(f"  {name!r} is {place!r}" for name, place in itertools.islice(tally.renamed.items(), SHOWN))
        more = f"\n  and {len(tally.renamed) - SHOWN} more (--json names all)" if len(tally.renamed) > SHOWN else ""
        render.words(
            f"{len(tally.renamed)} of them have names that no file can have here; they got others:\n{shown}{more}"
        )
