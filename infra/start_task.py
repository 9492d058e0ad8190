"""The start task's command line, rendered from `start_task.sh`.

Batch starts `commandLine` without a shell: it splits it into arguments and expands nothing
(docs/azure-facts.md#command-lines). So the script travels as one single-quoted argument of `/bin/sh -c`, which the
shell on the node then reads.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

SCRIPT: Final = Path(__file__).with_name("start_task.sh")
COMMAND_LINE_LIMIT: Final = 8000
"""A guess on the safe side: no limit is documented; a whole task may have 1 MB, and Windows allows 8191 characters."""

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
    """Join a script's statements, and refuse what would not survive as one single-quoted argument."""
    statements = [line.strip() for line in script.splitlines() if line.strip() and not line.strip().startswith("#")]
    for statement in statements:
        for forbidden in ("'", "\\", " #"):
            if forbidden in statement:
                raise ValueError(f"{SCRIPT.name}: {forbidden!r} cannot be used in a statement: {statement}")
    return "; ".join(statements)
