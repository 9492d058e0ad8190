"""Each kind of place that the proof about secrets searches: a planted leak is found there, and nothing without one."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from local.paths import Paths
from tests.scenarios import machine, secret_values
from tests.scenarios.packed import image_layer
from tests.scenarios.secret_search import Search

VALUE = "marked-5f3c9d-planted"
NAME = "client secret"
SEARCH = Search({NAME: VALUE})
IN_BASE64 = base64.b64encode(f"user:{VALUE}".encode())
HIDDEN = [
    pytest.param(VALUE.encode(), id="as it is"),
    pytest.param(IN_BASE64, id="in base64"),
    pytest.param(VALUE.encode("utf-16-le"), id="in UTF-16"),
    pytest.param(gzip.compress(IN_BASE64), id="compressed"),
]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    """Of a local Azure with files of its own, all for their owner only."""
    made = Paths(tmp_path / "home")
    made.ensure()
    for name in ("log/azure.log", "state/azure.db", "cloud.json", "stack/.pulumi/stacks/local.json"):
        write(made.home / name, b"nothing")
    for number in range(4):
        write(made.state / "registry" / "blobs" / str(number) / "data", gzip.compress(b"nothing"))
    return made


def write(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch(0o600)
    file.write_bytes(content)
    for folder in file.parents[:4]:
        folder.chmod(0o700)


@pytest.mark.parametrize("content", HIDDEN)
@pytest.mark.parametrize(
    "name",
    ["log/azure.log", "stack/.pulumi/stacks/local.json", "run/events.jsonl", "state/azure.db-journal", "new/file"],
)
def test_files_of_the_local_azure(paths: Paths, name: str, content: bytes) -> None:
    assert secret_values.badly_kept(paths, SEARCH) == []
    write(paths.home / name, content)
    assert secret_values.badly_kept(paths, SEARCH) == [f"{paths.home / name} holds {NAME}"]


def test_files_that_are_made_for_it_hold_their_own_secret_and_no_other(paths: Paths) -> None:
    write(paths.cloud_json, VALUE.encode())
    assert secret_values.badly_kept(paths, SEARCH) == []
    assert secret_values.badly_kept(paths, Search({"passphrase": VALUE})) == [f"{paths.cloud_json} holds passphrase"]


def test_files_that_others_may_read(paths: Paths) -> None:
    paths.cloud_json.chmod(0o640)
    assert secret_values.badly_kept(paths, SEARCH) == [f"{paths.cloud_json} has mode 640"]


@pytest.mark.parametrize(
    "blob",
    [
        image_layer(VALUE.encode()),
        gzip.compress(IN_BASE64),
        json.dumps({"history": [{"created_by": f"RUN curl -u x:{VALUE}"}]}).encode(),
        json.dumps({"config": {"Env": [f"TOKEN={VALUE}"]}}).encode(),
    ],
    ids=["a layer", "a compressed file", "an image's history", "an image's environment"],
)
def test_images_in_the_registry(paths: Paths, blob: bytes) -> None:
    assert secret_values.pushed(paths, SEARCH) == []
    place = paths.state / "registry" / "blobs" / "9" / "data"
    write(place, blob)
    assert secret_values.pushed(paths, SEARCH) == [f"{place} holds {NAME}"]


def test_a_registry_without_images_proves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="nothing was looked at"):
        secret_values.pushed(Paths(tmp_path), SEARCH)


@pytest.mark.parametrize(
    "shown",
    [VALUE, IN_BASE64.decode(), f"https://x/?token={VALUE}"],
    ids=["as it is", "in base64", "in a URL"],  # pytest writes them into the environment
)
def test_command_lines_and_environments_of_processes(shown: str) -> None:
    def ends(*words: str, **variables: str) -> tuple[set[str], list[str]]:
        with machine.Watching() as lines:
            code = "import sys; print('up', flush=True); sys.stdin.read()"
            process = subprocess.Popen(
                [sys.executable, "-c", code, *words],
                env={**os.environ, **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            assert process.stdout is not None and process.stdout.readline()
            time.sleep(0.3)
            environments = secret_values.in_environments({"azure": process.pid}, SEARCH)
            process.communicate()
        return SEARCH.names("\n".join(lines)), environments

    assert ends() == (set(), [])
    assert ends(shown) == ({NAME}, [])
    assert ends(TOKEN=shown) == (set(), [f"the environment of azure holds {NAME}"])


def test_a_process_that_the_table_names_has_what_it_names_and_no_more() -> None:
    own = {"azurite": os.getpid()}
    here = os.environ["PATH"]
    assert secret_values.in_environments(own, Search({"blob secret": here})) == []
    assert secret_values.in_environments(own, Search({"passphrase": here})) == [
        "the environment of azurite holds passphrase"
    ]


@pytest.mark.parametrize("content", HIDDEN)
def test_files_that_were_left_behind(tmp_path: Path, content: bytes) -> None:
    old, new, own = tmp_path / "old", tmp_path / "folder" / "new", tmp_path / "own" / "file"
    for file in (old, new, own):
        write(file, content)
    os.utime(old, (1, 1))
    found = secret_values.left_behind([tmp_path], 1000.0, SEARCH, but=[own.parent])
    assert found == [f"{new} holds {NAME}"]


@pytest.mark.parametrize("name", ["core", "core.4711"])
def test_core_dumps(tmp_path: Path, name: str) -> None:
    write(tmp_path / "folder" / "core.py", b"")
    assert secret_values.core_dumps([tmp_path]) == []
    write(tmp_path / "folder" / name, b"")
    assert secret_values.core_dumps([tmp_path]) == [tmp_path / "folder" / name]


@pytest.mark.parametrize(
    "shown",
    [
        lambda: json.dumps([{"environmentSettings": [{"name": "X", "value": VALUE}]}]),
        lambda: json.dumps({"userAccounts": [{"password": VALUE}]}),
        lambda: f"::error::curl https://user:{VALUE}@host",
        lambda: json.dumps({"steps": [{"newState": {"inputs": {"password": IN_BASE64.decode()}}}]}),
    ],
    ids=["a task's definition", "a pool's definition", "a log", "a preview"],
)
def test_definitions_previews_and_what_is_printed(shown: Callable[[], str]) -> None:
    assert SEARCH.names(shown()) == {NAME}
    assert SEARCH.names(shown().replace(VALUE, "***").replace(IN_BASE64.decode(), "***")) == set()
