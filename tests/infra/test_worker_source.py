"""Version and revision of the worker's image: what git says, and nothing that changes without the package."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.worker_image.source import UNTRACKED, make_build_context, revision, version
from local.plugins.docker_image.context import archive, digest
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


# What tools leave in a source tree, and git does not track.
LEFTOVERS: dict[str, Callable[[Path], object]] = {
    "Emacs's lock, a dangling link": lambda package: (package / ".#run.py").symlink_to("me@host.1:2"),
    "a lock that points at a folder": lambda package: (package / ".#examples").symlink_to("examples"),
    "Finder's file": lambda package: (package / ".DS_Store").write_bytes(b"x"),
    "a loose compiled module": lambda package: (package / "x.pyc").write_bytes(b"x"),
    "an optimised one below": lambda package: (package / "examples" / "x.pyo").write_bytes(b"x"),
    "vim's swap file": lambda package: (package / ".run.py.swp").write_bytes(b"x"),
    "an editor's backup": lambda package: (package / "run.py~").write_bytes(b"x"),
    "an empty folder": lambda package: (package / "new").mkdir(),
    "folders in an empty folder": lambda package: (package / "new" / "a" / "b").mkdir(parents=True),
}


@pytest.mark.parametrize("in_git", [True, False], ids=["a checkout", "no checkout"])
@pytest.mark.parametrize("leftover", LEFTOVERS)
def test_what_git_does_not_track_changes_neither_label_nor_plan(copy: Path, leftover: str, in_git: bool) -> None:
    if in_git:
        git(copy, "init", "--quiet")
        git(copy, "add", ".")
    before, planned = revision(copy), plan(copy)
    LEFTOVERS[leftover](copy / "docker_worker")
    assert revision(copy) == before == revision(WORKER)
    assert plan(copy) == planned


def plan(worker: Path) -> dict[str, tuple[int, bytes]]:
    """Everything that pulumi-docker's digest of the context is made of: names, modes and contents."""
    context = worker.parent / "context"
    make_build_context(worker, context)
    return {
        str(path.relative_to(context)): (
            path.lstat().st_mode,
            os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b"",
        )
        for path in context.rglob("*")
    }


def test_what_the_checkout_ignores_by_its_own_rules_counts_as_little(copy: Path) -> None:
    git(copy, "init", "--quiet")
    (copy / ".gitignore").write_text("*.log\n")
    git(copy, "add", ".")
    planned = plan(copy)
    (copy / "docker_worker" / "run.log").write_text("x")
    assert revision(copy) == revision(WORKER)
    assert plan(copy) == planned


def test_a_copy_inside_a_checkout_that_ignores_it_is_read_without_git(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("/copies/\n")
    inside = shutil.copytree(WORKER, tmp_path / "copies" / "worker", ignore=shutil.ignore_patterns("__pycache__"))
    assert revision(inside) == revision(WORKER)


@pytest.mark.parametrize("target", ["run.py", "examples", "nowhere"])
def test_a_link_is_a_link_as_in_git(copy: Path, target: str) -> None:
    (copy / "docker_worker" / "alias").symlink_to(target)
    git(copy, "init", "--quiet")
    git(copy, "add", "docker_worker")
    assert revision(copy) == git(copy, "write-tree", "--prefix=docker_worker/")
    assert stat.S_ISLNK(plan(copy)["docker_worker/alias"][0])


def test_a_file_that_git_tracks_and_that_was_deleted_is_not_there(copy: Path) -> None:
    git(copy, "init", "--quiet")
    git(copy, "add", ".")
    (copy / "docker_worker" / "examples" / "drill.py").unlink()
    git(copy, "add", "docker_worker")
    assert revision(copy) == git(copy, "write-tree", "--prefix=docker_worker/")
    assert "docker_worker/examples/drill.py" not in plan(copy)


@pytest.mark.parametrize("first", [0o002, 0o022, 0o077])
def test_checkouts_with_any_umask_plan_the_same_image(copy: Path, first: int) -> None:
    """pulumi-docker hashes the modes of files: with the checkout's own, a colleague's `up` would build again."""
    planned = plan(copy)
    for path in copy.rglob("*"):
        path.chmod((0o777 if path.is_dir() or path.stat().st_mode & 0o100 else 0o666) & ~first)
    before = os.umask(first)
    try:
        shutil.rmtree(copy.parent / "context")
        assert plan(copy) == planned
    finally:
        os.umask(before)


def test_the_copy_follows_its_source_and_is_otherwise_left_alone(copy: Path) -> None:
    plan(copy)
    context = copy.parent / "context"
    (context / "stray").mkdir()
    (context / "stray" / "file").write_text("x")
    (context / "docker_worker" / "run.py").write_text("changed by hand")
    (copy / "docker_worker" / "run.py").chmod(0o755)
    untouched = context / "docker_worker" / "items.py"
    before = untouched.stat()
    assert plan(copy)["docker_worker/run.py"] == (stat.S_IFREG | 0o755, (copy / "docker_worker/run.py").read_bytes())
    assert not (context / "stray").exists()
    assert (untouched.stat().st_ino, untouched.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_copy_that_cannot_be_written_is_told_with_its_place(copy: Path) -> None:
    (copy.parent / "context").write_text("a file")
    with pytest.raises(ValueError, match=r"cannot be written to .*context"):
        make_build_context(copy, copy.parent / "context")


def test_the_build_and_git_leave_out_the_same_files() -> None:
    dockerignore = (WORKER / ".dockerignore").read_text().splitlines()
    gitignore = (ROOT / ".gitignore").read_text().replace("\\", "").replace("/\n", "\n").splitlines()
    assert {line.removeprefix("**/") for line in dockerignore if line.startswith("**/")} == set(UNTRACKED)
    assert set(UNTRACKED) <= set(gitignore)


def test_the_docker_plugin_takes_a_context_with_a_dangling_link(copy: Path) -> None:
    before = digest(str(copy), str(copy / "Dockerfile"))
    (copy / "docker_worker" / ".#run.py").symlink_to("me@host.1:2")
    assert digest(str(copy), str(copy / "Dockerfile")) == before
    (copy / "docker_worker" / "alias").symlink_to("nowhere")
    assert digest(str(copy), str(copy / "Dockerfile")) != before
    content, _ = archive(str(copy), str(copy / "Dockerfile"))
    content.close()
