"""The start task: named steps, and the command line that runs them.

Batch starts `commandLine` without a shell: it splits it into arguments and expands nothing. So it names `/bin/sh`, and
is short: each step's script is an environment variable, which no quoting can break and which a preview shows by name
when it changes. The platform's steps are in `start_task.sh`; a pool may have more of its own (`start_steps`).
"""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

SCRIPT: Final = Path(__file__).with_name("start_task.sh")
SECONDS: Final = 900
"""After it the start task is ended and has failed: Batch itself sets it no limit, and the node would wait for ever."""

MAX_STEP_LENGTH: Final = 8000
"""A guess on the safe side for one variable: no limit is documented; a whole task may have 1 MB."""

USER_NAME_PATTERN: Final = r"^[a-z][a-z0-9_-]{0,19}$"
"""Linux user names that Batch takes."""

_FORBIDDEN: Final = {
    " #": "a comment would swallow what follows it",
    "<<": "a here-document needs lines of its own",
}
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_ALIAS: Final = re.compile(r"(^|[;&|({]\s*)alias\b")
_STEP_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,30}")
_HEADING: Final = re.compile(r"^## ([a-z]+): .*\n", re.MULTILINE)


@dataclass(frozen=True)
class Step:
    """One step: its name, and its statements as one line."""

    name: str
    script: str

    @property
    def variable(self) -> str:
        """The environment variable that carries the script."""
        return f"step_{self.name}"


def steps(*, users: bool, own: Mapping[str, str]) -> tuple[Step, ...]:
    """The steps of a pool with or without users, `own` ones (name -> statements) after the platform's."""
    begin, docker, admin, done = (platform_steps()[name] for name in ("begin", "docker", "admin", "done"))
    return (begin, docker, *([admin] if users else []), *(own_step(*item) for item in own.items()), done)


def command_line(steps: tuple[Step, ...], admin: str | None) -> str:
    """The start task's command line for these steps and the admin user's name."""
    if admin is not None and not re.fullmatch(USER_NAME_PATTERN, admin):
        raise ValueError(f"{admin!r} is no Linux user name that Batch takes (1 to 20 of a-z, 0-9, _ and -)")
    names = " ".join(step.name for step in steps)
    script = f'steps="{names}"; for step in $steps; do eval "$(printenv "step_$step")"; done'
    return f"/usr/bin/timeout --kill-after=30 {SECONDS} /bin/sh -c '{script}' start-task{f' {admin}' if admin else ''}"


def own_step(name: str, script: str) -> Step:
    """A pool's own step. Raises ValueError if it has no name of its own, or is not whole on one line."""
    if not _STEP_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a step (a letter, then up to 30 of a-z, 0-9 and _)")
    if name in platform_steps():
        raise ValueError(f"{name} is one of the platform's own steps ({', '.join(platform_steps())})")
    return _step(name, script, f"step {name}")


@functools.cache
def platform_steps() -> dict[str, Step]:
    """The steps in `start_task.sh`, by name."""
    _, *parts = _HEADING.split(SCRIPT.read_text())
    return {name: _step(name, text, SCRIPT.name) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def _step(name: str, script: str, origin: str) -> Step:
    line = one_line(script, origin)
    if not line or len(line) > MAX_STEP_LENGTH:
        raise ValueError(f"{origin}: the step has {len(line)} characters; it needs 1 to {MAX_STEP_LENGTH}")
    return Step(name, line)


def one_line(script: str, origin: str = SCRIPT.name) -> str:
    """Join a script's statements with "; ", and refuse what would mean something else, or nothing, on the node.

    Each line has to be a whole statement, which a shell's own syntax check says: of loops, functions or `case` over
    several lines, `a ||` with the rest below, or a string with a line break, the shell on the node would make another
    program. Raises ValueError with the line and the reason.
    """
    lines = [line.strip(" \t") for line in script.replace("\r\n", "\n").split("\n")]
    statements = [line for line in lines if line and not line.startswith("#")]
    for statement in statements:
        for forbidden, reason in _FORBIDDEN.items():
            if forbidden in statement:
                raise ValueError(f"{origin}: {forbidden!r} cannot be used in a statement ({reason}): {statement}")
        if control := _CONTROL_CHARACTER.search(statement):
            raise ValueError(f"{origin}: the control character {control[0]!r} cannot be used: {statement!r}")
        if statement.endswith("\\"):
            raise ValueError(f"{origin}: a line cannot go on in the next one; write it on one line: {statement}")
        if _ALIAS.search(statement):
            raise ValueError(f"{origin}: an alias has no effect on the line that defines it: {statement}")
    joined = "; ".join(statements)
    whole = [f"(\n{statement}\n)\n" for statement in statements]
    background = [pair for pair in pairwise(statements) if pair[0].endswith("&")]
    # A closing bracket too many has to be seen; it is not if a comment swallows the rest of the line.
    errors = _syntax_errors(
        (*whole, *(f"{statement}; {following}" for statement, following in background), joined, f"{joined}; )"), origin
    )
    for statement, error in zip(statements, errors, strict=False):
        if error:
            raise ValueError(
                f"{origin}: a line has to be a whole statement, and this is none: {statement}\n"
                f"  ({error}); write it on one line, as in: for i in 1 2; do echo $i; done"
            )
    for (statement, _), error in zip(background, errors[len(statements) :], strict=False):
        if error:
            raise ValueError(f"{origin}: nothing can follow '&' and ';': {statement}\n  write: {{ {statement} }}")
    error_of_all, error_with_bracket = errors[-2:]
    if error_of_all:
        raise ValueError(f"{origin}: joined by '; ' the statements are no shell script: {error_of_all}")
    if statements and not error_with_bracket:
        raise ValueError(f"{origin}: a comment behind a statement would swallow what follows it")
    return joined


_CHECK_EACH: Final = 'for script; do sh -n -c "$script" 2>&1 && echo; printf "\\0"; done'
"""Checks each of its arguments, and prints what is wrong with it, or nothing, before a NUL."""


@functools.cache
def _syntax_errors(scripts: tuple[str, ...], origin: str) -> tuple[str, ...]:
    """What `sh -n` finds wrong with each script, or "". It reads the scripts and runs none of them."""
    try:
        checked = subprocess.run(
            ["sh", "-c", _CHECK_EACH, "check", *scripts], capture_output=True, text=True, check=True
        )
    except OSError as error:
        raise ValueError(f"{origin} cannot be checked: there is no shell here ({error})") from None
    return tuple(said.strip().rpartition(": ")[2] for said in checked.stdout.split("\0")[:-1])
