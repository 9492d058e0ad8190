"""For all tests: who runs what in a parallel run, what a skip means in CI, ports that parallel runs do not share, one
key for all clouds of a session, and no socket folders left behind.

A parallel run (`--dist loadfile`) has lanes. A file's tests stay in one process, with its fixtures. The files that use
the Docker engine are two lanes, each one after the other in one process: those that share one deployed checkout, and
those that make what they use (a checkout, a node, a registry, an image) and find it by its own label, port or name.
They come first: they wait more than they compute, and the other processes do everything else meanwhile.

`--no-skips` (given by `make test` in CI) turns every skip into a failure, except of tests marked `azure`: those need a
subscription, and stay visible as skipped. A test marked `docker` may not be skipped in CI with or without the option.
"""

from __future__ import annotations

import functools
import gc
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from xdist.scheduler import LoadFileScheduling

from local.azure.platform import ports
from local.paths import Paths
from tests.figures import FIGURES

ROOT = Path(__file__).resolve().parent.parent
_FIGURES_SENT = "figures"
_SHARED_STACK = "docker: one deployed checkout"
_OWN_PARTS = "docker: parts of their own"
_OWN_CHECKOUT = "test_main_job.py"  # of the scenarios this one has a checkout of its own
_PORTS_OF_TESTS = (10_000, 20_000)  # below those of every local Azure that is a process of its own


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)  # those of one turn keep their order


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the garbage collector need not look through it each time.

    A third of the CPU time of tests that load SDKs of Azure and Pulumi (measured: 31 s before and 20 s after, for the
    215 tests of the program, of a job's moves and of the Batch service).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _turn(item: pytest.Item) -> int:
    """What takes longest begins first, so that no process has to be waited for in the end."""
    if uses_docker(item.path):
        return 0
    return 1 if item.get_closest_marker("thorough") else 2


@functools.cache
def uses_docker(file: Path) -> bool:
    """Whether a file has tests that need the Docker engine."""
    return "scenarios" in file.parts or "pytest.mark.docker" in file.read_text()


def docker_lane(file: Path) -> str:
    """The lane of a file whose tests need the Docker engine; empty for any other."""
    if not uses_docker(file):
        return ""
    return _SHARED_STACK if "scenarios" in file.parts and file.name != _OWN_CHECKOUT else _OWN_PARTS


class Lanes(LoadFileScheduling):
    """A file's tests are one piece of work, and so are the files of each Docker lane."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return docker_lane(ROOT / file) or file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes | None:
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False  # the order of `pytest_collection_modifyitems`
    return Lanes(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_FIGURES_SENT] = FIGURES


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    FIGURES.extend(getattr(node, "workeroutput", {}).get(_FIGURES_SENT, []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if FIGURES:
        terminalreporter.section("measured")
        for line in FIGURES:
            terminalreporter.write_line(line)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails, unless it needs a subscription")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and skip_is_failure(item):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"not run, and it must be here: {reason}"
    return report


def skip_is_failure(item: pytest.Item) -> bool:
    """Whether this test has to run."""
    if item.get_closest_marker("azure"):
        return False
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return bool(item.config.getoption("--no-skips")) or (in_ci and item.get_closest_marker("docker") is not None)


@pytest.fixture(scope="session", autouse=True)
def ports_of_our_own(request: pytest.FixtureRequest) -> Generator[None]:
    """Each process of a parallel run chooses its blocks of ports in a part of its own."""
    worker = getattr(request.config, "workerinput", None)
    with pytest.MonkeyPatch.context() as patch:
        if worker is not None:
            number, count = int(worker["workerid"].removeprefix("gw")), int(worker["workercount"])
            lowest, highest = _PORTS_OF_TESTS
            share = (highest - lowest) // count
            patch.setattr(ports, "_LOWEST", lowest + number * share)
            patch.setattr(ports, "_HIGHEST", lowest + (number + 1) * share)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_rsa_key_for_all_clouds() -> Generator[None]:
    """A key of 2048 bits takes a tenth of a second, and most tests open a cloud of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rsa, "generate_private_key", functools.cache(rsa.generate_private_key))
        yield


@pytest.fixture(scope="session", autouse=True)
def socket_folders_go_with_the_session() -> Generator[None]:
    """The socket folder of a home lies beside it, in /tmp: remove those that were made here."""
    folders: list[Path] = []
    ensure = Paths.ensure

    def remembering(self: Paths, *, sockets: bool = True) -> None:
        if sockets and not self.sockets.exists():
            folders.append(self.sockets)
        ensure(self, sockets=sockets)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Paths, "ensure", remembering)
        yield
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def runtime() -> Iterator[Path]:
    """A folder whose name is short enough for sockets."""
    folder = Path(tempfile.mkdtemp(prefix="n-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
