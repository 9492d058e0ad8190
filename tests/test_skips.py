"""In CI nothing that needs Docker is skipped; in a parallel run what needs it is two pieces of work."""

from __future__ import annotations

import pytest

from tests import conftest

pytest_plugins = ["pytester"]

TESTS = """
    import pytest

    @pytest.mark.docker
    def test_docker():
        pytest.skip("no engine")

    @pytest.mark.azure
    def test_azure():
        pytest.skip("no subscription")

    def test_other():
        pytest.skip("no program")

    @pytest.mark.xfail
    def test_known():
        assert False
"""


@pytest.mark.parametrize(
    ("ci", "options", "failed", "skipped"),
    [
        ("", [], 0, 3),
        ("false", [], 0, 3),
        ("true", [], 1, 2),
        ("", ["--no-skips"], 2, 1),
        ("true", ["--no-skips"], 2, 1),
    ],
)
def test_a_skip_counts_as_a_failure_where_the_test_must_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, options: list[str], failed: int, skipped: int
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makeini("[pytest]\nmarkers =\n    docker\n    azure\nasyncio_default_fixture_loop_scope = function\n")
    pytester.makepyfile(TESTS)
    result = pytester.inline_run("-p", "no:cacheprovider", *options, plugins=[conftest])
    outcomes = result.countoutcomes()
    assert (outcomes[2], outcomes[1]) == (failed, skipped + 1)  # pytest counts the expected failure as a skip here


SHARED, PARTS = "docker: one deployed checkout", "docker: parts of their own"


@pytest.mark.parametrize(
    ("test", "piece"),
    [
        ("tests/scenarios/test_main_job.py::test_make_help_lists_every_target[local]", PARTS),
        ("tests/node/test_real_node.py::test_a_node_is_idle_within_five_seconds", PARTS),
        ("tests/scenarios/deployed/test_outage.py::test_a[x::y]", SHARED),
        ("tests/scenarios/worker/test_faults.py::test_a", SHARED),
        ("tests/jobs/submission/test_http.py::test_a[docker]", "tests/jobs/submission/test_http.py"),
        ("tests/worker/test_run.py::test_a", "tests/worker/test_run.py"),
    ],
)
def test_files_that_use_docker_are_two_pieces_of_work_and_every_other_file_is_its_own(test: str, piece: str) -> None:
    assert object.__new__(conftest.Lanes)._split_scope(test) == piece
