"""Types are checked where something changed: what is known, what is forgotten, and that errors are never remembered."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tools import typecheck

PYRIGHT = """#!{python}
import sys
if "--version" in sys.argv:
    print("pyright 1.0")
    sys.exit()
with open("asked", "a") as asked:
    asked.write("\\n".join(sys.argv[1:]) + "\\n")
sys.exit(any("WRONG" in open(name).read() for name in sys.argv[1:]))
"""
TREE = {
    "a/__init__.py": "",
    "a/base.py": "NUMBER = 1\n",
    "a/user.py": "def late() -> None:\n    from .base import NUMBER\n",
    "a/other.py": "import json\n",
    "b/top.py": "import a.user\n",
    "b/beside.py": "import top\n",
    "b/package.py": "from a import NAME\n",
    "outside.py": "import a\n",
}


class Project:
    """A small tree, with a pyright that finds the word WRONG in the files that it is given."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(exist_ok=True)
        (self.root / name).write_text(text)

    def check(self, code: int = 0) -> set[str]:
        """The files that pyright was asked about."""
        asked = self.root / "asked"
        asked.unlink(missing_ok=True)
        assert typecheck.main() == code
        return set(asked.read_text().split()) if asked.exists() else set()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    program = tmp_path / "pyright"
    program.write_text(PYRIGHT.format(python=sys.executable))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(typecheck, "PROGRAM", program)
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    made = Project(tmp_path)
    made.write("pyproject.toml", '[tool.pyright]\ninclude = ["a", "b"]\n')
    for name, text in TREE.items():
        made.write(name, text)
    return made


def test_everything_that_is_included_is_checked_once(project: Project) -> None:
    assert project.check() == set(TREE) - {"outside.py"}
    assert project.check() == set()


@pytest.mark.parametrize(
    ("changed", "asked"),
    [
        ("a/base.py", {"a/base.py", "a/user.py", "b/top.py", "b/beside.py"}),
        ("a/other.py", {"a/other.py"}),
        ("b/top.py", {"b/top.py", "b/beside.py"}),
        ("a/__init__.py", {"a/__init__.py", "a/user.py", "b/package.py", "b/top.py", "b/beside.py"}),
    ],
)
def test_a_change_is_checked_with_all_that_import_it(project: Project, changed: str, asked: set[str]) -> None:
    project.check()
    project.write(changed, TREE[changed] + "MORE = 2\n")
    assert project.check() == asked


def test_a_new_module_is_seen_by_those_that_named_it_before(project: Project) -> None:
    project.check()
    project.write("a/NAME.py", "")
    assert project.check() == {"a/NAME.py", "b/package.py"}


@pytest.mark.parametrize("name", typecheck.EVERYWHERE)
def test_other_settings_or_packages_change_every_result(project: Project, name: str) -> None:
    project.check()
    old = (project.root / name).read_text() if (project.root / name).exists() else ""
    project.write(name, f"{old}# changed\n")
    assert project.check() == set(TREE) - {"outside.py"}


def test_what_is_wrong_is_checked_and_told_until_it_is_mended(project: Project) -> None:
    project.write("a/other.py", "WRONG\n")
    assert "a/other.py" in project.check(code=1)
    assert "a/other.py" in project.check(code=1)
    project.write("a/other.py", "right = 1\n")
    assert "a/other.py" in project.check()
    assert project.check() == set()


def test_a_memory_that_cannot_be_read_is_none(project: Project) -> None:
    project.check()
    project.write(".build/pyright.json", "{half")
    assert project.check() == set(TREE) - {"outside.py"}


def test_many_files_are_shared_by_those_that_use_azure_native_and_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typecheck.os, "cpu_count", lambda: 2)
    tree = [Path(f"m{number}.py") for number in range(20)]
    graph = {file: {tree[0]} if number < 5 else set[Path]() for number, file in enumerate(tree)}
    assert typecheck.parts(tree, graph, {tree[0]}) == [tree[:5], tree[5:]]
    assert typecheck.parts(tree, graph, set()) == [tree[:10], tree[10:]]
    monkeypatch.setattr(typecheck, "WORTH", 5)
    assert typecheck.parts(tree, graph, {tree[0]}) == [tree[:10], tree[10:]]
    assert typecheck.parts(tree[:3], graph, {tree[0]}) == [tree[:3]]
