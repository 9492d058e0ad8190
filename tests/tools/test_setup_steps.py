"""The steps of the set-up: cached by content, and clear when they cannot be done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.setup import azurite, debian_packages, places, process, python_environment, steps, uv
from tools.setup.errors import SetupError


def quiet(_text: str) -> None:
    pass


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_AZURE_HOME", str(tmp_path / "home"))


def test_a_failing_program_shows_the_end_of_its_output_and_where_the_rest_is() -> None:
    script = "for i in $(seq 40); do echo line-$i; done; exit 3"
    with pytest.raises(SetupError) as caught:
        process.run(["sh", "-c", script], what="the thing", next_step="try something else")
    text = str(caught.value)
    assert "the thing failed (exit code 3)" in text
    assert "line-40" in text and "line-25" not in text
    assert str(process.log_file()) in text and "try something else" in text


def test_a_missing_program_is_named() -> None:
    with pytest.raises(SetupError, match="'no-such-program' is not on this machine"):
        process.run(["no-such-program"], what="the thing", next_step="install it")


def test_missing_packages_without_root_give_the_command_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SetupError, match="sudo apt-get update && sudo apt-get install no-such-package-of-debian"):
        debian_packages.ensure(["dpkg", "no-such-package-of-debian"], quiet, quiet)


def test_installed_packages_need_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian_packages, "run", lambda *_a, **_k: pytest.fail("something was installed"))
    debian_packages.ensure(["dpkg"], quiet, quiet)


def test_the_environment_is_made_again_only_when_the_pinned_requirements_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = tmp_path / "requirements-dev.txt"
    requirements.write_text("# nothing\n")
    monkeypatch.setattr(places, "REQUIREMENTS", requirements)
    monkeypatch.setattr(places, "VENV", tmp_path / "venv")
    monkeypatch.setattr(places, "PYTHON", tmp_path / "venv" / "bin" / "python")
    calls: list[list[str]] = []

    def fake_run(argv: list[str], **_rest: object) -> None:
        calls.append(argv)
        places.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        places.PYTHON.touch()

    for module in (python_environment, uv):
        monkeypatch.setattr(module, "run", fake_run)
    monkeypatch.setattr(uv, "ensure", lambda *_: tmp_path / "uv")
    python_environment.ensure(quiet, quiet)
    assert [argv[2] for argv in calls] == ["venv", "sync"]
    assert "--require-hashes" in calls[1]
    python_environment.ensure(quiet, quiet)
    assert len(calls) == 2
    requirements.write_text("# something\n")
    python_environment.ensure(quiet, quiet)
    assert len(calls) == 4


def test_a_linked_environment_of_another_checkout_is_let_go_and_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, mine = tmp_path / "other", tmp_path / "mine"
    for name in ("venv", "node_modules"):
        (other / name).mkdir(parents=True)
        (other / name / "precious").touch()
        mine.mkdir(exist_ok=True)
        (mine / name).symlink_to(other / name)
    (mine / "package-lock.json").write_text("{}")
    monkeypatch.setattr(places, "VENV", mine / "venv")
    monkeypatch.setattr(places, "PYTHON", mine / "venv" / "bin" / "python")
    monkeypatch.setattr(places, "AZURITE", mine)
    monkeypatch.setattr(uv, "ensure", lambda *_: tmp_path / "uv")
    monkeypatch.setattr(python_environment, "run", lambda *_a, **_k: None)
    monkeypatch.setattr(uv, "make_environment", lambda folder: folder.mkdir(exist_ok=True))
    monkeypatch.setattr(azurite, "run", lambda *_a, **_k: (mine / "node_modules").mkdir(exist_ok=True))
    for module, folder in ((python_environment, "venv"), (azurite, "node_modules")):
        module.ensure(quiet, quiet)
        assert not (mine / folder).is_symlink()
        assert [file.name for file in (other / folder).iterdir()] == ["precious"]


def test_every_requirement_is_pinned_with_a_hash() -> None:
    files = {"requirements.txt": 11, "requirements-dev.txt": 11, places.UV_REQUIREMENTS: 1, places.GO_REQUIREMENTS: 1}
    for name, fewest in files.items():
        text = (places.CHECKOUT / name).read_text().replace("\\\n", " ")
        pins = [line for line in text.splitlines() if line and not line.startswith((" ", "#"))]
        assert len(pins) >= fewest
        assert all("==" in line and "--hash=sha256:" in line for line in pins)


def test_a_lock_file_names_no_registry() -> None:
    lock = (places.AZURITE / "package-lock.json").read_text()
    assert '"integrity"' in lock
    assert '"resolved"' not in lock
    assert azurite.fingerprint()


def test_a_wrong_mode_is_refused_with_the_right_ones() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tools.setup", "everything"],
        cwd=places.CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2
    assert "all|preview|offline|stop-engine" in run.stderr and "everything" in run.stderr


def test_without_npm_azurite_is_told_where_it_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(azurite, "is_current", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"npm is not on this machine\n  cause: Azurite.*\n  next:  install Node.js"):
        azurite.ensure(quiet, quiet)


def test_a_machine_without_dpkg_is_told_what_to_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"no dpkg\n.*\n  next:  use Debian 12"):
        debian_packages.ensure(["dpkg"], quiet, quiet)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SetupError("fact", cause="why", next_step="do"), 1, "error: fact\n  cause: why\n  next:  do\n"),
        (OSError(28, "No space left on device", "/f"), 1, "error: /f: No space left on device\n  next:  mend that"),
        (KeyboardInterrupt(), 130, "interrupted; the next call goes on where this one stopped\n"),
    ],
)
def test_every_end_of_the_set_up_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException, code: int, said: str
) -> None:
    def fail(_mode: str, _display: object) -> None:
        raise error

    monkeypatch.setattr(steps, "prepare", fail)
    assert steps.main(["offline"]) == code
    assert said in capsys.readouterr().err


def test_postgresql_comes_without_a_database_of_the_machines_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings, seen = tmp_path / "postgresql-common" / "createcluster.conf", []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian_packages, "CLUSTER_SETTINGS", settings)
    monkeypatch.setattr(debian_packages, "missing", lambda _packages: ["postgresql"])
    monkeypatch.setattr(debian_packages, "run", lambda command, **_k: seen.append((command[1], settings.read_text())))
    debian_packages.ensure(["postgresql"], quiet, quiet)
    assert seen == [(verb, "create_main_cluster = false\n") for verb in ("update", "install", "install")]
