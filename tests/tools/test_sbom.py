"""`make sbom`: every package of the worker's lock file is in it, and nothing that changes from run to run."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tools.exits import Exit
from tools.sbom import LOCK, ROOT, main

pytestmark = pytest.mark.thorough


def locked() -> dict[str, str]:
    found = dict(re.findall(r"^([a-z0-9._-]+)==([^ \\]+)", LOCK.read_text(), re.MULTILINE))
    assert len(found) > 10
    return found


def test_make_sbom_lists_every_locked_package(tmp_path: Path) -> None:
    file = tmp_path / "worker.cdx.json"
    subprocess.run(["make", "sbom", f"SBOM={file}"], cwd=ROOT, check=True, capture_output=True, text=True)
    document = json.loads(file.read_text())
    assert document["bomFormat"] == "CycloneDX"
    assert {one["name"]: one["version"] for one in document["components"]} == locked()
    assert all(one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}" for one in document["components"])


def test_the_same_lock_gives_the_same_file(tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    assert [main([str(file)]) for file in files] == [0, 0]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_machine_without_docker_is_told_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["--image", "any", str(tmp_path / "a.json")]) == Exit.FAILED
    assert "there is no docker" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
