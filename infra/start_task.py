"""The start task's command line, rendered from `start_task.sh`.

Batch starts `commandLine` without a shell: it splits it into arguments and expands nothing. So the script
travels as one single-quoted argument of `/bin/sh -c`, which the shell on the node then reads.
"""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Final

SCRIPT: Final = Path(__file__).with_name("start_task.sh")
COMMAND_LINE_LIMIT: Final = 8000
"""A guess on the safe side: no limit is documented; a whole task may have 1 MB, and Windows allows 8191 characters."""

_FORBIDDEN: Final = {
    "'": "the script is itself one single-quoted argument",
    "\\": "Batch and the shell would each read it",
    " #": "a comment would swallow what follows it",
    "<<": "a here-document needs lines of its own",
}
_CONTROL_CHARACTER: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029]")
_ALIAS: Final = re.compile(r"(^|[;&|({]\s*)alias\b")
_USER_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,19}")


def command_line(admin: str) -> str:
    """The start task for a pool whose admin user is `admin`."""
    if not _USER_NAME.fullmatch(admin):
        raise ValueError(f"{admin!r} is no Linux user name that Batch takes (1 to 20 of a-z, 0-9, _ and -)")
    script = one_line(SCRIPT.read_text())
    line = f"/bin/sh -c '{script}' start-task {admin}"
    if len(line) > COMMAND_LINE_LIMIT:
        raise ValueError(f"the start task's command line has {len(line)} characters, over {COMMAND_LINE_LIMIT}")
    return line


def one_line(script: str) -> str:
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
                raise ValueError(f"{SCRIPT.name}: {forbidden!r} cannot be used in a statement ({reason}): {statement}")
        if control := _CONTROL_CHARACTER.search(statement):
            raise ValueError(f"{SCRIPT.name}: the control character {control[0]!r} cannot be used: {statement!r}")
        if _ALIAS.search(statement):
            raise ValueError(f"{SCRIPT.name}: an alias has no effect on the line that defines it: {statement}")
    joined = "; ".join(statements)
    for statement in statements:
        if error := _syntax_error(f"(\n{statement}\n)\n"):
            raise ValueError(
                f"{SCRIPT.name}: a line has to be a whole statement, and this is none: {statement}\n"
                f"  ({error}); write it on one line, as in: for i in 1 2; do echo $i; done"
            )
    for statement, following in pairwise(statements):
        if statement.endswith("&") and _syntax_error(f"{statement}; {following}"):
            raise ValueError(f"{SCRIPT.name}: nothing can follow '&' and ';': {statement}\n  write: {{ {statement} }}")
    if error := _syntax_error(joined):
        raise ValueError(f"{SCRIPT.name}: joined by '; ' the statements are no shell script: {error}")
    # A closing bracket too many has to be seen; it is not if a comment swallows the rest of the line.
    if statements and not _syntax_error(f"{joined}; )"):
        raise ValueError(f"{SCRIPT.name}: a comment behind a statement would swallow what follows it")
    return joined


def _syntax_error(script: str) -> str:
    """What `sh -n` finds wrong, or nothing. It reads the script and runs none of it."""
    try:
        checked = subprocess.run(["sh", "-n"], input=script, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ValueError(f"{SCRIPT.name} cannot be checked: there is no shell here ({error})") from None
    return "" if checked.returncode == 0 else checked.stderr.strip().rpartition(": ")[2] or "syntax error"
