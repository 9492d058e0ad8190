"""Build the Pulumi CLI that `tools/pulumi/go.mod` pins into the user's cache folder, once for all checkouts."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
from pathlib import Path

from tools.setup import places
from tools.setup.process import run
from tools.setup.progress import Say

PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK = "github.com/pulumi/pulumi/sdk/v3"
EXECUTOR = "pulumi-language-python-exec"
INPUTS = ("go.mod", "go.sum", "tools.go")


def version() -> str:
    """The version of Pulumi that go.mod pins, e.g. "3.274.1"."""
    found = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (places.PULUMI_MODULE / "go.mod").read_text())
    assert found
    return found[1]


def flags() -> list[str]:
    """Arguments of `go build`."""
    return ["-trimpath", f"-ldflags=-s -w -X {SDK}/go/common/version.Version=v{version()}"]


def fingerprint() -> str:
    """What the built CLI depends on: its module with all hashes, the flags, the machine's kind."""
    digest = hashlib.sha256()
    for name in INPUTS:
        digest.update((places.PULUMI_MODULE / name).read_bytes())
    digest.update("\n".join([*flags(), sys.platform, platform.machine()]).encode())
    return digest.hexdigest()[:16]


def folder() -> Path:
    """Where the built CLI is, or will be: all of it, or nothing."""
    return places.cache() / "pulumi" / fingerprint()


def build(say: Say) -> None:
    work = folder().with_suffix(".building")
    (work / "bin").mkdir(parents=True, exist_ok=True)
    say(f"building Pulumi {version()} (once, minutes)")
    env = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOWORK": "off"}
    run(
        ["go", "build", "-C", str(places.PULUMI_MODULE), *flags(), "-o", str(work / "bin" / "pulumi"), PACKAGE],
        what="building Pulumi",
        next_step="check that a Go module proxy is reachable",
        env=env,
    )
    import subprocess

    sdk = subprocess.run(
        ["go", "list", "-C", str(places.PULUMI_MODULE), "-m", "-f", "{{.Dir}}", SDK],
        env=env, check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    shutil.copy(Path(sdk) / "python" / "cmd" / EXECUTOR, work / "bin" / EXECUTOR)
    work.rename(folder())
