"""Debian packages that the local Azure runs: one table, and the installation of what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from tools.errors import SetupError
from tools.setup import root
from tools.setup.process import run
from tools.setup.progress import Say, Show

# package -> what it is for
ALWAYS = {
    "docker-registry": "the registry behind the local ACR",
    "mmdebstrap": "bootstraps the base image of nodes and worker",
    "postgresql": "the store behind the SQL Server stand-in",
    "libltdl7": "the SQL Server driver, for tests on this machine",
    "libkrb5-3": "the SQL Server driver, for tests on this machine",
    "libgssapi-krb5-2": "the SQL Server driver, for tests on this machine",
}
# PostgreSQL's package would start a database of the machine's own on port 5432. Nobody asked for that: ours is a child
# of the SQL server. Written before the installation, and only where the package never was.
CLUSTER_SETTINGS = Path("/etc/postgresql-common/createcluster.conf")
FOR_BROWSER_TESTS = {
    "chromium": "tests of the dashboard and the report in a browser, and the pictures of docs",
    "tmux": "tests of the verbs in a terminal",
}
FOR_USER = {"uidmap": "lets mmdebstrap make root file systems for who is not root"}
FOR_VENV = {"python3-venv": "creates the virtual environment"}
FOR_ENGINE = {"docker.io": "the Docker engine", "iptables": "networks of the Docker engine"}


def missing(packages: Iterable[str]) -> list[str]:
    """Those of `packages` that dpkg does not know as installed."""
    wanted = list(packages)
    found = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *wanted],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    installed = {line.split()[0] for line in found.splitlines() if line.endswith(" installed")}
    return [package for package in wanted if package not in installed]


def check(packages: Iterable[str]) -> list[str]:
    """The missing ones; `SetupError` if they cannot be installed: that needs Debian (or a relative of it), and root or
    sudo."""
    if not shutil.which("dpkg-query"):
        raise SetupError(
            "this machine has no dpkg",
            cause="the local Azure is made of Debian's packages",
            next_step="use Debian 12, or a container or virtual machine with it",
        )
    absent = missing(packages)
    if absent and not root.available():
        raise SetupError(
            f"Debian packages are missing: {' '.join(absent)}",
            cause="installing them needs root, and this user has no sudo (or nobody can type its password here)",
            next_step=f"sudo apt-get update && sudo apt-get install {' '.join(absent)}",
        )
    return absent


def wants_root(packages: Iterable[str]) -> str:
    """What root is needed for; empty when all are there."""
    wanted = list(packages)
    absent = missing(wanted) if wanted else []  # without packages this machine may be none of Debian's
    return f"to install Debian packages: {' '.join(absent)}" if absent else ""


def ensure(packages: Iterable[str], say: Say, show: Show) -> None:
    """Install what is missing."""
    absent = check(packages)
    if not absent:
        return
    say(f"installing Debian packages: {' '.join(absent)}")
    settings = {"DEBIAN_FRONTEND": "noninteractive", "UCF_FORCE_CONFFOLD": "1"}
    env = {**os.environ, **settings}
    if "postgresql" in absent and not CLUSTER_SETTINGS.exists():
        _write_cluster_settings()
    show("reading the package lists")
    update = root.command(["apt-get", "update"], settings=settings)
    run(update, what="apt-get update", next_step="check the machine's apt sources", env=env)
    # First all downloads, which may be stopped, then the installation, which may not.
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *absent]
    progress = Installation(show)
    run(
        root.command([*install, "--download-only"], settings=settings),
        what="downloading Debian packages",
        next_step=f"run it by hand: apt-get install {' '.join(absent)}",
        env=env,
        watch=progress.watch,
    )
    run(
        root.command(install, settings=settings, whole=True),
        what="installing Debian packages",
        next_step=f"run it by hand: apt-get install {' '.join(absent)}",
        env=env,
        watch=progress.watch,
        to_its_end=True,
    )


def _write_cluster_settings() -> None:
    text = "create_main_cluster = false"
    if root.is_root():
        CLUSTER_SETTINGS.parent.mkdir(exist_ok=True)
        CLUSTER_SETTINGS.write_text(f"{text}\n")
        return
    write = 'mkdir -p "$1" && echo "$3" > "$1/$2"'
    argv = ["sh", "-c", write, "sh", str(CLUSTER_SETTINGS.parent), CLUSTER_SETTINGS.name, text]
    helps = f"write '{text}' into {CLUSTER_SETTINGS}"
    run(root.command(argv), what="writing PostgreSQL's settings", next_step=helps)


class Installation:
    """How far apt-get is, from its output: packages downloaded, unpacked and set up of those that it announced."""

    STEPS: ClassVar = {"Get:": "downloaded", "Unpacking ": "unpacked", "Setting up ": "set up"}

    def __init__(self, show: Show) -> None:
        self._show = show
        self._all = 0
        self._done = dict.fromkeys(self.STEPS, 0)

    def watch(self, line: str) -> None:
        announced = re.match(r"(\d+) upgraded, (\d+) newly installed", line)
        if announced:
            self._all = int(announced[1]) + int(announced[2])
        for begin, done in self.STEPS.items():
            if line.startswith(begin):
                self._done[begin] += 1
                self._show(f"{self._done[begin]} of {max(self._all, self._done[begin])} packages {done}")
