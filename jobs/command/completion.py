"""What a shell is answered at a TAB: verbs, options, and the jobs, tasks, pools and nodes that the service knows.

The work is argcomplete's, and so is the script (`jobs/verbs/help/completion.py` prints it). Whatever goes wrong here is
silent: a shell that waits for a key shows no errors. Answers are kept for some seconds, because every TAB is a process
of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ..session import Session
from ..terminal.wording import NAME
from ..verbs import verb_of
from .parser import build_parser, verb_parsers
from .suggestions import MOST, names

KEPT: Final = 20.0  # seconds for which an answer of the service is good enough for a shell
# What an argument names, by its destination in the parser.
KINDS: Final = {
    "job": "job",
    "jobs": "job",
    "task": "task",
    "tasks": "task",
    "pool": "pool",
    "pools": "pool",
    "old": "pool",
    "to": "pool",
    "node": "node",
    "topic": "verb",
    "words": "repository",
}


def answer(make_session: Callable[[argparse.Namespace], Session], end: Callable[[int], object] = os._exit) -> None:
    """Answer the shell that asks at a TAB (argcomplete's variables are in the environment), and end the process."""
    import argcomplete

    line = os.environ.get("COMP_LINE", "")
    verb = verb_of(line.split()[1:])
    if " " in verb:  # one word of the parser's
        os.environ["COMP_LINE"] = line.replace(verb, f"'{verb}'", 1)
        os.environ["COMP_POINT"] = str(int(os.environ["COMP_POINT"]) + 2)
    parser = build_parser([verb] if verb else [])
    for chosen in verb_parsers(parser).values() if verb else ():
        for action in chosen._actions:
            if (kind := KINDS.get(action.dest)) and action.choices is None:
                action.completer = _completer(kind, make_session)  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, exit_method=end, always_complete_options="long")


def _completer(kind: str, make_session: Callable[[argparse.Namespace], Session]) -> Callable[..., list[str]]:
    def complete(prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        with suppress(Exception):
            key = json.dumps(
                [kind, str(Path.cwd()), *(str(getattr(parsed_args, name, "")) for name in ("stack", "outputs", "job"))]
            )
            found = _kept(key)
            if found is None:
                found = list(itertools.islice(names(kind, make_session(parsed_args), parsed_args), MOST))
                _keep(key, found)
            return [name for name in found if name.startswith(prefix)]
        return []

    return complete


def _file(key: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / NAME / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.json"


def _kept(key: str) -> list[str] | None:
    with suppress(OSError, ValueError):
        file = _file(key)
        if time.time() - file.stat().st_mtime < KEPT:
            return json.loads(file.read_text(encoding="utf-8"))
    return None


def _keep(key: str, found: list[str]) -> None:
    with suppress(OSError):
        file = _file(key)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = file.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(found), encoding="utf-8")
        part.replace(file)
