"""The disk of a node as a tar that a container can take which never booted."""

from __future__ import annotations

import io
import tarfile
from pathlib import PurePosixPath

from local.node.disks import _Pieces, rooted


def member(name: str, **more: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in more.items():
        setattr(made, key, value)
    return made


def test_a_disk_is_saved_with_its_place_links_and_owners() -> None:
    given = io.BytesIO()
    with tarfile.open(fileobj=given, mode="w") as tar:
        tar.addfile(member("tasks", type=tarfile.DIRTYPE, mode=0o755))
        tar.addfile(member("tasks/out.txt", size=300_000, uid=1001, mode=0o640), io.BytesIO(b"x" * 300_000))
        tar.addfile(member("tasks/same.txt", type=tarfile.LNKTYPE, linkname="tasks/out.txt"))
        tar.addfile(member("tasks/link", type=tarfile.SYMTYPE, linkname="../elsewhere"))
    content = given.getvalue()
    pieces = _Pieces(content[at : at + 7_001] for at in range(0, len(content), 7_001))
    saved = io.BytesIO()
    with tarfile.open(fileobj=pieces, mode="r|") as stream, tarfile.open(fileobj=saved, mode="w") as out:  # type: ignore[call-overload]
        rooted(stream, PurePosixPath("/mnt/batch"), out)
    saved.seek(0)
    with tarfile.open(fileobj=saved) as tar:
        found = {one.name: one for one in tar}
        assert list(found) == [
            "mnt",
            "mnt/batch",
            "mnt/batch/tasks",
            "mnt/batch/tasks/out.txt",
            "mnt/batch/tasks/same.txt",
            "mnt/batch/tasks/link",
        ]
        file = found["mnt/batch/tasks/out.txt"]
        assert (file.uid, file.mode, file.size) == (1001, 0o640, 300_000)
        assert tar.extractfile(file).read() == b"x" * 300_000  # type: ignore[union-attr]
        assert found["mnt/batch/tasks/same.txt"].linkname == "mnt/batch/tasks/out.txt"
        assert found["mnt/batch/tasks/link"].linkname == "../elsewhere"
