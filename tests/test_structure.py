"""House facts: imports go one way, rooms keep their size, nothing is silently left out of the tests."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import THOROUGH

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("infra", "jobs", "worker", "local", "policy", "tools", "ci")
MOST_LINES = 400

# room -> rooms it must not import
FORBIDDEN = {
    "infra": {"local", "jobs", "worker", "tests"},
    "jobs": {"local", "infra", "worker", "tests"},
    "worker": {"local", "infra", "jobs", "tests"},
    "local": {"infra", "jobs", "worker", "tests"},
    "local/azure": {"local.engine", "local.plugins", "pulumi", "pulumi_azure_native"},
    "local/engine": {"local.azure", "local.node", "pulumi_azure_native"},
    "local/plugins": {"local.azure", "local.node"},
    "local/node/agent": {"local.azure", "local.engine", "local.plugins"},
    "policy": {"local", "infra", "jobs", "worker", "tests", "pulumi_azure_native"},
    "ci": {"infra", "jobs", "worker", "tests"},
    "tools": {"local", "infra", "jobs", "worker", "tests"},
}


def modules(*rooms: str) -> list[Path]:
    """The files that are tracked or would be: what a clone has."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    files = [Path(name) for name in listed.splitlines() if (ROOT / name).exists()]
    return sorted(
        file for file in files if not rooms or file.as_posix().startswith(tuple(f"{room}/" for room in rooms))
    )


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_go_one_way(room: str) -> None:
    files = modules(room)
    assert files, f"{room} has no modules: this test would prove nothing"
    wrong = {
        f"{file} imports {name}"
        for file in files
        for name in imported(file)
        for package in FORBIDDEN[room]
        if within(name, package)
    }
    assert not wrong


def test_one_module_of_jobs_knows_the_batch_sdk() -> None:
    users = {file.as_posix() for file in modules("jobs") for name in imported(file) if within(name, "azure.batch")}
    assert users == {"jobs/service/client.py"}


def test_no_module_holds_two_concerns() -> None:
    lengths = {file.as_posix(): len((ROOT / file).read_text().splitlines()) for file in modules(*ROOMS)}
    assert len(lengths) > 50
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        file.as_posix() for file in modules(*ROOMS) if not ast.get_docstring(ast.parse((ROOT / file).read_text()))
    ]
    assert silent == []


def test_nothing_is_called_utils() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [file.as_posix() for file in modules() if vague & {part.removesuffix(".py") for part in file.parts}] == []


def test_every_test_function_is_in_a_file_that_pytest_collects() -> None:
    lost = [
        file.as_posix()
        for file in modules("tests")
        if not file.name.startswith("test_")
        and any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
            for node in ast.walk(ast.parse((ROOT / file).read_text()))
        )
    ]
    assert lost == []


def test_no_path_of_a_machine_stands_in_the_tree() -> None:
    found = subprocess.run(
        [
            "git",
            "grep",
            "-nIF",
            "--untracked",
            "--exclude-standard",
            f"{ROOT}/",
            "--",
            ".",
            ":!**/node_modules/**",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert found == ""


def test_the_files_of_thorough_tests_exist() -> None:
    assert [name for name in THOROUGH if not (ROOT / name).is_file()] == []
