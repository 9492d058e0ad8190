"""Version and revision of the worker's image: what git says, and nothing that changes without the package."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from infra.worker_source import revision, version
from tests.infra.recording import ROOT
from worker.docker_worker import VERSION

WORKER = ROOT / "worker"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of `worker/`, as a checkout elsewhere has it."""
    return shutil.copytree(WORKER, tmp_path / "worker", ignore=shutil.ignore_patterns("__pycache__"))


def git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def test_the_version_is_the_packages() -> None:
    assert version(WORKER) == VERSION


def test_a_package_without_a_version_is_told(copy: Path) -> None:
    (copy / "docker_worker" / "__init__.py").write_text("")
    with pytest.raises(ValueError, match="has no line VERSION"):
        version(copy)


def test_the_revision_is_gits_id_of_the_packages_tree(copy: Path) -> None:
    # git's order: `b.py` before the folder `b`, and that before `b0`
    (copy / "docker_worker" / "examples.py").write_text("")
    (copy / "docker_worker" / "examples0").write_text("")
    (copy / "docker_worker" / "examples0").chmod(0o755)
    git(copy, "init", "--quiet")
    git(copy, "add", "docker_worker")
    assert revision(copy) == git(copy, "write-tree", "--prefix=docker_worker/")


def test_the_revision_is_the_same_in_every_checkout_and_after_a_run(copy: Path) -> None:
    cache = copy / "docker_worker" / "__pycache__"
    cache.mkdir()
    (cache / "run.cpython-312.pyc").write_bytes(b"x")
    (copy / "README.md").write_text("beside the package")
    assert revision(copy) == revision(WORKER)


@pytest.mark.parametrize("name", ["run.py", "examples/drill.py", "new.py"])
def test_the_revision_changes_with_the_package(copy: Path, name: str) -> None:
    with (copy / "docker_worker" / name).open("a") as file:
        file.write("# changed\n")
    assert revision(copy) != revision(WORKER)
