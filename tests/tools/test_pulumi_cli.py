"""Which Pulumi CLI is used: an official one on PATH, untouched; else the one that the set-up built."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.tools.machine import Machine
from tools.errors import SetupError
from tools.setup import places, pulumi_build, pulumi_cli

HOST = "pulumi-language-python"


def pulumi(version: str) -> str:
    return f'[ "$1" = version ] && echo {version}'


def built() -> Path:
    """As `pulumi_build.build` leaves it."""
    folder = pulumi_build.folder() / "bin"
    folder.mkdir(parents=True)
    for name in ("pulumi", pulumi_build.EXECUTOR):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def no_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi_build, "build", lambda *_: pytest.fail("a CLI was built"))


def test_without_any_pulumi_none_is_found_and_ensure_builds_ours(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pulumi_cli.find() is None
    monkeypatch.setattr(pulumi_build, "build", lambda _say, _show: built())
    installation = pulumi_cli.ensure(machine.say)
    folder = pulumi_build.folder() / "bin"
    assert installation == pulumi_cli.Installation(
        folder / "pulumi", official=False, executor=folder / "pulumi-language-python-exec", version="3.274.1"
    )
    assert pulumi_cli.find() == installation
    assert machine.said == []


@pytest.mark.parametrize("version", ["v3.272.0", "v3.274.1", "3.300.0", "v4.0.0", "v3.275.0-alpha.1+dirty"])
def test_an_official_installation_that_is_new_enough_is_used_even_if_ours_is_built(
    machine: Machine, no_build: None, version: str
) -> None:
    built()
    file = machine.program("pulumi", pulumi(version))
    machine.program(HOST)
    assert pulumi_cli.ensure(machine.say) == pulumi_cli.Installation(
        file, official=True, executor=None, version=version.removeprefix("v")
    )
    assert machine.calls() == ["pulumi version"]
    assert machine.said == []


def test_the_language_host_may_lie_beside_the_file_that_a_link_on_path_leads_to(machine: Machine) -> None:
    file = machine.program("pulumi", pulumi("v3.280.0"), machine.folder / "opt")
    machine.program(HOST, folder=machine.folder / "opt")
    (machine.bin / "pulumi").symlink_to(file)
    found = pulumi_cli.find()
    assert found and found.official and found.pulumi == machine.bin / "pulumi"


@pytest.mark.parametrize(
    ("script", "host", "said"),
    [
        (pulumi("v3.271.9"), True, "is version 3.271.9; the project needs 3.272.0 or newer"),
        (pulumi("v2.999.0"), True, "is version 2.999.0"),
        (pulumi("v3.280.0"), False, "has no pulumi-language-python beside it or on PATH"),
        ("echo no version here", True, "does not tell its version (exit code 0)"),
        ("echo v3.280.0; exit 3", True, "does not tell its version (exit code 3)"),
        ("exec sleep 60", True, "did not tell its version within 0 s"),
    ],
)
def test_an_installation_that_cannot_be_used_is_left_alone_and_said_so(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, script: str, host: bool, said: str
) -> None:
    if "sleep" in script:
        monkeypatch.setattr(pulumi_cli, "ANSWER_SECONDS", 0.05)
    file = machine.program("pulumi", script)
    before = file.read_bytes()
    if host:
        machine.program(HOST)
    folder = built()
    found = pulumi_cli.ensure(machine.say)
    assert found.pulumi == folder / "pulumi" and not found.official
    assert len(machine.said) == 1
    assert machine.said[0].startswith(f"{file} {said}")
    assert machine.said[0].endswith("the project's own Pulumi 3.274.1 is used, yours stays as it is")
    assert file.read_bytes() == before


def test_a_program_for_another_kind_of_machine_is_no_traceback(machine: Machine) -> None:
    (machine.bin / "pulumi").write_bytes(b"\x7fELF of another kind")
    (machine.bin / "pulumi").chmod(0o755)
    built()
    assert not pulumi_cli.ensure(machine.say).official
    assert "cannot be started" in machine.said[0]


def test_our_own_programs_on_the_path_of_a_shell_are_no_official_installation(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = built()
    other_checkout = machine.folder / "other"
    (other_checkout / "tools" / "setup").mkdir(parents=True)
    (other_checkout / "tools" / "setup" / "pulumi_cli.py").touch()
    machine.program(HOST, folder=other_checkout / "local" / "plugins")
    monkeypatch.setenv("PATH", f"{folder}:{other_checkout}/local/plugins:{machine.bin}")
    found = pulumi_cli.find()
    assert found and not found.official
    official = machine.program("pulumi", pulumi("v3.280.0"))
    found = pulumi_cli.find()
    assert found and not found.official  # the only language host is our stand-in
    machine.program(HOST)
    found = pulumi_cli.find()
    assert found and found.official and found.pulumi == official


def test_asking_for_the_version_touches_nothing_of_the_users_own_pulumi(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_ACCESS_TOKEN", "secret")
    monkeypatch.setenv("PULUMI_HOME", str(machine.folder / "user" / ".pulumi"))
    machine.program("pulumi", 'echo "$PULUMI_HOME|$PULUMI_ACCESS_TOKEN" > $M/seen; echo v3.280.0')
    machine.program(HOST)
    assert pulumi_cli.find()
    home, token = (machine.folder / "seen").read_text().strip().split("|")
    assert token == ""
    assert not Path(home).is_relative_to(machine.folder / "user") and not Path(home).exists()


def test_half_a_cache_folder_is_no_installation(machine: Machine) -> None:
    folder = built()
    (folder / pulumi_build.EXECUTOR).unlink()
    assert pulumi_cli.find() is None


def test_the_oldest_version_is_the_release_of_the_sdk_and_ours_is_not_older() -> None:
    sdk = re.search(r"^pulumi==(\S+)", (places.CHECKOUT / "requirements.txt").read_text(), re.MULTILINE)
    assert sdk and pulumi_cli.parse(sdk[1]) == pulumi_cli.OLDEST
    assert pulumi_cli.parse(pulumi_build.version()) >= pulumi_cli.OLDEST


def test_finding_ours_starts_no_program(machine: Machine) -> None:
    built()
    assert pulumi_cli.find()
    assert machine.calls() == []


def test_a_build_that_fails_is_told(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_say: object, _show: object) -> None:
        raise SetupError("no room")

    monkeypatch.setattr(pulumi_build, "build", fail)
    with pytest.raises(SetupError, match="no room"):
        pulumi_cli.ensure(machine.say)


def test_an_entry_of_path_that_cannot_be_looked_into_is_passed_over(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is too long raises in `Path.is_file` as a folder without permission does, for root, too."""
    monkeypatch.setenv("PATH", f"/{'x' * 300}:{machine.bin}")
    file = machine.program("pulumi", pulumi("v3.280.0"))
    machine.program(HOST)
    found = pulumi_cli.find()
    assert found and found.pulumi == file
