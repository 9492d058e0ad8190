"""The build context: problems with advice, and a digest that changes exactly when an image would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.plugins.docker_image import context
from local.plugins.docker_image.names import is_fully_qualified, split

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "app"
    (folder / "src").mkdir(parents=True)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    (folder / "src" / "a.txt").write_text("a")
    return folder


def digest() -> str:
    return context.digest("app", "app/Dockerfile")


def test_contents_names_modes_and_the_dockerfile_change_the_digest(app: Path):
    seen = {digest()}
    (app / "src" / "a.txt").write_text("b")
    seen.add(digest())
    (app / "src" / "a.txt").rename(app / "src" / "b.txt")
    seen.add(digest())
    (app / "src" / "b.txt").chmod(0o755)
    seen.add(digest())
    (app / "link").symlink_to("src/b.txt")
    seen.add(digest())
    (app / "Dockerfile").write_text("FROM scratch\nCOPY src /\n")
    seen.add(digest())
    assert len(seen) == 6


def test_times_and_ignored_files_do_not_change_the_digest(app: Path):
    (app / ".dockerignore").write_text("# caches\n**/*.pyc\n.git\n")
    before = digest()
    os.utime(app / "src" / "a.txt", (1, 1))
    (app / "src" / "a.pyc").write_text("x")
    (app / ".git").mkdir()
    (app / ".git" / "HEAD").write_text("ref")
    assert digest() == before


def test_ignore_rules_beside_the_dockerfile_win(app: Path):
    (app / ".dockerignore").write_text("src\n")
    assert context.ignore_patterns("app", "app/Dockerfile") == ["src"]
    (app / "Dockerfile.dockerignore").write_text("other\n")
    assert context.ignore_patterns("app", "app/Dockerfile") == ["other", ".dockerignore"]


def test_a_dockerfile_outside_the_context_counts(app: Path, tmp_path: Path):
    (tmp_path / "Other").write_text("FROM scratch\n")
    before = context.digest("app", "Other")
    (tmp_path / "Other").write_text("FROM scratch\nLABEL a=b\n")
    assert context.digest("app", "Other") != before
    assert context.dockerfile_in("app", "Other") is None


def test_a_context_that_does_not_exist_gives_the_nearest_folder(app: Path):
    [failure] = context.find_failures("apq", "apq/Dockerfile")
    assert failure.property == "build.context"
    assert "did you mean 'app'?" in failure.reason


def test_a_dockerfile_given_relative_to_the_context_is_explained(app: Path):
    [failure] = context.find_failures("app", "Dockerfile")
    assert failure.reason.endswith("paths are relative to the program, not to the context: write 'app/Dockerfile'")


def test_a_dockerfile_under_another_name_is_found(app: Path):
    (app / "Dockerfile").rename(app / "worker.dockerfile")
    [failure] = context.find_failures("app", "app/Dockerfile")
    assert "found in the context: app/worker.dockerfile" in failure.reason


@pytest.mark.parametrize(
    ("name", "repository", "tag", "qualified"),
    [
        ("127.0.0.1:5000/worker", "127.0.0.1:5000/worker", "latest", True),
        ("acr.azurecr.io/a/b:1.2", "acr.azurecr.io/a/b", "1.2", True),
        ("localhost/a", "localhost/a", "latest", True),
        ("worker:1", "worker", "1", False),
        ("library/worker", "library/worker", "latest", False),
    ],
)
def test_names_are_taken_apart(name: str, repository: str, tag: str, qualified: bool):
    assert split(name) == (repository, tag)
    assert is_fully_qualified(name) is qualified


def test_a_preview_does_not_wait_for_dockers_client():
    """Docker's SDK imports an HTTP client, which only a build needs; what tells ignored files comes without it."""
    code = """if True:
        import sys
        from local.plugins.docker_image import __main__, context
        context.digest("worker", "worker/Dockerfile")
        print(sorted({"docker", "requests", "urllib3"} & sys.modules.keys()))
    """
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_client_the_same_files_are_ignored_as_with_it(app: Path):
    from docker.utils.build import exclude_paths

    patterns = ["*", "!src", "src/*.pyc", "**/__pycache__"]
    for name in ("src/a.pyc", "src/deep/__pycache__/x", "src/deep/b.txt", "other/c.txt"):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(name)
    found = set(context._exclude_paths()(str(app), list(patterns), dockerfile="Dockerfile"))
    assert found == exclude_paths(str(app), list(patterns), dockerfile="Dockerfile")
    assert {"src/a.txt", "src/deep/b.txt"} <= found and not {"src/a.pyc", "other/c.txt"} & found
