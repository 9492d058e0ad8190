"""For all tests: what a skip means in CI, ports that parallel runs do not share, and no socket folders left behind.

`--no-skips` (given by `make test` in CI) turns every skip into a failure, except of tests marked `azure`: those need a
subscription, and stay visible as skipped. A test marked `docker` may not be skipped in CI with or without the option.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from local.azure.platform import ports
from local.paths import Paths

# Files whose tests take their time: kills, leases, many seeds, servers started for each test.
# Part of `make test`, not of `make test-fast`.
THOROUGH = (
    "tests/azure/blobs/test_blobs.py",
    "tests/azure/sql/test_faults.py",
    "tests/azure/sql/test_logins.py",
    "tests/azure/sql/test_process.py",
    "tests/azure/sql/test_real_server.py",
    "tests/azure/sql/test_semantics.py",
    "tests/ci/test_previews.py",
    "tests/jobs/dashboard/test_browser.py",
    "tests/jobs/test_hostile.py",
    "tests/jobs/test_hostile_submit.py",
    "tests/jobs/test_pacer.py",
    "tests/jobs/test_submit_process.py",
    "tests/policy/test_planted.py",
    "tests/plugins/cli/test_azure_native_cli.py",
    "tests/plugins/cli/test_docker_cli.py",
    "tests/plugins/test_half_made.py",
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
            share = (ports._HIGHEST - ports._LOWEST) // count
            patch.setattr(ports, "_LOWEST", ports._LOWEST + number * share)
            patch.setattr(ports, "_HIGHEST", ports._LOWEST + share)
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
