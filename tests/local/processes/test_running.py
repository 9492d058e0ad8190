"""Reading what the running local Azure says of itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from local.errors import LocalError
from local.paths import Paths
from local.processes.running import read_cloud


def test_it_is_only_true_while_the_local_azure_runs(paths: Paths) -> None:
    paths.cloud_json.write_text('{"arm": "https://127.0.0.1:1"}')
    with pytest.raises(LocalError, match="does not run\n  next:  python -m local start"):
        read_cloud(paths)


def test_the_file_is_read(paths: Paths, hold_lock: Callable[..., subprocess.Popen[str]]) -> None:
    hold_lock()
    paths.cloud_json.write_text(json.dumps({"arm": "x"}))
    assert read_cloud(paths) == {"arm": "x"}


@pytest.mark.parametrize("text", [None, "{"])
def test_a_damaged_file_is_named_and_how_it_is_written_again(
    paths: Paths, hold_lock: Callable[..., subprocess.Popen[str]], text: str | None
) -> None:
    hold_lock()
    if text is not None:
        paths.cloud_json.write_text(text)
    with pytest.raises(
        LocalError, match=r"cloud\.json cannot be read\n(.*\n)?.*local stop, then: python -m local start"
    ):
        read_cloud(paths)
