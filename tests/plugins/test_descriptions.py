"""What the SDK says of a type, kept as plain data: equal with and without the file, never of another version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.plugins.azure_native.resources import TYPES
from local.plugins.docker_image.provider import IMAGE
from local.plugins.schema import descriptions, sdk
from local.plugins.schema.descriptions import description
from local.plugins.schema.types import PROVIDER_MODULE

POOL = "azure-native:batch:Pool"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    descriptions._description.cache_clear()
    yield tmp_path
    descriptions._description.cache_clear()


def files(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


@pytest.mark.parametrize("token", [*TYPES, IMAGE, f"{PROVIDER_MODULE}azure-native"])
def test_what_is_kept_is_what_the_sdk_says(cache: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = description(token)
    assert read
    assert len(files(cache)) == 1
    descriptions._description.cache_clear()
    monkeypatch.setattr(sdk, "describe", lambda _: pytest.fail("the SDK was read again"))
    kept = description(token)
    assert kept
    assert json.dumps(vars(kept)) == json.dumps(vars(read))


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"inputs": 1}', "\0"])
def test_a_file_that_is_none_is_read_anew_and_written_again(cache: Path, content: str) -> None:
    good = description(POOL)
    [file] = files(cache)
    file.write_text(content)
    descriptions._description.cache_clear()
    from_file = description(POOL)
    assert good and from_file
    assert from_file.input_names == good.input_names
    assert json.loads(file.read_text())["inputs"] == good.inputs


def test_another_version_of_the_sdk_is_read_anew(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    description(POOL)
    descriptions._description.cache_clear()
    monkeypatch.setattr(descriptions, "_version", lambda _: "99.0.0")
    description(POOL)
    assert len({path.parent.name for path in files(cache)}) == 2


@pytest.mark.parametrize("home", ["", "relative", "/proc/no-such-place"])
def test_without_a_cache_folder_the_sdk_is_read_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    monkeypatch.setenv("HOME", home)
    monkeypatch.chdir(tmp_path)
    descriptions._description.cache_clear()
    described = description(POOL)
    assert described
    assert "vmSize" in described.input_names
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("token", ["azure-native:batch:Nothing", "other:x:Y", "", "docker:index/image:Nothing"])
def test_what_the_sdk_has_not_is_none(cache: Path, token: str) -> None:
    assert description(token) is None
    assert files(cache) == []
