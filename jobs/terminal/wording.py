"""How messages are worded: a number with its noun, the time that is left, and commands that can be pasted.

Messages name this program `python -m jobs`. What is printed is the command that starts it again from the folder where
the person is: `batch-jobs` where that is on PATH, else the path of that script in the virtual environment. After the
verb come the options that said where to go (`--stack dev`), so that the pasted command goes to the same place.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from .. import durations

NAME: Final = "batch-jobs"  # the script that the set-up puts into the virtual environment; no shell has such a builtin
MODULE: Final = "python -m jobs"  # how messages in the code name this program
CHECKOUT: Final = Path(__file__).resolve().parents[2]
_COMMAND: Final = re.compile(rf"(?<![\w/.-]){MODULE}")  # not the end of a path: that is `invocation` already
_TOGETHER: Final = "\ue001"  # stands for a blank at which no line may be broken
_where: list[tuple[re.Pattern[str], str]] = []  # after which command the options that say where to go are put
_IRREGULAR: Final = {"is": "are", "was": "were", "has": "have", "it": "they"}


def counted(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`, `12000 nodes`."""
    return f"{number} {noun if number == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    if noun in _IRREGULAR:
        return _IRREGULAR[noun]
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def size_in_words(size: int) -> str:
    """`123 MB`: bytes, in decimal units as registries and storage accounts count."""
    for unit, name in ((1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}" if size < 1000 * unit else f"{size / unit:,.0f} {name}"
    return f"{size} B"


def remaining(seconds: float | None) -> str:
    """`about 12 min left`; empty when it is not known, and for the last second: there is nothing to wait for then."""
    if seconds is None or seconds < 1:
        return ""
    return f"about {durations.words(seconds)} left"


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`; did you mean 'submit'?` for the nearest known name; empty without a near one."""
    by_folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(given.casefold(), by_folded, n=1, cutoff=0.6)
    return f"; did you mean {by_folded[near[0]]!r}?" if near else ""


@cache
def invocation() -> str:
    """The command that starts this program again from here, as it can be pasted into a shell.

    In a process that was started as something else (a test, another program that imports this one) it is `MODULE`.
    """
    started_as = Path(sys.argv[0] if sys.argv else "")
    if started_as.name != NAME and started_as.parts[-2:] != ("jobs", "__main__.py"):
        return MODULE
    try:
        folder = Path.cwd()
    except OSError:  # it was removed
        return MODULE
    return command_for(Path(sys.executable), folder, os.environ.get("PATH", ""))


def command_for(python: Path, folder: Path, path: str) -> str:
    """What starts this program with this interpreter from this folder. `path` is the value of PATH."""
    script = python.parent / NAME
    if script.is_file() and not python.parent.parent.is_symlink():  # a linked environment's is another checkout's
        on_path = shutil.which(NAME, path=path)
        if on_path is not None and Path(on_path).samefile(script):
            return NAME
        return shlex.quote(str(script.relative_to(folder) if script.is_relative_to(folder) else script))
    shown = python.relative_to(folder) if python.is_relative_to(folder) else python
    module = f"{shlex.quote(str(shown))} -m jobs"
    return module if folder == CHECKOUT else f"cd {shlex.quote(str(CHECKOUT))} && {module}"


def remember(verbs: Iterable[str], stack: str | None, outputs: Path | None) -> None:
    """The options of this command line that every command which is printed has, too, after its verb."""
    given = (("--stack", stack), ("--outputs", None if outputs is None else str(outputs.absolute())))
    options = [f"{name} {shlex.quote(value)}" for name, value in given if value is not None]
    names = "|".join(sorted(map(re.escape, verbs), key=len, reverse=True))
    command = re.compile(rf"{_COMMAND.pattern} (?:{names})(?![\w-])")
    _where[:] = [(command, " ".join(options))] if options else []


@cache
def from_any_folder() -> str:
    """`invocation` for a shell whose folder nobody knows, as that of somebody who looks at a page."""
    if invocation() == MODULE:  # a test
        return NAME
    return command_for(Path(sys.executable), Path("/"), os.environ.get("PATH", ""))


def folded(text: str, width: int, *, hang: int = 2, program: str | None = None) -> str:
    """The text with lines of at most `width` cells, broken at blanks. Lines that were broken go on `hang` cells to the
    right of their beginning. A command of this program is never broken: it could not be pasted then, and a line that
    is longer than the terminal is one line to who copies it."""
    if all(len(line) <= width for line in text.split("\n")):
        return text
    command = re.compile(rf"{re.escape(program or invocation())}(?: [^\s;,()`]+)*")
    return "\n".join(_fold(line, width, hang, command) for line in text.split("\n"))


def _fold(line: str, width: int, hang: int, command: re.Pattern[str]) -> str:
    if len(line) <= width:
        return line
    indent = len(line) - len(line.lstrip(" "))
    words = command.sub(lambda match: match.group().replace(" ", _TOGETHER), line.lstrip(" ")).split(" ")
    done: list[str] = []
    now = " " * indent + words[0]
    for word in words[1:]:
        fits_nowhere = indent + hang + len(word) > width and _TOGETHER not in word
        if len(now) + 1 + len(word) <= width or fits_nowhere:
            now += f" {word}"
        else:
            done.append(now.rstrip(" "))
            now = " " * (indent + hang) + word
    return "\n".join([*done, now]).replace(_TOGETHER, " ")


def pasteable(text: str, program: str | None = None) -> str:
    """The text with the command of this process, or `program`, in place of `MODULE`."""
    if MODULE not in text:
        return text
    for command, options in _where:
        text = command.sub(lambda match, options=options: f"{match.group()} {options}", text)
    return _COMMAND.sub(lambda _: program or invocation(), text)
