"""For all tests: who runs what in a parallel run, what a skip means in CI, ports that parallel runs do not share, one
key for all clouds of a session, and no socket folders left behind.

A parallel run (`--dist loadfile`) has lanes. A file's tests stay in one process, with its fixtures; and all files that
use the Docker engine stay in one, one after the other. They come first: they wait more than they compute, and the other
processes do everything else meanwhile.

`--no-skips` (given by `make test` in CI) turns every skip into a failure, except of tests marked `azure`: those need a
subscription, and stay visible as skipped. A test marked `docker` may not be skipped in CI with or without the option.
"""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from xdist.scheduler import LoadFileScheduling

from local.azure.platform import ports
from local.paths import Paths

ROOT = Path(__file__).resolve().parent.parent
FIGURES: list[str] = []
"""What scenarios measured, printed at the end of the run. Each process of a parallel run sends its own."""
_FIGURES_SENT = "figures"
_DOCKER = "docker"
_PORTS_OF_TESTS = (10_000, 20_000)  # below those of every local Azure that is a process of its own

# Files whose tests take their time: kills, leases, many seeds, servers started for each test.
# Part of `make test`, not of `make test-fast`.
THOROUGH = (
    "tests/azure/blobs/test_blobs.py",
    "tests/azure/sql/test_faults.py",
    "tests/azure/sql/test_logins.py",
    "tests/azure/sql/test_process.py",
    "tests/azure/sql/test_real_server.py",
    "tests/azure/sql/test_semantics.py",
    "tests/bootstrap/test_deployed.py",
    "tests/ci/test_previews.py",
    "tests/ci/test_teardown.py",
    "tests/jobs/dashboard/test_browser.py",
    "tests/jobs/test_hostile.py",
    "tests/jobs/test_hostile_submit.py",
    "tests/jobs/test_pacer.py",
    "tests/jobs/test_submit_process.py",
    "tests/policy/test_planted.py",
    "tests/plugins/cli/test_azure_native_cli.py",
    "tests/plugins/cli/test_docker_cli.py",
    "tests/plugins/test_half_made.py",
    "tests/tools/test_check.py",
    "tests/tools/test_sbom.py",
    "tests/worker/test_chaos.py",
    "tests/worker/test_login.py",
    "tests/worker/test_run.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.as_posix().endswith(THOROUGH):
            item.add_marker(pytest.mark.thorough)
    items.sort(key=_turn)  # those of one turn keep their order


def _turn(item: pytest.Item) -> int:
    """What takes longest begins first, so that no process has to be waited for in the end."""
    if uses_docker(item.path):
        return 0
    return 1 if item.get_closest_marker("thorough") else 2


@functools.cache
def uses_docker(file: Path) -> bool:
    """Whether a file has tests that need the Docker engine."""
    return "scenarios" in file.parts or "pytest.mark.docker" in file.read_text()


class Lanes(LoadFileScheduling):
    """A file's tests are one piece of work, and so are all files that use the Docker engine."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return _DOCKER if uses_docker(ROOT / file) else file


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
        report.outcome, report.longrepr = "failed", f"not run, and it must be here: {reason}"
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
    made: list[Path] = []
    ensure = Paths.ensure

    def remembering(self: Paths, *, sockets: bool = True) -> None:
        if sockets and not self.sockets.exists():
            made.append(self.sockets)
        ensure(self, sockets=sockets)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Paths, "ensure", remembering)
        yield
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)
