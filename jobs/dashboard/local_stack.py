"""The local Azure's own page: which of its services run, faults that were planted, and the end of its logs.

Its commands are asked, as a person would ask them: nothing of `local/` is imported here.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from ..errors import NotFound, UsageError
from ..session import Session
from .cache import Cache
from .outputs import PIECE, readable

SECONDS: Final = 20  # for one of its commands
KEPT: Final = 10
NAME: Final = re.compile(r"[\w.-]{1,80}\.log")


class LocalStack:
    """May be used by many threads."""

    def __init__(self, session: Session, cache: Cache) -> None:
        self._session = session
        self._cache = cache

    def state(self) -> dict[str, Any]:
        """Services, faults and logs."""
        home = self._home()
        return self._cache.get("local", KEPT, lambda: self._read(home))

    def log(self, name: str) -> dict[str, Any]:
        """The end of one of its logs."""
        folder = self._home() / "log"
        if not NAME.fullmatch(name) or name not in {one.name for one in _logs(folder)}:
            raise NotFound(f"there is no log {name!r}", next_step="choose one of the list")
        with (folder / name).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - PIECE))
            return {"name": name, "text": readable(file.read(PIECE), more=False)[0], "size": size}

    def _read(self, home: Path) -> dict[str, Any]:
        status = _ask(home, "-m", "local", "status", "--json")
        try:
            found = json.loads(status)
        except ValueError:
            found = {"running": False, "processes": {}}
        return {
            "running": bool(found.get("running")),
            "processes": found.get("processes") or {},
            "faults": _ask(home, "-m", "local", "fault", "list"),
            "logs": [{"name": one.name, "size": one.stat().st_size} for one in _logs(home / "log")],
            "home": str(home),
        }

    def _home(self) -> Path:
        home = self._session.connection.home
        if home is None:
            raise UsageError("this stack is not the local one")
        return home


def _logs(folder: Path) -> list[Path]:
    """Plain files only: a link could lead anywhere."""
    if not folder.is_dir():
        return []
    return sorted(
        one for one in folder.iterdir() if NAME.fullmatch(one.name) and one.is_file() and not one.is_symlink()
    )


def _ask(home: Path, *words: str) -> str:
    """What a command of the local Azure prints, on stdout, or else on stderr."""
    try:
        done = subprocess.run(
            [sys.executable, *words],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=SECONDS,
            check=False,
            cwd=home.resolve().parent if (home.resolve().parent / "local").is_dir() else None,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"`python {' '.join(words)}` cannot be asked: {error}"
    return (done.stdout or done.stderr).strip()
