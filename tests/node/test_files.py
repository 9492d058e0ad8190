from __future__ import annotations

from pathlib import Path

import pytest

from local.node.agent.files import Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    root = tmp_path / "root"
    (root / "startup/wd").mkdir(parents=True)
    (root / "startup/stdout.txt").write_text("0123456789")
    (root / "startup/wd/data").write_text("x")
    (tmp_path / "secret").write_text("no")
    return Files(root)


async def read(files: Files, path: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in files.read(path, start, end)])


def test_a_listing_is_relative_to_its_folder(files: Files) -> None:
    assert [info.path for info in files.list("startup", recursive=False)] == ["stdout.txt", "wd"]
    assert [info.path for info in files.list("startup", recursive=True)] == ["stdout.txt", "wd", "wd/data"]


def test_properties_tell_size_and_kind(files: Files) -> None:
    assert files.stat("startup/stdout.txt").size == 10
    assert files.stat("startup/wd").is_directory


@pytest.mark.parametrize(
    ("start", "end", "expected"), [(0, None, b"0123456789"), (2, 5, b"234"), (8, 100, b"89"), (20, None, b"")]
)
async def test_a_range_gives_its_bytes(files: Files, start: int, end: int | None, expected: bytes) -> None:
    assert await read(files, "startup/stdout.txt", start, end) == expected


@pytest.mark.parametrize(
    "path", ["../secret", "startup/../../secret", "/../secret", "startup/link", "startup/folder/secret"]
)
async def test_nothing_outside_the_node_root_is_there(files: Files, tmp_path: Path, path: str) -> None:
    (tmp_path / "root/startup/link").symlink_to(tmp_path / "secret")
    (tmp_path / "root/startup/folder").symlink_to(tmp_path)
    with pytest.raises(FileNotFoundError):
        await read(files, path)
    if path != "startup/link":
        with pytest.raises(FileNotFoundError):
            files.stat(path)
        with pytest.raises(FileNotFoundError):
            files.delete(path, recursive=True)
    assert (tmp_path / "secret").exists()


def test_a_link_is_listed_and_removed_as_what_it_is(files: Files, tmp_path: Path) -> None:
    (tmp_path / "root/startup/link").symlink_to(tmp_path / "secret")
    assert files.stat("startup/link").mode.startswith("0o12")
    files.delete("startup/link", recursive=True)
    assert (tmp_path / "secret").read_text() == "no"
    assert not (tmp_path / "root/startup/link").is_symlink()


def test_a_folder_that_is_not_empty_goes_only_with_recursive(files: Files, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="not empty"):
        files.delete("startup/wd", recursive=False)
    files.delete("startup/wd", recursive=True)
    assert not (tmp_path / "root/startup/wd").exists()


def test_the_node_root_itself_is_never_removed(files: Files) -> None:
    with pytest.raises(PermissionError):
        files.delete("", recursive=True)
