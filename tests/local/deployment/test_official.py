"""With an official installation of Pulumi on PATH nothing of ours stands in for it, and nothing is built."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.paths import CHECKOUT, HOME_VARIABLE
from tools.setup.pulumi_cli import Installation

pytestmark = pytest.mark.thorough

# A language host that is not ours as far as anybody can see: it lies beside `pulumi`, outside of every checkout, and
# finds Pulumi's executor script by itself, as the official one does. It notes that it was started.
HOST = """#!/bin/sh
echo "$0" >> {note}
PULUMI_STANDIN_EXECUTOR={executor} PYTHONPATH={checkout} exec {python} -P -m local.plugins.language_python "$@"
"""


@pytest.fixture
def official(tmp_path: Path, real_cli: Installation) -> Path:
    """A folder with `pulumi` and its own `pulumi-language-python`."""
    if real_cli.official:
        return real_cli.pulumi.parent
    folder = tmp_path / "official"
    folder.mkdir()
    shutil.copy2(real_cli.pulumi, folder / "pulumi")
    host = folder / "pulumi-language-python"
    host.write_text(
        HOST.format(note=tmp_path / "note", executor=real_cli.executor, checkout=CHECKOUT, python=sys.executable)
    )
    host.chmod(0o755)
    return folder


def test_a_preview_uses_it_and_its_own_language_host(tmp_path: Path, official: Path) -> None:
    home, cache = tmp_path / "home", tmp_path / "cache"
    environment = {
        **os.environ,
        "PATH": f"{official}{os.pathsep}{os.environ['PATH']}",
        HOME_VARIABLE: str(home),
        "XDG_CACHE_HOME": str(cache),  # there is no CLI of ours in it
    }
    done = subprocess.run(
        [sys.executable, "-m", "local", "preview", "--stack", "dev"],
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "to create" in done.stdout
    assert (tmp_path / "note").read_text().startswith(str(official))
    assert "languages" not in (home / "offline" / "dev" / "Pulumi.yaml").read_text()
    assert not (cache / "azure-batch-platform" / "pulumi").exists(), "a CLI was built"
