"""Looks for values in bytes, files, archives and folders, however they are written there.

A value is found as it is, and as it looks in JSON, URLs, HTML, base64 (at any offset), hexadecimal, UTF-16 and in the
login packet of SQL Server; inside of gzip, bzip2, xz, zip and tar, in one another. `grep -F` does the searching, of
hundreds of texts in gigabytes at once. What cannot be opened is a finding, too.
"""

from __future__ import annotations

import base64
import bz2
import contextlib
import gzip
import html
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final, cast

SHORTEST: Final = 8
"""Bytes; what is shorter is found everywhere."""
TOKEN: Final = re.compile(rb"eyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16,}")
"""A JWT, whoever issued it."""
A_TOKEN: Final = "a token"
DEEPEST: Final = 5
"""Archives in one another."""
_IN_MEMORY: Final = 32 << 20
_SMALL: Final = 16 << 10
"""Bytes up to which it is quicker to look here than to start `grep`."""
_OPENERS: Final[Mapping[bytes, Callable[[Any], Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\x00": lzma.open,
}
_DAMAGED: Final = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, NotImplementedError)
_ZIP: Final = b"PK\x03\x04"
_ZSTANDARD: Final = b"\x28\xb5\x2f\xfd"  # no reader for it in this Python


def forms(value: str) -> set[bytes]:
    """Every way in which a value may be written."""
    raw, wide = value.encode(), value.encode("utf-16-le")
    quoted = urllib.parse.quote(value, safe="")
    in_json = json.dumps(value)[1:-1]
    texts = {
        quoted,
        urllib.parse.quote(value),
        urllib.parse.quote_plus(value),
        urllib.parse.quote(quoted, safe=""),
        re.sub("%..", lambda found: found[0].lower(), quoted),
        in_json,
        json.dumps(in_json)[1:-1],
        html.escape(value),
        raw.hex(),
        raw.hex().upper(),
    }
    # Without its last byte the one is found in the other order of bytes, too.
    found = {raw, wide[:-1], bytes(((byte << 4 | byte >> 4) & 0xFF) ^ 0xA5 for byte in wide)}
    found |= {text.encode() for text in texts}
    for skipped in range(3):
        whole = base64.b64encode(bytes(skipped) + raw)
        # Characters at both ends hold bits of what stands beside the value.
        core = whole[(0, 2, 3)[skipped] : (skipped + len(raw)) * 8 // 6]
        found |= {core, core.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


class Search:
    """The values that are looked for, by name."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._names: dict[bytes, str] = {}
        for name, value in secrets.items():
            for form in forms(value):
                assert len(form) >= SHORTEST and b"\n" not in form, f"{name} cannot be looked for"
                self._names[form] = name
        self.patterns: Final = b"\n".join(self._names)
        """One form a line, for `grep -F`."""

    def names(self, data: bytes | str) -> set[str]:
        """Names of the values in some bytes; `a token` stands for any JWT."""
        data = data.encode(errors="surrogateescape") if isinstance(data, str) else data
        found = self._grep(io.BytesIO(data))
        return found | ({A_TOKEN} if TOKEN.search(data) else set())

    def name_of(self, form: bytes) -> str:
        """Of the value that is written so: what `grep -o` printed."""
        return self._names[form]

    def in_file(self, file: Path) -> set[str]:
        """Names of the values in a file, and in whatever is packed in it."""
        with file.open("rb") as opened:
            return self._opened(opened, 0)

    def _opened(self, file: IO[bytes], depth: int) -> set[str]:
        """What an open file holds, as it stands there and unpacked."""
        file.seek(0)
        head = file.read(8)
        for magic, opener in _OPENERS.items():
            if head.startswith(magic) and depth < DEEPEST:
                return self._unpacked(opener, file, depth)
        found = self._grep(file)
        if depth >= DEEPEST:
            return found | {f"archives in one another, deeper than {DEEPEST}"}
        if head.startswith(_ZSTANDARD):
            return found | {"something compressed by zstandard, which cannot be searched"}
        if head.startswith(_ZIP):
            return found | self._zip(file, depth)
        file.seek(0)
        if depth == 0 and TOKEN.search(file.read()):
            found |= {A_TOKEN}
        return found | self._tar(file, depth)

    def _unpacked(self, opener: Callable[[Any], Any], file: IO[bytes], depth: int) -> set[str]:
        found: set[str] = set()
        file.seek(0)
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as unpacked:
            try:
                with opener(file) as stream:
                    while piece := stream.read1(1 << 20):
                        unpacked.write(piece)
            except _DAMAGED:
                # Cut short, or not what its first bytes say: searched as it is, and as far as it could be unpacked.
                found = self._grep(file)
            return found | self._opened(cast(IO[bytes], unpacked), depth + 1)

    def _zip(self, file: IO[bytes], depth: int) -> set[str]:
        found: set[str] = set()
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                found |= self._unpacked(lambda _, entry=entry: archive.open(entry), file, depth)
        return found

    def _tar(self, file: IO[bytes], depth: int) -> set[str]:
        """Members that are packed once more; the others were seen where they stand. Nothing of what is no tar."""
        found: set[str] = set()
        file.seek(257)
        if file.read(5) != b"ustar":
            return found
        file.seek(0)
        with contextlib.suppress(tarfile.TarError), tarfile.open(fileobj=file, mode="r:") as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is not None and stream.read(8).startswith((_ZIP, _ZSTANDARD, *_OPENERS)):
                    stream.seek(0)
                    found |= self._opened(stream, depth + 1)
        return found

    def _grep(self, stream: IO[bytes]) -> set[str]:
        stream.seek(0)
        beginning = stream.read(_SMALL + 1)
        if len(beginning) <= _SMALL:
            return {name for form, name in self._names.items() if form in beginning}
        patterns = os.memfd_create("patterns")  # what is looked for stands in no file and no command line
        try:
            os.write(patterns, self.patterns)
            with tempfile.TemporaryFile() as matches:
                grep = subprocess.Popen(
                    ["grep", "-aohFf", f"/proc/self/fd/{patterns}"],
                    stdin=subprocess.PIPE,
                    stdout=matches,
                    env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
                    pass_fds=[patterns],
                )
                assert grep.stdin is not None
                with grep.stdin:
                    stream.seek(0)
                    shutil.copyfileobj(stream, grep.stdin, 1 << 20)
                assert grep.wait() in (0, 1), "grep failed"
                matches.seek(0)
                return {self._names[form] for form in set(matches.read().splitlines())}
        finally:
            os.close(patterns)
