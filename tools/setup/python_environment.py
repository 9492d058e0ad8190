"""The virtual environment, made from hash-pinned requirements."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys

from tools.setup import debian_packages, places, uv
from tools.setup.process import run
from tools.setup.progress import Say, Show


def fingerprint() -> str:
    """What the environment depends on: the pinned requirements and the interpreter."""
    return hashlib.sha256(places.REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()


def is_current() -> bool:
    stamp = places.VENV / "requirements.sha256"
    return places.PYTHON.exists() and stamp.exists() and stamp.read_text() == fingerprint()


def missing_debian_packages() -> list[str]:
    """What Debian keeps apart from its Python, and a virtual environment is made with."""
    return [] if is_current() or importlib.util.find_spec("ensurepip") else list(debian_packages.FOR_VENV)


def ensure(say: Say, show: Show) -> None:
    """Make `.venv` hold exactly what `requirements-dev.txt` pins."""
    if is_current():
        return
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
    subprocess.run(
        [str(places.PYTHON), "-m", "compileall", "-q", "-j", "0", "-x",
         rf"/pulumi_azure_native/(?!({used})/)[^/]+/", str(places.VENV / "lib")],
        capture_output=True,
        check=False,
    )  # fmt: skip


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
