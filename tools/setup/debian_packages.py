"""Debian packages that the local Azure runs: one table, and the installation of what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable

from tools.setup.errors import SetupError
from tools.setup.process import run

# package -> what it is for
ALWAYS = {
    "docker-registry": "the registry behind the local ACR",
    "mmdebstrap": "bootstraps the base image of nodes and worker",
    "postgresql": "the store behind the SQL Server stand-in",
    "libltdl7": "the SQL Server driver, for tests on this machine",
    "libkrb5-3": "the SQL Server driver, for tests on this machine",
    "libgssapi-krb5-2": "the SQL Server driver, for tests on this machine",
}
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


def ensure(packages: Iterable[str], say: Callable[[str], None]) -> None:
    """Install what is missing; needs Debian (or a relative of it) and root."""
    if not shutil.which("dpkg-query"):
        raise SetupError(
            "this machine has no dpkg",
            cause="the local Azure is made of Debian's packages",
            next_step="use Debian 12, or a container or virtual machine with it",
        )
    absent = missing(packages)
    if not absent:
        return
    if os.geteuid() != 0:
        raise SetupError(
            f"Debian packages are missing: {' '.join(absent)}",
            cause="installing them needs root",
            next_step=f"sudo apt-get update && sudo apt-get install {' '.join(absent)}",
        )
    say(f"installing Debian packages: {' '.join(absent)}")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update"], what="apt-get update", next_step="check the machine's apt sources", env=env)
    run(
        ["apt-get", "install", "--yes", "--no-install-recommends", *absent],
        what="installing Debian packages",
        next_step=f"run it by hand: apt-get install {' '.join(absent)}",
        env=env,
    )
