"""The search for secrets finds each planted one: in every form, in every kind of file, and nothing where nothing is."""

from __future__ import annotations

import base64
import bz2
import gzip
import html
import io
import json
import lzma
import random
import re
import urllib.parse
import zipfile
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from tests.scenarios.packed import image_layer, tar
from tests.scenarios.secret_search import A_TOKEN, DEEPEST, Search

VALUE = 'mar/ked+5f3c-of "a" login?é'
NAME = "canary"
FORMS: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "in JSON": lambda value: json.dumps({"a": value}).encode(),
    "in JSON in JSON": lambda value: json.dumps(json.dumps({"a": value})).encode(),
    "in a URL": lambda value: b"https://x/?p=" + urllib.parse.quote(value, safe="").encode() + b"&b",
    "in a path": lambda value: urllib.parse.quote(value).encode(),
    "in a form": lambda value: urllib.parse.urlencode({"password": value}).encode(),
    "in a URL with small digits": lambda value: re.sub(
        "%..", lambda found: found[0].lower(), urllib.parse.quote(value, safe="")
    ).encode(),
    "quoted twice": lambda value: urllib.parse.quote(urllib.parse.quote(value, safe=""), safe="").encode(),
    "in HTML": lambda value: html.escape(value).encode(),
    "in UTF-16": lambda value: b"\xff\xfe" + value.encode("utf-16-le"),
    "in the other UTF-16": lambda value: value.encode("utf-16-be"),
    "in hexadecimal": lambda value: value.encode().hex().encode(),
    "in a login packet of SQL Server": lambda value: bytes(
        ((byte << 4 | byte >> 4) & 0xFF) ^ 0xA5 for byte in value.encode("utf-16-le")
    ),
    **{
        f"in base64 behind {skipped} bytes": lambda value, skipped=skipped: base64.b64encode(
            b"user:"[:skipped] + value.encode() + b"tail"
        )
        for skipped in range(6)
    },
    "in base64 for URLs": lambda value: base64.urlsafe_b64encode(value.encode()),
}


def zipped(content: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("none", "none")
        archive.writestr("folder/file", content)
    return made.getvalue()


ARCHIVES: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "large": lambda content: bytes(1_000_000) + content + bytes(10),
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
    "tar": lambda content: tar("file", content),
    "layer": lambda content: gzip.compress(tar("etc/file", content)),
    "compressed in a layer": image_layer,
    "zip in a layer": lambda content: gzip.compress(tar("a.zip", zipped(content))),
    "cut gzip": lambda content: gzip.compress(content + random_bytes(100_000))[:-50_000],
    "gzip with something behind it": lambda content: gzip.compress(content) + b"x" * 100,
    "what only begins like gzip": lambda content: b"\x1f\x8b" + content,
}


def random_bytes(count: int) -> bytes:
    return random.Random(1).randbytes(count)


@pytest.fixture(scope="module")
def search() -> Search:
    return Search({NAME: VALUE, "another": "another-value-0aA!"})


@pytest.mark.parametrize("form", FORMS)
def test_it_finds_a_value_however_it_is_written(search: Search, form: str) -> None:
    for around in (b"", bytes(100_000)):  # looked for here, and by grep
        assert search.names(around + b"x" + FORMS[form](VALUE) + around) == {NAME}


@pytest.mark.parametrize("kind", ARCHIVES)
@pytest.mark.parametrize("form", ["as it is", "in base64 behind 2 bytes", "in UTF-16", "in a URL"])
def test_it_finds_a_value_in_whatever_it_is_packed(search: Search, tmp_path: Path, kind: str, form: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(ARCHIVES[kind](FORMS[form](VALUE)))
    assert search.in_file(file) == {NAME}
    file.write_bytes(ARCHIVES[kind](FORMS[form]("something else entirely")))
    assert search.in_file(file) == set()


def test_it_finds_any_jwt(search: Search, tmp_path: Path) -> None:
    token = jwt.encode({"sub": "somebody", "aud": "anything"}, "k" * 32)
    (tmp_path / "log").write_text(f"Authorization: Bearer {token}\n")
    assert search.names(f"x {token}") == search.in_file(tmp_path / "log") == {A_TOKEN}


def test_what_cannot_be_opened_is_told(search: Search, tmp_path: Path) -> None:
    content = b"nothing"
    for _ in range(DEEPEST + 1):
        content = gzip.compress(content)
    (tmp_path / "deep").write_bytes(content)
    (tmp_path / "zstandard").write_bytes(b"\x28\xb5\x2f\xfd and more")
    assert [str(*search.in_file(tmp_path / name))[:25] for name in ("deep", "zstandard")] == [
        "archives in one another, ",
        "something compressed by z",
    ]


def test_what_is_looked_for_is_long_enough_to_mean_something() -> None:
    with pytest.raises(AssertionError, match="cannot be looked for"):
        Search({"short": "abc"})
