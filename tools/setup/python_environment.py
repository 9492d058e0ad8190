"""The virtual environment, made from hash-pinned requirements."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from contextlib import suppress

from tools.setup import debian_packages, places, uv
from tools.setup.process import run
from tools.setup.progress import Say, Show

# What people type, from any folder once `.venv/bin` is on PATH. `jobs` itself is a builtin of every shell.
COMMAND = "batch-jobs"


def fingerprint() -> str:
    """What the environment depends on: the pinned requirements and the interpreter."""
    return hashlib.sha256(places.REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()


def is_current() -> bool:
    stamp = places.VENV / "requirements.sha256"
    return places.PYTHON.exists() and stamp.exists() and stamp.read_text() == fingerprint()


def command_script() -> str:
    """The command: `python -m jobs` with the environment's interpreter and this checkout.

    It begins as a shell script: a path with a space, or a long one, may not stand after `#!`.
    """
    return f"""#!/bin/sh
'''exec' "{places.PYTHON}" "$0" "$@"
' '''
import sys

sys.path[0] = {str(places.CHECKOUT)!r}
from jobs.__main__ import main

sys.exit(main())
"""


def ensure_command() -> None:
    """Write the command, unless it is there as it should be. An environment of another checkout keeps its own."""
    if places.VENV.is_symlink():
        return
    text, command = command_script(), places.VENV / "bin" / COMMAND
    if command.exists() and command.read_text() == text:
        return
    command.parent.mkdir(parents=True, exist_ok=True)
    part = command.with_suffix(".part")
    part.write_text(text)
    part.chmod(0o755)
    part.replace(command)


def ensure_manual_pages(say: Say) -> None:
    """Write the manual pages of `batch-jobs`, unless they are newer than the verbs. Nothing depends on them."""
    if places.VENV.is_symlink():
        return
    folder = places.VENV / "share" / "man" / "man1"  # where `man` looks for what is in .venv/bin
    page = folder / f"{COMMAND}.1"
    sources = places.CHECKOUT.glob("jobs/**/*.py")
    if page.exists() and all(source.stat().st_mtime < page.stat().st_mtime for source in sources):
        return
    program = [str(places.PYTHON), "-m", "jobs.command.manual", "--man", str(folder)]
    try:
        subprocess.run(program, cwd=places.CHECKOUT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        last = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[-1:]
        say(f"the manual pages of {COMMAND} could not be written: {''.join(last)}")


def missing_debian_packages() -> list[str]:
    """What Debian keeps apart from its Python, and a virtual environment is made with."""
    return [] if is_current() or importlib.util.find_spec("ensurepip") else list(debian_packages.FOR_VENV)


def ensure(say: Say, show: Show) -> None:
    """Make `.venv` hold exactly what `requirements-dev.txt` pins, and the command with its manual pages."""
    if not is_current():
        _install(say, show)
    ensure_command()
    ensure_manual_pages(say)


def _install(say: Say, show: Show) -> None:
    places.unlink_shared(places.VENV)
    say("creating .venv from requirements-dev.txt (hash-pinned)")
    stamp = places.VENV / "requirements.sha256"
    if places.VENV.exists() and not stamp.exists():
        shutil.rmtree(places.VENV)  # an earlier set-up was interrupted
    stamp.unlink(missing_ok=True)
    show("creating the virtual environment")
    # With its pip, which an official Pulumi asks for the packages of the program; uv leaves that pip in place.
    uv.make_environment(places.VENV)
    show("installing uv")
    installer = uv.ensure(say, places.PYTHON)
    show(f"installing {places.REQUIREMENTS.read_text().count('==')} packages")
    run(
        [
            str(installer),
            "pip",
            "sync",
            "--python",
            str(places.PYTHON),
            "--require-hashes",
            "--only-binary",
            ":all:",
            str(places.REQUIREMENTS),
        ],
        what="installing the pinned Python packages",
        next_step="check that a Python package index is reachable",
        env=uv.environment(),
    )
    show("compiling the Python packages")
    compile_packages()
    stamp.write_text(fingerprint())


def compile_packages() -> None:
    """Write the packages' bytecode, with all cores: nothing else does where PYTHONDONTWRITEBYTECODE is set (containers,
    build machines), and then every start of a program compiles all that it imports, which is most of its time.

    azure-native has 6,000 modules, so of its namespaces only those that the program imports. A module that cannot be
    compiled (some packages carry templates) is told by whoever imports it.
    """
    used = "|".join(sorted(azure_native_namespaces()))
    with suppress(OSError):  # an interpreter that does not start is told by whoever needs it
        subprocess.run(
            [
                str(places.PYTHON),
                "-m",
                "compileall",
                "-q",
                "-j",
                "0",
                "-x",
                rf"/pulumi_azure_native/(?!({used})/)[^/]+/",
                str(places.VENV / "lib"),
            ],
            capture_output=True,
            check=False,
        )


def azure_native_namespaces() -> set[str]:
    """The namespaces of azure-native that the Pulumi program imports."""
    modules = [places.CHECKOUT / "__main__.py", *sorted((places.CHECKOUT / "infra").rglob("*.py"))]
    imports = re.compile(r"^\s*from pulumi_azure_native(?:\.(\w+)\S*)? import ([\w, ]+)", re.MULTILINE)
    return {
        name
        for module in modules
        for namespace, names in imports.findall(module.read_text(encoding="utf-8"))
        for name in ([namespace] if namespace else re.findall(r"\w+", names))
    }
