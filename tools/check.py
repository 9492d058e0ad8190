"""`python -m tools.check`: the static checks over the whole tree, side by side; what they found is shown at the end.

Each is a program that could be run by itself. pyright takes longest and begins first.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.exits import Exit

ROOT: Final = Path(__file__).resolve().parent.parent
AT_ONCE: Final = 3
"""pyright is two processes that wait for nobody; the others share what they leave."""


@dataclass(frozen=True)
class Check:
    """One program. `files` are patterns of git's: it gets every file that is tracked or would be."""

    name: str
    finds: str
    """What it finds that no other of them does."""
    command: tuple[str, ...]
    files: tuple[str, ...] = ()
    script: bool = False
    """The command is a Python file of this folder."""


CHECKS: Final = (
    Check("pyright", "a value of the wrong type", ("typecheck.py",), script=True),
    Check("ruff", "bugs, unused code, and what is dangerous (its security rules, S)", ("ruff", "check", ".")),
    Check("ruff format", "another way of writing", ("ruff", "format", "--check", ".")),
    Check(
        "hadolint",
        "mistakes in Dockerfiles",
        ("hadolint", "--no-color", "--failure-threshold", "style"),
        ("*Dockerfile",),
    ),
    # SC1007: `CDPATH= cd` is meant. SC2148: the pool's start task names no shell; Batch runs it by /bin/sh -c.
    Check(
        "shellcheck",
        "mistakes in shell scripts",
        ("shellcheck", "--severity", "warning", "--exclude", "SC1007,SC2148"),
        ("*.sh", ".ci/run", "local/plugins/*/pulumi-*"),
    ),
    Check(
        "zizmor",
        "workflows that let somebody in",
        ("zizmor", "--offline", "--no-progress", "--color", "never", "--quiet"),
        (".github/workflows/*.yml", ".github/actions/**/*.yml"),
    ),
    Check(
        "actionlint",
        "workflows that would not run",
        ("jactionlint", "--no-color", "--profile=correctness", "--strict-exit", "--no-hints"),
        (".github/workflows/*.yml", ".github/actions/**/*.yml"),
    ),
    Check("pins", "what is fetched by a name that moves", ("pins.py",), script=True),
    Check("licences", "packages that may not be passed on", ("licences.py",), script=True),
)


@dataclass(frozen=True)
class Result:
    """How a check ended."""

    check: Check
    code: int
    text: str
    seconds: float


def tracked(root: Path, patterns: Sequence[str]) -> list[str]:
    """Files that are tracked or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return [name for name in sorted(set(listed.splitlines())) if (root / name).is_file()]


def run(check: Check, root: Path = ROOT) -> Result:
    """Run one check on a tree."""
    began = time.monotonic()
    files = tracked(root, check.files) if check.files else []
    if check.files and not files:
        return Result(
            check, 1, f"{check.name}: there is no file like {', '.join(check.files)}: nothing was checked\n", 0.0
        )
    programs = Path(sys.executable).parent
    start = (
        [sys.executable, str(ROOT / "tools" / check.command[0])] if check.script else [str(programs / check.command[0])]
    )
    try:
        done = subprocess.run(
            [*start, *check.command[1:], *files],
            cwd=root,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ.get('PATH', '')}"},
        )
    except FileNotFoundError:
        return Result(check, 1, f"{check.name} is not installed beside this Python: make setup\n", 0.0)
    return Result(check, done.returncode, done.stdout, time.monotonic() - began)


def main() -> int:
    """All checks; the exit code is 1 if one of them found something."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(run, CHECKS))
    for result in results:
        if result.code:
            print(result.text, end="")
            print(f"{result.check.name} found something (exit code {result.code})", file=sys.stderr)
    for result in results:
        print(f"{result.check.name:12} {result.seconds:5.1f} s  {'failed' if result.code else 'ok'}", file=sys.stderr)
    return Exit.FAILED if any(result.code for result in results) else Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
