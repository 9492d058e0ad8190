"""Build the Pulumi CLI that `tools/pulumi/go.mod` pins: once, into the user's cache folder, for all checkouts.

One build at a time: whoever comes second waits for the lock, shows how far the first one is, and finds it built. Work
goes on in a folder beside the final one, which appears by one rename when all of it is there. A build that was
interrupted leaves its downloads and what it compiled for the next call, which goes on from there; they are deleted
when the CLI is ready, and at once where the compiler failed (they may be to blame) or the disk is full.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tools.errors import SetupError
from tools.setup import go_toolchain, places
from tools.setup.process import pause, run
from tools.setup.progress import Say, Show, time_left

PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
SDK = "github.com/pulumi/pulumi/sdk/v3"
EXECUTOR = "pulumi-language-python-exec"
INPUTS = ("go.mod", "go.sum", "tools.go")
GIB = 1 << 30
MOST_ROOM = 5 * GIB  # 4.5 GiB were seen (modules, build cache, the linker's files), and a Go compiler
LEAST_ROOM = GIB // 2
# Progress counts bytes of source. The linker counts as this share of them (a guess from one build).
LINK_WEIGHT = 0.06
# Optimising everything costs a first-time user 90 s more than optimising nothing (316 s against 225 s on two idle
# cores), which makes every preview 10 % slower. So only what runs in each preview is optimised (the engine, its RPC,
# the standard library), not the clouds' SDKs, which are most of the packages and hardly ever run: between the two in
# time to build (not measured on idle cores; by its CPU time about 270 s). The last pattern that matches counts.
PLAIN = "-N -l"
OPTIMISED = ("std", "github.com/pulumi/...", "google.golang.org/grpc/...", "google.golang.org/protobuf/...")
GENERATORS = "github.com/pulumi/pulumi/pkg/v3/codegen/..."  # Pulumi's own, of SDKs and programs: no preview runs them


def version() -> str:
    """The version of Pulumi that go.mod pins, e.g. "3.274.1"."""
    found = re.search(r"github\.com/pulumi/pulumi/pkg/v3 v(\S+)", (places.PULUMI_MODULE / "go.mod").read_text())
    assert found
    return found[1]


def flags() -> list[str]:
    """Arguments of `go build`."""
    patterns = [f"all={PLAIN}", *(f"{pattern}=" for pattern in OPTIMISED), f"{GENERATORS}={PLAIN}"]
    linker = f"-s -w -X {SDK}/go/common/version.Version=v{version()}"
    return ["-trimpath", f"-ldflags={linker}", *(f"-gcflags={pattern}" for pattern in patterns)]


def fingerprint() -> str:
    """What the built CLI depends on: its module with all hashes and its Go version, the flags, the kind of machine."""
    digest = hashlib.sha256()
    for name in INPUTS:
        content = (places.PULUMI_MODULE / name).read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    digest.update("\n".join([*flags(), sys.platform, platform.machine()]).encode())
    return digest.hexdigest()[:16]


def folder() -> Path:
    """Where the built CLI is, or will be: all of it, or nothing. Programs are in its `bin`."""
    return places.cache() / "pulumi" / fingerprint()


def work_folder() -> Path:
    """Where a build goes on, and what is left of one that was interrupted."""
    return folder().with_name(f"{fingerprint()}.building")


def room_needed() -> int:
    """Bytes that a build still needs on the disk of the cache folder, as a guess on the safe side."""
    used = sum(file.lstat().st_size for file in work_folder().rglob("*")) if work_folder().exists() else 0
    return max(MOST_ROOM - used, LEAST_ROOM)


def build(say: Say, show: Show) -> None:
    """The CLI is in `folder()` when this returns; `SetupError` says why not."""
    folder().parent.mkdir(parents=True, exist_ok=True)
    with _locked(say, show) as lock:
        if folder().exists():
            return
        _remove_abandoned()
        work = work_folder()
        work.mkdir(exist_ok=True)
        try:
            _Build(work, lock, say, show).build()
        except SetupError as error:
            if isinstance(error, CompilerFailed) or "disk is full" in error.cause:
                _remove(work)
            raise
        show("deleting the build cache")
        _remove(work)


class CompilerFailed(SetupError):
    """Go did not compile the CLI, though it had all it needs."""


class _Build:
    """One build, in its work folder."""

    def __init__(self, work: Path, lock: int, say: Say, show: Show) -> None:
        self._work = work
        self._lock = lock
        self._say = say
        self._show = show
        self._env: dict[str, str] = {}
        self._go = Path()

    def build(self) -> None:
        """Compile, try, and put into place."""
        self._go = go_toolchain.ensure(self._work / "toolchain", self._say)
        self._say(f"building Pulumi {version()} (once for all checkouts of this user; about 5 minutes on two cores)")
        (self._work / "tmp").mkdir(exist_ok=True)
        self._env = {
            **go_toolchain.environment(),
            "GOCACHE": str(self._work / "build-cache"),
            "GOTMPDIR": str(self._work / "tmp"),
        }
        self._modules()
        ready = self._work / "ready"
        _remove(ready)
        (ready / "bin").mkdir(parents=True)
        self._compile(ready / "bin" / "pulumi")
        shutil.copyfile(self._executor(), ready / "bin" / EXECUTOR)
        (ready / "bin" / EXECUTOR).chmod(0o755)
        ready.rename(folder())
        self._say(f"Pulumi {version()} is in {folder()}")

    def _tell(self, state: str) -> None:
        """Show the state, and leave it for a second set-up that waits."""
        self._show(state)
        (self._work / "state").write_text(state)

    def _modules(self) -> None:
        """Have the sources: those of the user's own module cache if all are there, else downloaded for this build."""
        self._tell("looking for modules")
        own = Path(self._ask("env", "GOMODCACHE").strip())
        offline = {**self._env, "GOPROXY": "off"}
        if (own / "cache" / "download").is_dir():
            try:
                run(
                    self._command("list", "-deps", PACKAGE),
                    what="listing Pulumi's packages",
                    next_step="",
                    env=offline,
                    cwd=places.PULUMI_MODULE,
                    keep_open=[self._lock],
                )
            except SetupError:
                pass  # some module is not there
            else:
                self._env = offline
                return
        self._env["GOMODCACHE"] = str(self._work / "modules")
        wanted = (places.PULUMI_MODULE / "go.sum").read_text().count("/go.mod h1:")
        begun = set()

        def watch(line: str) -> None:
            if line.startswith("go: downloading "):
                begun.add(line)
                self._tell(f"downloading modules: {len(begun)} (of {wanted} at most)")

        run(
            self._command("list", "-deps", PACKAGE),
            what="downloading the modules of Pulumi",
            next_step="check that a Go module proxy is reachable (GOPROXY), or install Pulumi yourself",
            env=self._env,
            cwd=places.PULUMI_MODULE,
            watch=watch,
            keep_open=[self._lock],
        )
        self._env["GOPROXY"] = "off"

    def _compile(self, target: Path) -> None:
        progress = Compilation(weights(self._ask("list", "-deps", "-f", LISTING, PACKAGE)), self._work / "compiled")
        begin = time.monotonic()

        def watch(line: str) -> None:
            if progress.starts(line):
                self._tell(progress.state(time.monotonic() - begin))

        try:
            run(
                self._command("build", "-v", *flags(), "-o", str(target), PACKAGE),
                what="compiling Pulumi",
                next_step="the same command again, it begins anew; or install Pulumi yourself",
                env=self._env,
                cwd=places.PULUMI_MODULE,
                watch=watch,
                keep_open=[self._lock],  # were this process killed, the lock would be held until Go has ended
            )
            self._try(target)
        except SetupError as error:
            raise CompilerFailed(str(error)) from None

    def _try(self, pulumi: Path) -> None:
        environment = {**os.environ, "PULUMI_HOME": str(self._work / "home"), "PULUMI_SKIP_UPDATE_CHECK": "true"}
        answer = subprocess.run([pulumi, "version"], env=environment, capture_output=True, text=True, check=False)
        if answer.stdout.strip() != f"v{version()}":
            raise SetupError(
                f"the Pulumi that was built does not run: {(answer.stderr or answer.stdout).strip()[-300:]}",
                next_step="install Pulumi yourself, then the same command again",
            )

    def _executor(self) -> Path:
        return Path(self._ask("list", "-m", "-f", "{{.Dir}}", SDK).strip()) / "python" / "cmd" / EXECUTOR

    def _ask(self, *arguments: str) -> str:
        asked = subprocess.run(
            self._command(*arguments),
            env=self._env,
            cwd=places.PULUMI_MODULE,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if asked.returncode:
            raise SetupError(
                f"`go {' '.join(arguments[:2])}` failed: {asked.stderr.strip()[-500:]}",
                next_step="look into the Go installation, or install Pulumi yourself",
            )
        return asked.stdout

    def _command(self, *arguments: str) -> list[str]:
        return [str(self._go), *arguments]


# A line per package: import path, folder, files.
LISTING = '{{.ImportPath}}\t{{.Dir}}\t{{join .GoFiles "\t"}}'


def weights(listing: str) -> dict[str, int]:
    """Import path -> bytes of source, which is what the time to compile a package goes by, from `go list`'s lines."""
    found = {}
    for line in listing.splitlines():
        package, place, *files = line.split("\t")
        found[package] = sum(_size(Path(place) / file) for file in files if file) + 1
    return found


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


class Compilation:
    """How far a build is. What earlier, interrupted builds compiled counts as done, but not for the speed."""

    def __init__(self, packages: Mapping[str, int], record: Path) -> None:
        self._packages = packages
        self._record = record
        earlier = record.read_text().splitlines() if record.exists() else []
        self._done = {package for package in earlier if package in packages}
        self._before = self._weight()

    def starts(self, line: str) -> bool:
        """A line of `go build -v`; whether it names a package that is compiled now."""
        if line not in self._packages or line in self._done:
            return False
        self._done.add(line)
        with self._record.open("a") as record:
            record.write(f"{line}\n")
        return True

    def state(self, seconds: float) -> str:
        """`812 of 1,732 packages, about 2 min left`, `seconds` after this build began."""
        total = sum(self._packages.values()) * (1 + LINK_WEIGHT) - self._before
        if len(self._done) >= len(self._packages) - 1:  # "unsafe" is in the list, and never compiled
            counted = "linking"
        else:
            counted = f"{len(self._done):,} of {len(self._packages):,} packages"
        left = time_left(self._weight() - self._before, total, seconds)
        return f"{counted}, {left}" if left else counted

    def _weight(self) -> int:
        return sum(self._packages[package] for package in self._done)


@contextmanager
def _locked(say: Say, show: Show) -> Iterator[int]:
    """Hold the lock of this build; meanwhile show how far the set-up is that holds it. Gives its file descriptor."""
    with folder().with_name(f"{fingerprint()}.lock").open("a") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    say(f"another set-up of this user is building Pulumi {version()}: waiting for it")
                    told = True
                state = work_folder() / "state"
                show(f"waiting for the other set-up: {state.read_text() if state.exists() else 'it begins'}")
                pause(0.5)
        yield file.fileno()


def _remove_abandoned() -> None:
    """Delete what interrupted builds of other versions left, unless one goes on."""
    for work in folder().parent.glob("*.building"):
        if work == work_folder():
            continue
        with work.with_suffix(".lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            _remove(work)


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
