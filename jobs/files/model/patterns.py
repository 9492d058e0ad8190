"""Patterns of output files, as azure-batch 15.1 documents `OutputFile.file_pattern`: relative to the task's working
directory; `*`, `?`, `[abc]`, `[!a-c]`, and `**` for any folder; `$NAME` is the value of an environment variable; a name
that begins with a dot is matched only where the pattern says the dot.

The destination's `path` knows no variables (Azure/Batch#130): the blob's name of a pattern without wildcards is made
here. Of an unknown variable (`$AZ_BATCH_NODE_ID`) no name can be made, so such a pattern needs a wildcard.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Final

LOGS: Final = "../std*.txt"  # what is always kept
VARIABLES: Final = ("AZ_BATCH_JOB_ID", "AZ_BATCH_TASK_ID")
_VARIABLE: Final = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_SET: Final = re.compile(r"\[!?\]?[^\]]*\]")
_WILDCARD: Final = re.compile(r"[*?\[]")
_UP: Final = "../"  # the task's own folder, where stdout.txt and stderr.txt are


def of_task(job_id: str, task_id: str) -> dict[str, str]:
    """The variables that every task has and whose values are known before it runs."""
    return dict(zip(VARIABLES, (job_id, task_id), strict=True))


def has_wildcard(pattern: str) -> bool:
    return _WILDCARD.search(pattern) is not None


def expand(pattern: str, values: Mapping[str, str]) -> str:
    """The pattern with the variables that are known; others stay."""
    return _VARIABLE.sub(lambda match: values.get(match[1], match[0]), pattern)


def sent(pattern: str) -> str:
    """The pattern as the service gets it. `**` is documented to match folders: at the end it stands for their files."""
    return f"{pattern}/*" if pattern == "**" or pattern.endswith("/**") else pattern


def blob_path(folder: str, pattern: str, values: Mapping[str, str]) -> str:
    """The destination's `path`: a folder for a pattern with wildcards, the blob's full name for another."""
    name = expand(pattern, values)
    return folder if has_wildcard(name) else f"{folder}/{_in_folder(name)}"


def _in_folder(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", ".", ".."))


def problem(pattern: str, known: Iterable[str] = ()) -> str:
    """Why no file can ever be uploaded by the pattern; empty for a good one. `known`: names of the task's variables."""
    if not pattern.strip() or pattern.endswith("/") or pattern.split("/")[-1] in (".", ".."):
        inside = f"{pattern.rstrip('/')}/" if pattern.strip("./ ") else ""
        return (
            f"{pattern!r} is a folder, and only files are uploaded; write {inside}* or {inside}**/* for what is in it"
        )
    if pattern.startswith("/"):
        return (
            f"{pattern!r} is not below the task's working directory, of which alone files are kept; write it from there"
        )
    below = pattern.removeprefix(_UP)
    if ".." in below.split("/"):
        return f"{pattern!r} leads out of the task's folder; only ../NAME is taken, for a file beside stdout.txt"
    if "[" in _SET.sub("", pattern):
        return f"{pattern!r}: a [ is never closed; write [abc], or [[] for the character itself"
    if "${" in pattern:
        return f"{pattern!r}: the service takes variables as $NAME, without braces"
    if not has_wildcard(pattern):
        names = {*VARIABLES, *known}
        unknown = [name for name in _VARIABLE.findall(pattern) if name not in names]
        if unknown:
            return (
                f"${unknown[0]} is known on the node only, and the blob of a file without wildcards is named before; "
                f"write {pattern}* or another wildcard"
            )
    return ""


def unmatched(names: Iterable[str], wanted: Mapping[str, str]) -> list[str]:
    """Which patterns no blob is of. `wanted`: pattern (expanded where known) -> its `path`; `names`: of blobs."""
    left = dict(wanted)
    for name in names:
        for pattern, path in wanted.items():
            if pattern in left and _is_of(name, pattern, path):
                del left[pattern]
        if not left:
            break
    return list(left)


def _is_of(name: str, pattern: str, path: str) -> bool:
    if not has_wildcard(pattern) and "$" not in pattern:
        return name == path
    return name.startswith(f"{path}/") and _matcher(pattern).fullmatch(name, len(path) + 1) is not None


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> re.Pattern[str]:
    """What the names of a pattern's files look like below its folder. An unknown variable may be anything."""
    folders, parts = [], [part for part in _VARIABLE.sub("*", pattern).split("/") if part not in ("", ".", "..")]
    for part in parts[:-1]:
        folders.append(r"(?:(?!\.)[^/]+/)*" if part == "**" else "".join(_part(part)) + "/")
    last = r"(?:(?!\.)[^/]+/)*(?!\.)[^/]+" if parts[-1] == "**" else "".join(_part(parts[-1]))
    return re.compile("".join(folders) + last, re.DOTALL)


def _part(part: str) -> Iterator[str]:
    """A regular expression of a part without `/`, piece by piece."""
    if part[0] in "*?[":
        yield r"(?!\.)"
    place = 0
    while place < len(part):
        one = part[place]
        found = _SET.match(part, place) if one == "[" else None
        if found is not None:
            inside = found.group()[1:-1]
            negated = "^" if inside.startswith("!") else ""
            inside = inside.removeprefix("!").replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
            yield f"(?!/)[{negated}{inside.replace('^', chr(92) + '^')}]"
            place = found.end()
            continue
        yield {"*": "[^/]*", "?": "[^/]"}.get(one) or re.escape(one)
        place += 1
