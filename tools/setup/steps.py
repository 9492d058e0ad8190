"""The steps of the set-up, which of them a mode takes, what is checked before the first, and what runs side by side.

all          everything: for targets that deploy and for all tests
browser      Chromium, for the tests in a browser (`make test`) and the pictures of docs
preview      Python packages and the Pulumi CLI: needs neither root nor Docker; names a stack that must exist
offline      Python packages alone (`make test-fast`, `make lint`)
stop-engine  stop the Docker engine that this checkout started
cache        say what all checkouts of this user share, and where
uv ARGS...   run the pinned uv, told what pip is told (`make lock`)
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tools.errors import SetupError
from tools.exits import Exit
from tools.setup import (
    azurite,
    debian_packages,
    docker_engine,
    places,
    process,
    pulumi_build,
    pulumi_cli,
    python_environment,
    root,
    uv,
)
from tools.setup.progress import Display, Say, Show

MIB = 1 << 20


@dataclass(frozen=True)
class Step:
    """One thing to prepare.

    `ensure` prepares it, or finds it prepared. `check` raises `SetupError` at once if that cannot succeed here.
    `room` tells how many bytes it will need, and in which folder (0: it is prepared). `wants_root` tells what root is
    needed for (empty: for nothing).
    """

    name: str
    ensure: Callable[[Say, Show], object]
    check: Callable[[], object] = lambda: None
    room: Callable[[], tuple[Path, int]] = lambda: (places.CHECKOUT, 0)
    wants_root: Callable[[], str] = str


def _packages_room() -> tuple[Path, int]:
    return places.CHECKOUT, 0 if python_environment.is_current() else 1600 * MIB  # with uv's own cache


def _azurite_room() -> tuple[Path, int]:
    return places.AZURITE, 0 if azurite.is_current() else 300 * MIB


def _cli_room() -> tuple[Path, int]:
    return places.cache(), 0 if pulumi_cli.find() else pulumi_build.room_needed()


def _always() -> dict[str, str]:
    return debian_packages.ALWAYS | ({} if root.is_root() else debian_packages.FOR_USER)


PYTHON_PACKAGES = Step(
    "Python packages",
    python_environment.ensure,
    lambda: python_environment.missing_debian_packages() and debian_packages.check(debian_packages.FOR_VENV),
    _packages_room,
)
PULUMI_CLI = Step("Pulumi CLI", pulumi_cli.ensure, room=_cli_room)
DEBIAN_PACKAGES = Step(
    "Debian packages",
    lambda say, show: debian_packages.ensure(_always(), say, show),
    lambda: debian_packages.check(_always()),
    wants_root=lambda: debian_packages.wants_root(_always()),
)
CHROMIUM = Step(
    "Chromium",
    lambda say, show: debian_packages.ensure(debian_packages.FOR_BROWSER_TESTS, say, show),
    lambda: debian_packages.check(debian_packages.FOR_BROWSER_TESTS),
    wants_root=lambda: debian_packages.wants_root(debian_packages.FOR_BROWSER_TESTS),
)
DOCKER_ENGINE = Step("Docker engine", docker_engine.ensure, docker_engine.check, wants_root=docker_engine.wants_root)
AZURITE = Step("Azurite", azurite.ensure, azurite.check, _azurite_room)

# mode -> lanes: lanes run side by side, the steps of a lane one after the other. The CLI is compiled, on all cores,
# while the others wait for the network and the disk; it stands first, for a narrow terminal cuts the line of states.
MODES: dict[str, tuple[tuple[Step, ...], ...]] = {
    "all": ((PULUMI_CLI,), (PYTHON_PACKAGES,), (DEBIAN_PACKAGES, DOCKER_ENGINE), (AZURITE,)),
    "browser": ((CHROMIUM,),),
    "preview": ((PULUMI_CLI,), (PYTHON_PACKAGES,)),
    "offline": ((PYTHON_PACKAGES,),),
}
USAGE = f"usage: python3 -m tools.setup [{'|'.join(MODES)}|stop-engine|cache|uv ARGS...]"


def troubles(steps: Iterable[Step]) -> list[SetupError]:
    """Everything that can be told now of why the steps will not succeed; changes nothing."""
    found = []
    wanted: dict[int, list[tuple[str, Path, int]]] = {}
    for step in steps:
        try:
            step.check()
            folder, room = step.room()
        except SetupError as error:
            found.append(error)
            continue
        if room:
            place = _existing(folder)
            wanted.setdefault(place.stat().st_dev, []).append((step.name, place, room))
    for needs in wanted.values():
        _, place, _ = needs[0]
        free, needed = shutil.disk_usage(place).free, sum(room for _, _, room in needs)
        if free < needed:
            found.append(
                SetupError(
                    f"no room on the disk of {place}: {free / MIB:,.0f} MiB are free, about {needed / MIB:,.0f} needed",
                    cause=", ".join(f"{name} {room / MIB:,.0f} MiB" for name, _, room in needs),
                    next_step="make room; XDG_CACHE_HOME moves the caches of this user to another disk",
                )
            )
    return found


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def prepare(mode: str, display: Display) -> None:
    """Take the steps of a mode; the first that fails ends the others, too. `SetupError` says what is to be done."""
    lanes = MODES[mode]
    found = troubles(step for lane in lanes for step in lane)
    if found:
        raise _together(found)
    absent = python_environment.missing_debian_packages()
    if not root.is_root():
        reasons = [step.wants_root() for lane in lanes for step in lane]
        root.ask([one for one in (debian_packages.wants_root(absent), *reasons) if one], display.say)
    if absent:  # uv and .venv are both made with it
        debian_packages.ensure(absent, display.say, partial(display.show, "Debian packages"))
    with ThreadPoolExecutor(len(lanes)) as pool:
        try:
            running = [pool.submit(_take, lane, display) for lane in lanes]
            # Looked up again and again: a signal that comes just before a wait without end would be lost in it.
            while not any(lane.done() and lane.exception() for lane in running):
                if not wait(running, timeout=0.5, return_when=FIRST_EXCEPTION).not_done:
                    break
        except BaseException:  # Ctrl-C, or SIGTERM
            process.stop_all(display.say)
            raise
        if not all(lane.done() for lane in running):
            process.stop_all(display.say)
    errors = [error for lane in running if (error := lane.exception()) and not isinstance(error, process.Stopped)]
    unexpected = [error for error in errors if not isinstance(error, SetupError)]
    if unexpected:
        raise unexpected[0]
    if errors:
        raise _together(errors)


def _together(errors: Sequence[BaseException]) -> SetupError:
    return SetupError("\nerror: ".join(str(error) for error in errors))


def _take(lane: tuple[Step, ...], display: Display) -> None:
    for step in lane:
        begin = time.monotonic()
        display.show(step.name, "")
        try:
            step.ensure(display.say, partial(display.show, step.name))
        finally:
            display.done(step.name)
        if (took := time.monotonic() - begin) > 1:
            display.say(f"{step.name}: ready ({took:.1f}s)")


def say(text: str) -> None:
    _print(f"    {text}")


def _print(text: str) -> None:
    """The only place of the set-up that prints, but for the line of states (`progress`)."""
    print(text, file=sys.stderr, flush=True)


def check_stack(stack: str) -> None:
    """`SetupError` if no settings of such a stack are in this checkout: told before minutes of preparation."""
    stacks = sorted(file.name.split(".")[1] for file in places.CHECKOUT.glob("Pulumi.*.yaml"))
    if stack not in stacks:
        raise SetupError(f"there is no stack '{stack}'", next_step=f"use one of: local, {', '.join(stacks)}")


def say_cache() -> None:
    folder = places.cache()
    if folder.exists():
        size = sum(file.lstat().st_size for file in folder.rglob("*"))
        say(f"kept, for all checkouts of this user: {folder} (Pulumi CLI, uv; {size / MIB:,.0f} MiB)")


def run_uv(arguments: list[str]) -> int:
    installer = uv.ensure(say)
    os.execve(installer, [str(installer), *arguments], uv.environment())  # noqa: S606


def main(argv: list[str]) -> int:
    mode, arguments = (argv[0], argv[1:]) if argv else ("all", [])
    known = mode in (*MODES, "stop-engine", "cache", "uv")
    if not known or len(arguments) > {"preview": 1, "uv": len(arguments)}.get(mode, 0):
        _print(f"{USAGE}; got: {' '.join(argv)}")
        return Exit.USAGE
    try:
        if mode == "stop-engine":
            docker_engine.stop(say)
        elif mode == "cache":
            say_cache()
        elif mode == "uv":
            return run_uv(arguments)
        else:
            for stack in arguments:
                check_stack(stack)
            begin = time.monotonic()
            with Display() as display:
                prepare(mode, display)
            _print(f"==> set-up: ready ({time.monotonic() - begin:.1f}s)")
    except SetupError as error:
        _print(f"error: {error}")
        return Exit.FAILED
    except OSError as error:
        fact = f"{error.filename or 'a system call'}: {error.strerror or error}"
        _print(f"error: {SetupError(fact, next_step='mend that, then the same command again')}")
        return Exit.FAILED
    except KeyboardInterrupt:
        _print("interrupted; the next call goes on where this one stopped")
        return Exit.INTERRUPTED
    return Exit.DONE
