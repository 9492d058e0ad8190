"""Host commands: started without a shell, as Batch starts them, and ended with their whole process group.

No shell reads the command line, so `&&`, pipes and `$VARIABLES` are plain arguments of the first word.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from local.node.agent import failures
from local.node.agent.accounts import Account
from local.node.agent.beneath import Beneath


class Command:
    """A running host command: wait for it, or end it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def wait(self) -> int:
        """The exit code; 128 + n for a command that signal n ended ([guess]: Azure may report another number)."""
        code = await self._process.wait()
        return code if code >= 0 else 128 - code

    async def signal(self, name: str) -> None:
        """Signal the command and all that it started in its session."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, getattr(signal, f"SIG{name}"))


async def start(
    command_line: str,
    *,
    account: Account,
    environment: Mapping[str, str],
    working_dir: Beneath,
    out: BinaryIO,
    err: BinaryIO,
) -> Command:
    """Start a command line in an open folder as an account. RunFailed says why it did not start."""
    words = split(command_line)
    folder = Path(f"/proc/self/fd/{working_dir.fileno()}")  # that very folder, wherever its name leads to by now
    program = find_program(words[0], folder, environment.get("PATH", ""))
    if "/" in words[0]:
        program = words[0]  # from the working directory: the descriptor is closed when the program is started
    identity = (
        {"user": account.uid, "group": account.gid, "extra_groups": list(account.groups)} if account.switch else {}
    )
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            executable=program,
            cwd=folder,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
            **identity,
        )
    except OSError as error:
        raise failures.RunFailed(failures.launch_failed(f"{words[0]}: {error.strerror or error}")) from error
    return Command(process)


def split(command_line: str) -> list[str]:
    """The words of a command line: quotes group, nothing is expanded."""
    try:
        words = shlex.split(command_line)
    except ValueError as error:
        raise failures.RunFailed(failures.launch_failed(f"command line {command_line!r}: {error}")) from error
    if not words:
        raise failures.RunFailed(failures.launch_failed("the command line is empty"))
    return words


def find_program(word: str, folder: Path, path: str) -> str:
    """The program that the first word names: a path, or a name looked for in PATH."""
    found = shutil.which(str(folder / word)) if "/" in word else shutil.which(word, path=path)
    if found is None:
        raise failures.RunFailed(failures.program_not_found(word))
    return found
