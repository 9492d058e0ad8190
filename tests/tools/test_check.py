"""The static checks: hadolint sees every Dockerfile, and finds what is wrong in one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.check import CHECKS, ROOT, dockerfiles


def test_every_dockerfile_of_the_tree_is_checked() -> None:
    there = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*")
        if "ockerfile" in path.name and path.is_file() and not {"node_modules", ".venv", ".build"} & set(path.parts)
    }
    assert set(dockerfiles(ROOT)) == there
    assert {"worker/Dockerfile", "local/node/image_files/node.Dockerfile"} <= there


def test_hadolint_finds_a_planted_mistake(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN apt-get install curl\nRUN sudo id\n")
    [(program, *arguments)] = [check for check in CHECKS if check[0] == "hadolint"]
    command = [Path(sys.executable).parent / program, *arguments, bad]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert {"DL3004", "DL3006", "DL3008"} <= set(done.stdout.split())
