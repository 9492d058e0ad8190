"""Archives for the tests of the search for secrets."""

from __future__ import annotations

import gzip
import io
import tarfile


def tar(name: str, content: bytes) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for number in range(3):
            entry = tarfile.TarInfo(f"{number}-{name}")
            entry.size = len(content) if number == 1 else 4
            archive.addfile(entry, io.BytesIO(content if number == 1 else b"none"))
    return made.getvalue()


def image_layer(content: bytes) -> bytes:
    """As Docker pushes it, with a log that was rotated in it."""
    return gzip.compress(tar("var/log/old.gz", gzip.compress(content)))
