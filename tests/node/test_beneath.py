"""Opening below a folder that tasks write in: whatever a task puts there, nothing else is read, written or removed."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local.node.agent.accounts import Account
from local.node.agent.beneath import Beneath, NotAFile
from local.node.contract import ContainerSettings
from tests.node.local_node import LocalNode, LocalNodes
from tests.node.specs import run

MEMBER = Account("member", 1000, 1000, (2000,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("secret")
    made = tmp_path / "task"
    (made / "wd").mkdir(parents=True)
    (made / "wd/file").write_text("content")
    return made


@pytest.fixture
def beneath(folder: Path) -> Iterator[Beneath]:
    with Beneath.at(folder) as opened:
        yield opened


def content(beneath: Beneath, path: str) -> str:
    with os.fdopen(beneath.open_file(path)) as file:
        return file.read()


def test_a_file_is_read_by_its_path(beneath: Beneath) -> None:
    assert content(beneath, "wd/file") == "content"


@pytest.mark.parametrize(
    ("name", "target"),
    [("link", "../../secret"), ("link", "/etc/passwd"), ("link", "file"), ("link", "/proc/self/environ")],
)
def test_a_link_is_never_read_through(folder: Path, beneath: Beneath, name: str, target: str) -> None:
    (folder / "wd" / name).symlink_to(target)
    with pytest.raises(NotAFile, match="a symbolic link"):
        beneath.open_file(f"wd/{name}")


@pytest.mark.parametrize("target", ["../../outside", "/etc", "/proc/self/fd", "/proc/self/root", "."])
def test_a_linked_folder_is_not_there(folder: Path, beneath: Beneath, target: str) -> None:
    (folder / "wd/folder").symlink_to(target)
    for path in ("wd/folder/file", "wd/folder/../file", "wd/../../secret", "../secret", "wd/folder/.."):
        with pytest.raises(FileNotFoundError):
            beneath.open_file(path)
        with pytest.raises(FileNotFoundError):
            beneath.create_file(path)
        with pytest.raises(FileNotFoundError):
            beneath.delete(path, recursive=True)
    assert [path for path, _ in beneath.walk("wd")] == ["file", "folder"]


def test_a_pipe_and_a_folder_are_told_and_not_opened(folder: Path, beneath: Beneath) -> None:
    os.mkfifo(folder / "wd/pipe")
    with pytest.raises(NotAFile, match="a pipe"):
        beneath.open_file("wd/pipe")  # opening it for reading would wait for a writer
    with pytest.raises(NotAFile, match="a folder"):
        beneath.open_file("wd")


@pytest.mark.docker  # as root
def test_a_device_is_told_and_not_opened(folder: Path, beneath: Beneath) -> None:
    os.mknod(folder / "wd/zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    with pytest.raises(NotAFile, match="a device"):
        beneath.open_file("wd/zero")


def test_a_new_file_replaces_a_link_and_a_hard_link(tmp_path: Path, folder: Path, beneath: Beneath) -> None:
    (folder / "stdout.txt").symlink_to(tmp_path / "secret")
    (folder / "stderr.txt").hardlink_to(tmp_path / "secret")
    for name in ("stdout.txt", "stderr.txt"):
        with os.fdopen(beneath.create_file(name), "w") as file:
            file.write("ours")
        assert (folder / name).read_text() == "ours"
    assert (tmp_path / "secret").read_text() == "secret"


def test_deleting_a_folder_removes_its_links_and_not_what_they_point_to(
    tmp_path: Path, folder: Path, beneath: Beneath
) -> None:
    (folder / "wd/out").symlink_to(tmp_path / "outside")
    (folder / "-rf").mkdir()
    deep = os.open(folder / "wd", os.O_RDONLY)
    for _ in range(1500):  # deeper than Python recurses, and than a path can be long
        os.mkdir("d" * 50, dir_fd=deep)
        deep, above = os.open("d" * 50, os.O_RDONLY, dir_fd=deep), deep
        os.close(above)
    os.close(deep)
    for name in ("wd", "-rf"):
        beneath.delete(name, recursive=True)
        assert not (folder / name).exists()
    assert (tmp_path / "outside/file").read_text() == "secret"


def test_a_walk_ends_where_a_blobs_name_does(folder: Path, beneath: Beneath) -> None:
    path = folder / "wd"
    for _ in range(300):
        path = path / "d"
        path.mkdir()
    assert max(name.count("/") for name, _ in beneath.walk()) < 254


@pytest.mark.parametrize(
    ("uid", "gid", "mode", "allowed"),
    [
        (1000, 1, 0o400, True),
        (1000, 1000, 0o044, False),
        (1, 1000, 0o040, True),
        (1, 2000, 0o040, True),
        (1, 2000, 0o404, False),
        (1, 1, 0o004, True),
        (0, 0, 0o600, False),
        (0, 42, 0o640, False),
    ],
)
def test_a_file_is_read_with_the_rights_of_the_tasks_user(uid: int, gid: int, mode: int, allowed: bool) -> None:
    found = os.stat_result((stat.S_IFREG | mode, 1, 1, 2, uid, gid, 6, 0, 0, 0))
    assert MEMBER.may(found, os.R_OK) == allowed
    assert Account("root", 0, 0).may(found, os.R_OK)


@pytest.mark.docker  # as root
def test_a_hard_link_to_a_file_of_another_user_is_not_read(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "secret").chmod(0o600)
    (folder / "wd/mine").hardlink_to(tmp_path / "secret")
    with Beneath.at(folder, MEMBER) as beneath, pytest.raises(PermissionError, match="member"):
        beneath.open_file("wd/mine")


def test_swapping_a_file_for_a_link_never_gives_what_the_link_points_to(
    tmp_path: Path, folder: Path, beneath: Beneath
) -> None:
    """A task renames while the agent opens: it gets the file, or a refusal."""
    stop = threading.Event()
    place, link, kept = folder / "wd/x", folder / "wd/link", folder / "wd/kept"

    def swap() -> None:
        while not stop.is_set():
            for other in (link, kept):
                os.link(other, folder / "wd/next", follow_symlinks=False)
                os.replace(folder / "wd/next", place)  # noqa: PTH105

    place.write_text("content")
    kept.write_text("content")
    link.symlink_to(tmp_path / "secret")
    swapper = threading.Thread(target=swap)
    swapper.start()
    seen = set()
    try:
        for _ in range(2000):
            try:
                seen.add(content(beneath, "wd/x"))
            except (NotAFile, FileNotFoundError):
                seen.add("refused")
    finally:
        stop.set()
        swapper.join()
    assert "secret" not in seen
    assert "content" in seen


@pytest.mark.parametrize(
    ("options", "reader"),
    [
        ("--rm", (1000, 1000)),
        ("--user 10001:10002", (10001, 10002)),
        ("--user=10001", (10001, 0)),
        ("-u10001:7 --rm", (10001, 7)),
        ("-u 0", (0, 0)),
        ("--user 1:1 --user 2:2", (2, 2)),
        ("--user nobody", (1000, 1000)),
    ],
)
def test_a_containers_files_are_read_as_the_user_it_ran_as(options: str, reader: tuple[int, int]) -> None:
    from local.node.agent.containers import reader_of

    found = reader_of(ContainerSettings(image="i", run_options=options), MEMBER)
    assert (found.uid, found.gid) == reader


async def test_a_task_whose_folder_was_swapped_for_a_link_fails_and_nothing_is_written_there(
    local_node: LocalNode, tmp_path: Path
) -> None:
    """What a container that is root, with the node root mounted, can do to the tasks after it."""
    spec = run("swapped", "true")
    (tmp_path / "victim").mkdir()
    (local_node.root / spec.directory).parent.mkdir(parents=True)
    (local_node.root / spec.directory).symlink_to(tmp_path / "victim")
    await local_node.nodes.start_run("tvm-1", spec)
    ended = await local_node.events.ended("swapped")
    assert ended.failure is not None
    assert ended.failure.code == "CommandLaunchFailed"
    assert list((tmp_path / "victim").iterdir()) == []


async def test_links_that_a_task_leaves_do_not_lead_the_agent_astray_when_it_runs_again(
    local_node: LocalNode, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_text("old")
    leave = f"sh -c 'ln -sf {tmp_path}/victim ../stdout.txt; ln -sf {tmp_path}/victim ../stderr.txt'"
    await local_node.do(run("first", leave))
    await local_node.do(replace(run("second", "echo new"), directory="workitems/job/job-1/first"))
    assert (tmp_path / "victim").read_text() == "old"
    assert (local_node.root / "workitems/job/job-1/first/stdout.txt").read_text() == "new\n"


def test_the_boot_file_is_gone_once_it_was_read(tmp_path: Path) -> None:
    from local.node.agent.config import AgentConfig, take_config, write_config
    from tests.node.specs import NODE

    write_config(tmp_path / "boot.json", AgentConfig(node=NODE))
    assert take_config(tmp_path / "boot.json").node == NODE
    assert list(tmp_path.iterdir()) == []


async def test_the_leftover_environment_of_a_killed_agent_is_removed_at_boot(local_nodes: LocalNodes) -> None:
    (local_nodes.tmp_path / "agent").mkdir()
    (local_nodes.tmp_path / "agent/env-left").write_text("SECRET=1")
    node = await local_nodes.boot()
    await node.do(run("after", "true"))
    assert not (local_nodes.tmp_path / "agent/env-left").exists()
