"""`.local/cloud.json` and Azure's public packages are enough to use the local Azure."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.scenarios.checkout import Checkout

pytestmark = pytest.mark.docker

SCRIPT = Path(__file__).with_name("strangers_script.py")


def test_a_strangers_script_lists_the_pool_runs_a_container_and_reads_its_output(
    deployed: Checkout, tmp_path: Path
) -> None:
    # -I: neither the current folder, the script's folder nor PYTHONPATH is searched, so nothing of ours can be found.
    words = [str(deployed.python), "-I", str(SCRIPT), str(deployed.home / "cloud.json")]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    pool = deployed.outputs()["pools"]["default"]
    assert said["pool"] == pool["id"]
    assert len(said["nodes"]) == 2
    assert said["exit_code"] == 0
    assert said["on_the_node"] == said["in_the_container"] == "hello from hello\n"
