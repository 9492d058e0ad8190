"""`completion SHELL`: a script after which the shell completes verbs, options, jobs, tasks, pools and nodes.

The script and the work at each TAB are argcomplete's; here is what the service is asked for. Whatever goes wrong
then is silent: a shell that waits for a key shows no errors. Answers are kept for some seconds, because every TAB is a
process of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ..exits import Exit
from ..session import Session
from ..terminal.wording import NAME
from . import VERBS, verb_of

EXAMPLES: Final = ("completion bash", "completion zsh", "completion fish")
SHELLS: Final = ("bash", "zsh", "fish", "tcsh")
KEPT: Final = 20.0  # seconds for which an answer of the service is good enough for a shell
MOST: Final = 500  # names that are offered
# What an argument names, by its destination in the parser.
KINDS: Final = {
    "job": "job", "jobs": "job", "task": "task", "tasks": "task", "pool": "pool", "node": "node",
    "pools": "pool", "old": "pool", "to": "pool", "topic": "verb", "words": "repository",
}  # fmt: skip


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads the script")
    parser.add_argument(
        "--command", default=NAME, metavar="NAME", help=f"the command or alias to complete (default: {NAME})"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    from argcomplete.shell_integration import shellcode

    session.render.data(shellcode([arguments.command], shell=arguments.shell).rstrip("\n"))
    if session.render.on_terminal:  # somebody looks at it; a shell that reads it wants no words
        session.render.words(
            f'use it: eval "$({NAME} completion {arguments.shell})" in the start-up file of {arguments.shell}'
        )
    return Exit.OK


def answer(make_session: Callable[[argparse.Namespace], Session], end: Callable[[int], object] = os._exit) -> None:
    """Answer the shell that asks at a TAB (argcomplete's variables are in the environment), and end the process."""
    import argcomplete

    from ..parser import build_parser, verb_parsers

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


def names(kind: str, session: Session, arguments: argparse.Namespace) -> Iterable[str]:
    """The names of a kind that the service knows."""
    batch = session.batch
    if kind == "verb":
        return VERBS
    if kind == "job":
        return (job.id for job in batch.jobs(""))
    if kind == "task":
        return (task.id for task in batch.some_tasks(arguments.job, "changed", MOST))
    outputs = session.connection.outputs
    if kind == "pool":
        second = {one.split()[1]: "" for one in VERBS if one.startswith(f"{arguments.verb} ")}
        return {**second, **(dict(outputs.pools) if outputs else {}), **{pool.id: "" for pool in batch.pools()}}
    if kind == "node":
        pools = outputs.pools.values() if outputs else [pool.id for pool in batch.pools()]
        return (node.id for pool in pools for node in batch.nodes(pool))
    from ..service.registry import Registry

    return Registry(session.connection).repositories()


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
