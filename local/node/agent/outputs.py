"""Which of a task's files an output pattern means, and what their blobs are called. Decides and looks; sends nothing.

The rules are those of azure-batch 15.1 (`OutputFile.file_pattern`): patterns are relative to the working directory or
absolute, `$NAME` is expanded first, `**` stands for any folders, `*`, `?` and `[...]` for signs of one name, and a name
that begins with a dot is only meant by a pattern that says the dot. A wildcard pattern's `path` is a prefix, another
pattern's is the blob's name. Names keep their folders below the working directory, a leading `..` is left out, so
`../std*.txt` gives `stdout.txt` (the exact naming of nested patterns is a [guess]).

Only what is below the task's folder can be meant: a pattern that leads out of it is refused ([guess]: Azure may take
absolute paths elsewhere on the node).
"""

from __future__ import annotations

import fnmatch
import glob
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence

from local.node.agent.beneath import DEEPEST, Beneath
from local.node.contract import OutputFile

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_ANY_FOLDERS = "**"
_WORKING_DIRECTORY = "wd"


class PatternLeavesTask(Exception):
    """An output pattern leads out of the task's folder."""


def matches(output: OutputFile, task: Beneath, variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Paths below the task's folder, with the names of their blobs: files, and whatever else is no folder.

    Raises PatternLeavesTask, and OSError where the task's user may not look.
    """
    pattern = expand(output.file_pattern, variables)
    segments = below_task(pattern, variables.get("AZ_BATCH_TASK_DIR", ""))
    wildcard = glob.has_magic(pattern)
    in_working_directory = segments[:1] == [_WORKING_DIRECTORY] and ".." not in pattern.split("/")
    for path in _found(task, segments):
        name = path.removeprefix(f"{_WORKING_DIRECTORY}/") if in_working_directory else path
        if output.path and not wildcard:
            name = output.path
        elif output.path:
            name = f"{output.path.rstrip('/')}/{name}"
        yield path, name


def expand(pattern: str, variables: Mapping[str, str]) -> str:
    """The pattern with the task's variables in it. [guess]: one that the task does not have is the empty text."""
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), pattern)


def below_task(pattern: str, task_folder: str) -> list[str]:
    """The pattern's names from the task's folder on."""
    if pattern.startswith("/"):
        if not task_folder or not pattern.startswith(f"{task_folder}/"):
            raise PatternLeavesTask(f"{pattern}: only files below the task's folder {task_folder} are uploaded")
        names = pattern.removeprefix(f"{task_folder}/").split("/")
    else:
        names = [_WORKING_DIRECTORY, *pattern.split("/")]
    kept: list[str] = []
    for name in names:
        if name == ".." and not kept:
            raise PatternLeavesTask(f"{pattern}: leads out of the task's folder; only files below it are uploaded")
        if name == "..":
            kept.pop()
        elif name not in ("", "."):
            kept.append(name)
    return kept


def fits(names: Sequence[str], segments: Sequence[str]) -> bool:
    """Whether a path's names fit a pattern's; the work grows with their product, whatever the pattern."""
    positions = _with_empty({0}, segments)
    for name in names:
        following: set[int] = set()
        for position in positions:
            if position == len(segments):
                continue
            if segments[position] == _ANY_FOLDERS:
                following |= set() if name.startswith(".") else {position}
            elif _name_fits(name, segments[position]):
                following.add(position + 1)
        positions = _with_empty(following, segments)
    return len(segments) in positions


def _with_empty(positions: Iterable[int], segments: Sequence[str]) -> set[int]:
    """`**` also stands for no folder at all."""
    found = set()
    for start in positions:
        found.add(start)
        while start < len(segments) and segments[start] == _ANY_FOLDERS:
            start += 1
            found.add(start)
    return found


def _name_fits(name: str, segment: str) -> bool:
    return (segment.startswith(".") or not name.startswith(".")) and fnmatch.fnmatchcase(name, segment)


def _found(task: Beneath, segments: list[str]) -> Iterator[str]:
    """The names before the first wildcard are walked to; only below them is searched."""
    fixed = next((at for at, name in enumerate(segments) if glob.has_magic(name)), len(segments))
    start, rest = "/".join(segments[:fixed]), segments[fixed:]
    try:
        if not rest:
            if not stat.S_ISDIR(task.stat(start).st_mode):
                yield start
            return
        levels = DEEPEST if _ANY_FOLDERS in rest else len(rest)
        for path, found in task.walk(start, levels=levels):
            if not stat.S_ISDIR(found.st_mode) and fits(path.split("/"), rest):
                yield f"{start}/{path}" if start else path
    except FileNotFoundError:
        return
