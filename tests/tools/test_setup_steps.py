"""The steps of the set-up: cached by content, and clear when they cannot be done."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.tools.machine import Machine
from tools.errors import SetupError
from tools.setup import __main__ as setup
from tools.setup import azurite, debian_packages, places, process, python_environment, steps, uv
from tools.setup.progress import Display
from tools.setup.steps import Step

Until = Callable[[Callable[[], object]], None]


def quiet(*_: object) -> None:
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
    (mine / "package-lock.json").write_text('{"packages": {}}')
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
    assert "all|browser|preview|offline|stop-engine" in run.stderr and "everything" in run.stderr


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


def test_apt_tells_how_many_packages_it_has_downloaded_unpacked_and_set_up() -> None:
    shown: list[str] = []
    progress = debian_packages.Installation(shown.append)
    for line in (
        "Reading package lists...",
        "1 upgraded, 2 newly installed, 0 to remove and 5 not upgraded.",
        "Get:1 http://mirror bookworm/main amd64 libltdl7 amd64 2.4.7-7 [393 kB]",
        "Unpacking libltdl7:amd64 (2.4.7-7) ...",
        "Unpacking libkrb5-3 (1.20) over (1.19) ...",
        "Setting up libltdl7:amd64 (2.4.7-7) ...",
    ):
        progress.watch(line)
    assert shown == [
        "1 of 3 packages downloaded",
        "1 of 3 packages unpacked",
        "2 of 3 packages unpacked",
        "1 of 3 packages set up",
    ]


def test_npm_tells_how_many_packages_it_has_fetched(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = {"packages": {"": {}, "node_modules/one": {}, "node_modules/two": {}}}
    (machine.folder / "package-lock.json").write_text(json.dumps(lock))
    monkeypatch.setattr(places, "AZURITE", machine.folder)
    fetches = "".join(f"echo npm http fetch GET 200 https://r/{name} 5ms;" for name in ("one", "two", "one/-/one.tgz"))
    machine.program("npm", f"{fetches} mkdir -p $M/node_modules")
    azurite.ensure(machine.say, machine.show)
    assert machine.shown[-2:] == [
        "2 looked up, 0 fetched of 2 packages",
        "2 looked up, 1 fetched of 2 packages",
    ]
    assert azurite.is_current()


def prepare(monkeypatch: pytest.MonkeyPatch, machine: Machine, *lanes: tuple[Step, ...]) -> None:
    """`steps.prepare` with these lanes; a display that keeps what is said."""
    monkeypatch.setitem(steps.MODES, "test", lanes)
    display = Display(io.StringIO())
    monkeypatch.setattr(display, "say", machine.say)
    steps.prepare("test", display)


def test_nothing_is_begun_where_a_check_fails_and_all_that_failed_are_told(
    monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    def fail(text: str) -> None:
        raise SetupError(text, next_step=f"mend {text}")

    begun: list[str] = []
    lanes = (
        (Step("a", lambda *_: begun.append("a")),),
        (Step("b", lambda *_: begun.append("b"), lambda: fail("npm")), Step("c", quiet, lambda: fail("root"))),
    )
    with pytest.raises(SetupError) as caught:
        prepare(monkeypatch, machine, *lanes)
    assert str(caught.value) == "npm\n  next:  mend npm\nerror: root\n  next:  mend root"
    assert begun == []


def test_a_disk_without_room_is_told_before_anything_is_installed(
    monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: SimpleNamespace(free=4000 << 20))
    rooms = {"packages": (machine.folder / "not" / "there" / "yet", 1000 << 20), "CLI": (machine.folder, 3001 << 20)}
    lanes = [(Step(name, lambda *_: pytest.fail("begun"), room=lambda r=room: r),) for name, room in rooms.items()]
    with pytest.raises(SetupError) as caught:
        prepare(monkeypatch, machine, *lanes)
    text = str(caught.value)
    assert f"no room on the disk of {machine.folder}: 4,000 MiB are free, about 4,001 needed" in text
    assert "cause: packages 1,000 MiB, CLI 3,001 MiB" in text and "XDG_CACHE_HOME" in text


def test_lanes_run_side_by_side_and_the_steps_of_a_lane_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    met = threading.Barrier(2, timeout=10)
    order: list[str] = []

    def step(name: str, meets: bool) -> Step:
        def ensure(_say: object, _show: object) -> None:
            if meets:
                met.wait()
            order.append(name)

        return Step(name, ensure)

    prepare(monkeypatch, machine, (step("one", True), step("then", False)), (step("two", True),))
    assert sorted(order) == ["one", "then", "two"]
    assert order.index("one") < order.index("then")


def test_the_first_step_that_fails_ends_the_programs_of_the_others(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, until: Until
) -> None:
    download = str(machine.program("download", "touch $M/begun; exec sleep 60"))

    def fail(_say: object, _show: object) -> None:
        until((machine.folder / "begun").exists)
        raise SetupError("npm failed", next_step="mend it")

    begin = time.monotonic()
    lanes = (
        (
            Step("slow", lambda *_: process.run([download], what="downloading", next_step="")),
            Step("next", lambda *_: pytest.fail("begun")),
        ),
        (Step("npm", fail),),
    )
    with pytest.raises(SetupError, match=r"^npm failed\n  next:  mend it$"):
        prepare(monkeypatch, machine, *lanes)
    assert time.monotonic() - begin < 30


@pytest.mark.parametrize(
    ("send", "number", "code"),
    [(os.kill, signal.SIGINT, 130), (os.killpg, signal.SIGINT, 130), (os.kill, signal.SIGTERM, 143)],
)
def test_an_interrupted_set_up_leaves_no_program_behind(
    machine: Machine, send: Callable[[int, int], None], number: int, code: int
) -> None:
    """A real set-up process, whose npm never ends; a Ctrl-C at a terminal goes to the whole group, npm as well."""
    machine.program("npm", "echo $$ > $M/pid; echo begun; exec sleep 60")
    script = (
        "import sys; from tools.setup import __main__ as m, steps, azurite, places; from pathlib import Path;"
        "places.AZURITE = Path(sys.argv[1]); steps.MODES['offline'] = ((steps.AZURITE,),);"
        "azurite.QUIETLY = ('-q',); sys.exit(m.main(['offline']))"
    )
    (machine.folder / "package-lock.json").write_text('{"packages": {}}')
    child = subprocess.Popen(
        [sys.executable, "-c", script, machine.folder],
        cwd=places.CHECKOUT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (machine.folder / "pid").exists() or not (machine.folder / "pid").read_text().strip():
        assert child.poll() is None
        time.sleep(0.01)
    npm = int((machine.folder / "pid").read_text())
    send(child.pid, number)
    _, said = child.communicate(timeout=30)
    assert child.returncode == code
    assert "Traceback" not in said and "failed" not in said
    assert not Path(f"/proc/{npm}").exists()


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("offline", {"Python packages"}),
        ("browser", {"Chromium"}),
        ("preview", {"Python packages", "Pulumi CLI"}),
        ("all", {"Python packages", "Pulumi CLI", "Debian packages", "Docker engine", "Azurite"}),
    ],
)
def test_only_targets_that_deploy_wait_for_the_cli(mode: str, names: set[str]) -> None:
    assert {step.name for lane in steps.MODES[mode] for step in lane} == names


def test_the_makefile_takes_the_least_that_each_target_needs() -> None:
    made = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "test-fast", "lint", "sbom", "bench", "hostile"],
        cwd=places.CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert set(re.findall(r"tools\.setup (.*)", made)) == {"offline"}
    for stack, mode in {"dev": "preview dev", "prod": "preview prod", "local": "all"}.items():
        made = subprocess.run(
            ["make", "--no-print-directory", "--dry-run", "preview", f"STACK={stack}"],
            cwd=places.CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert re.findall(r"tools\.setup (.*)", made) == [mode]


def test_an_unknown_stack_is_told_before_anything_is_prepared(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(steps, "prepare", lambda *_: pytest.fail("begun"))
    assert steps.main(["preview", "qa"]) == 1
    assert "there is no stack 'qa'\n  next:  use one of: local, dev, prod" in capsys.readouterr().err


def test_an_older_python_is_told_what_to_install_and_stumbles_over_nothing_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    assert setup.main(["all"]) == 1
    assert "this is Python 3.9" in capsys.readouterr().err
    for module in ("__init__.py", "__main__.py"):
        ast.parse((places.CHECKOUT / "tools" / "setup" / module).read_text(), feature_version=(3, 7))
    ours = (places.CHECKOUT / "tools" / "setup" / "__main__.py").read_text()
    assert "from tools" not in ours.partition("def main")[0]


def test_without_ensurepip_and_root_debians_package_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    monkeypatch.setattr(python_environment, "missing_debian_packages", lambda: ["python3-venv"])
    monkeypatch.setattr(debian_packages, "missing", list)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    machine.program("dpkg-query")
    with pytest.raises(SetupError, match="sudo apt-get update && sudo apt-get install python3-venv"):
        steps.PYTHON_PACKAGES.check()


def test_the_command_runs_this_checkouts_jobs_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "a checkout"
    (checkout / "jobs").mkdir(parents=True)
    (checkout / "jobs" / "__init__.py").touch()
    (checkout / "jobs" / "__main__.py").write_text("import sys\n\ndef main():\n    print(sys.argv[1:])\n    return 3\n")
    monkeypatch.setattr(places, "CHECKOUT", checkout)
    monkeypatch.setattr(places, "VENV", tmp_path / "venv")
    monkeypatch.setattr(places, "PYTHON", Path(sys.executable))
    python_environment.ensure_command()
    command = tmp_path / "venv" / "bin" / "batch-jobs"
    done = subprocess.run([command, "list", "-o", "name"], cwd="/", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (3, "['list', '-o', 'name']\n")
    before = command.stat().st_mtime_ns
    python_environment.ensure_command()
    assert command.stat().st_mtime_ns == before
    monkeypatch.setattr(places, "CHECKOUT", tmp_path / "moved")
    python_environment.ensure_command()
    assert "moved" in command.read_text()


def test_an_environment_of_another_checkout_keeps_its_own_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs" / "bin").mkdir(parents=True)
    (tmp_path / "venv").symlink_to(tmp_path / "theirs")
    monkeypatch.setattr(places, "VENV", tmp_path / "venv")
    python_environment.ensure_command()
    python_environment.ensure_manual_pages(print)
    assert list((tmp_path / "theirs").rglob("*")) == [tmp_path / "theirs" / "bin"]
