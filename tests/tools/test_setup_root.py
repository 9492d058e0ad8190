"""What needs root, for a user who has sudo: asked once, told what for, before anything is done. sudo is a stand-in."""

from __future__ import annotations

import os
import shutil
import sys

import pytest

from tests.tools.machine import Machine
from tools.errors import SetupError
from tools.setup import debian_packages, docker_engine, root, steps
from tools.setup.docker_engine import EngineState
from tools.setup.progress import Display
from tools.setup.steps import Step

# As sudo: -n fails until -v got a password; then it runs what it is given.
SUDO = """
ask=yes
while :; do case "$1" in
  -n) ask=no; shift;;
  -v) [ -e $M/wrong ] && exit 1; touch $M/authenticated; exit 0;;
  *) break;;
esac; done
[ -e $M/authenticated ] || exit 1
exec "$@"
"""
DPKG = """
shift 3
for name; do if [ -e $M/installed ]; then echo "$name installed"; else echo "$name not-installed"; fi; done
"""
APT = """
[ "$1 $2" = "install --yes" ] || exit 0
case "$*" in *--download-only*) exit 0;; esac
echo "DEBIAN_FRONTEND=$DEBIAN_FRONTEND" >> $M/calls
touch $M/installed
"""


@pytest.fixture
def user(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Not root, at a terminal, with sudo."""
    for name in ("env", "setsid", "true"):
        found = shutil.which(name, path="/usr/bin:/bin")
        assert found
        (machine.bin / name).symlink_to(found)
    for name, script in (("sudo", SUDO), ("dpkg-query", DPKG), ("apt-get", APT)):
        machine.program(name, script)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    return machine


def step(*packages: str) -> Step:
    return Step(
        "Debian packages",
        lambda say, show: debian_packages.ensure(packages, say, show),
        lambda: debian_packages.check(packages),
        wants_root=lambda: debian_packages.wants_root(packages),
    )


def test_sudo_is_asked_once_with_the_reason_and_packages_are_installed(
    user: Machine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(steps.MODES, "some", ((step("mmdebstrap", "postgresql-common"),),))
    with Display() as display:
        steps.prepare("some", display)
    told = capfd.readouterr().err
    assert "needs root: to install Debian packages: mmdebstrap postgresql-common" in told
    asked = [call for call in user.calls("sudo") if call.startswith("sudo -v")]
    assert len(asked) == 1
    installs = user.calls("apt-get")
    assert installs[0] == "apt-get update"
    assert installs[-1].endswith("mmdebstrap postgresql-common")
    assert "DEBIAN_FRONTEND=noninteractive" in user.calls("DEBIAN_FRONTEND")
    assert user.calls().index(asked[0]) < user.calls().index("apt-get update")
    with Display() as display:
        steps.prepare("some", display)
    assert len(user.calls("sudo -v")) == 1, "what is prepared already asks nothing"


def test_a_wrong_password_changes_nothing_and_says_what_it_was_for(
    user: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (user.folder / "wrong").touch()
    monkeypatch.setitem(steps.MODES, "some", ((step("mmdebstrap"),),))
    with Display() as display, pytest.raises(SetupError, match="root is needed for this: to install Debian packages"):
        steps.prepare("some", display)
    assert user.calls("apt-get") == []


def test_where_nobody_can_type_a_password_the_command_is_told(user: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(SetupError, match="sudo apt-get update && sudo apt-get install mmdebstrap"):
        debian_packages.check(["mmdebstrap"])
    (user.folder / "authenticated").touch()  # a sudo that asks nothing
    assert debian_packages.check(["mmdebstrap"]) == ["mmdebstrap"]


def test_an_engine_is_started_by_sudo_with_a_socket_for_the_users_group(
    user: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_engine, "state", lambda: EngineState.NOT_INSTALLED)
    assert docker_engine.wants_root().startswith("to start a Docker engine")
    assert docker_engine.check() is EngineState.NOT_INSTALLED
    argv = docker_engine._command(user.folder, user.folder / "pid")
    assert argv[:4] == ["sudo", "-n", "-b", "setsid"]
    assert argv[-2:] == ["--group", str(os.getgid())]


def test_as_root_nothing_changes(user: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert root.command(["apt-get", "update"], settings={"A": "b"}, whole=True) == ["apt-get", "update"]
    root.ask(["to do something"], user.say)
    assert user.said == [] and user.calls("sudo") == []
