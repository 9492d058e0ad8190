"""A saved state: complete, private, refused when it is not what was saved, and never half restored."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.errors import LocalError
from local.paths import Paths
from local.processes import saved_state
from local.processes.saved_state import alone, check, exchange, pack, pending, unpack


@pytest.fixture
def furnished(paths: Paths) -> Paths:
    """A home with a bit of everything."""
    (paths.state / "azurite").mkdir(mode=0o700)
    (paths.state / "token.key").write_bytes(b"secret")
    (paths.state / "token.key").chmod(0o600)
    (paths.state / "azurite" / "blob").write_bytes(os.urandom(3_000_000))
    os.link(paths.state / "azurite" / "blob", paths.state / "azurite" / "same blob")
    (paths.state / "link").symlink_to("token.key")
    (paths.state / "empty").mkdir(mode=0o750)
    (paths.stack / "Pulumi.local.yaml").write_text("config: {}")
    paths.ca.write_text("certificate")
    paths.cloud_json.write_text("{}")
    return paths


def content(paths: Paths) -> dict[str, Any]:
    content_by_name: dict[str, Any] = {}
    for part in saved_state.ENTRIES:
        source = paths.home / part
        for path in sorted(source.rglob("*")) if source.is_dir() else [source]:
            what = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else "folder"
            content_by_name[str(path.relative_to(paths.home))] = (what, path.lstat().st_mode)
    return content_by_name


def restored(home: Path, file: Path) -> Paths:
    paths = Paths(home)
    paths.ensure(sockets=False)
    unpack(paths, file)
    exchange(paths)
    return paths


def test_what_is_restored_elsewhere_is_what_was_saved(furnished: Paths, tmp_path: Path) -> None:
    more = tmp_path / "node-disks"
    (more / "node").mkdir(parents=True)
    (more / "node" / "tasks.tar").write_bytes(b"files")
    file = tmp_path / "saved"
    assert pack(furnished, file, more) == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    check(file)
    other = restored(tmp_path / "other", file)
    assert (other.state / "node-disks" / "node" / "tasks.tar").read_bytes() == b"files"
    after = content(other)
    assert {name: one for name, one in after.items() if "node-disks" not in name} == content(furnished)
    assert not [one for one in other.home.iterdir() if one.name.startswith(".")]


def test_a_restore_replaces_all_that_was_there(furnished: Paths, tmp_path: Path) -> None:
    pack(furnished, tmp_path / "saved")
    before = content(furnished)
    (furnished.state / "newer").write_text("x")
    (furnished.state / "token.key").write_text("another")
    unpack(furnished, tmp_path / "saved")
    exchange(furnished)
    assert content(furnished) == before
    assert not furnished.cloud_json.exists(), "it names what was there before; a start writes it"


def members(file: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(file) as tar:
        return [(one, tar.extractfile(one).read() if one.isreg() else b"") for one in tar]  # type: ignore[union-attr]


def rewrite(file: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]) -> None:
    members_of_file = members(file)
    change(members_of_file)
    with tarfile.open(file, "w:gz") as tar:
        for member, body in members_of_file:
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))


def head(**changes: Any) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    def change(entries: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        entries[0] = (entries[0][0], json.dumps({**json.loads(entries[0][1]), **changes}).encode())

    return change


def body_of(name: str, body: bytes) -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    def change(entries: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        at = next(index for index, (member, _) in enumerate(entries) if member.name == name)
        entries[at] = (entries[at][0], body)

    return change


def added(name: str, *, link: str = "") -> Callable[[list[tuple[tarfile.TarInfo, bytes]]], None]:
    def change(entries: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        member = tarfile.TarInfo(name)
        if link:
            member.type, member.linkname = tarfile.SYMTYPE, link
        entries.insert(len(entries) - 1, (member, b""))

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (head(version=2), "has version 2; this checkout reads version 1"),
        (head(form="backup"), "is no saved state"),
        (body_of("state/token.key", b"tamper"), "state/token.key is not what was saved"),
        (lambda entries: entries.pop(), "its end is missing"),
        (lambda entries: entries.pop(-3), "is not what was saved"),
        (added("state/planted"), "state/planted is not what was saved"),
        (added("/etc/planted"), "does not belong in it"),
        (added("state/../../planted"), "does not belong in it"),
        (added("elsewhere/x"), "does not belong in it"),
    ],
)
def test_what_was_not_saved_so_is_refused_and_nothing_is_touched(
    furnished: Paths, tmp_path: Path, change: Callable[[list[tuple[tarfile.TarInfo, bytes]]], None], message: str
) -> None:
    pack(furnished, tmp_path / "saved")
    rewrite(tmp_path / "saved", change)
    before = content(furnished)
    for look in (lambda: check(tmp_path / "saved"), lambda: unpack(furnished, tmp_path / "saved")):
        with pytest.raises(LocalError, match=message):
            look()
    assert content(furnished) == before
    assert not pending(furnished) and not (furnished.home / ".restore").exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.97])
def test_a_part_of_a_file_is_refused(furnished: Paths, tmp_path: Path, share: float) -> None:
    file = tmp_path / "saved"
    pack(furnished, file)
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(LocalError, match="is damaged; nothing was restored"):
        check(file)


def test_a_link_of_the_file_leads_no_other_member_out(furnished: Paths, tmp_path: Path) -> None:
    file = tmp_path / "saved"
    pack(furnished, file)

    def plant(entries: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        added("state/out", link=str(tmp_path))(entries)
        added("state/out/planted")(entries)

    rewrite(file, plant)
    with pytest.raises(LocalError, match="leads somewhere else"):
        unpack(Paths(furnished.home), file)
    assert not (tmp_path / "planted").exists()


def test_a_save_that_fails_leaves_the_file_of_before(
    furnished: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "saved"
    pack(furnished, file)
    before = file.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        pack(furnished, file)
    assert file.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir() if "saved" in one.name] == ["saved"]


class Killed(BaseException):
    """Stands for kill -9: nothing of ours runs after it."""


@pytest.mark.parametrize("blow", range(9))
def test_an_exchange_that_is_killed_is_finished_by_the_next_command(
    furnished: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blow: int
) -> None:
    pack(furnished, tmp_path / "saved")
    before = content(furnished)
    (furnished.state / "token.key").write_text("another")
    unpack(furnished, tmp_path / "saved")
    calls = 0
    rename = Path.rename

    def strike(self: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == blow:
            raise Killed
        done = rename(self, target)
        if calls + 5 == blow:  # after the rename instead of before it
            raise Killed
        return done

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", strike)
        try:
            exchange(furnished)
        except Killed:
            assert pending(furnished)
            furnished.ensure(sockets=False)  # what every command does
            patch.undo()
            exchange(furnished)
    assert content(furnished) == before
    assert not pending(furnished)


def test_two_commands_do_not_save_and_restore_at_once(paths: Paths) -> None:
    with alone(paths), pytest.raises(LocalError, match="another command"), alone(paths):
        pytest.fail("both had it")
