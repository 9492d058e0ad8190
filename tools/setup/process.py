"""Running a program of the set-up: its output goes to a log, and only a failure shows the end of it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tools.setup import places
from tools.setup.errors import SetupError

SHOWN_LINES = 15


def log_file() -> Path:
    folder = places.home() / "log"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    places.home().chmod(0o700)
    file = folder / "setup.log"
    file.touch(mode=0o600)
    return file


def run(argv: Sequence[str], *, what: str, next_step: str, env: Mapping[str, str] | None = None) -> None:
    """Run `argv` to its end; `SetupError` with the last lines of its output if it fails."""
    log = log_file()
    with log.open("ab") as out:
        out.write(f"\n$ {' '.join(argv)}\n".encode())
        out.flush()
        start = out.tell()
        try:
            code = subprocess.run(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, check=False
            ).returncode
        except FileNotFoundError:
            raise SetupError(f"{what}: the program '{argv[0]}' is not on this machine", next_step=next_step) from None
    if code:
        with log.open("rb") as written:
            written.seek(start)
            lines = written.read().decode(errors="replace").strip().splitlines()
        tail = "\n".join(f"    {line}" for line in lines[-SHOWN_LINES:])
        raise SetupError(f"{what} failed (exit code {code})\n{tail}", cause=f"whole output: {log}", next_step=next_step)
