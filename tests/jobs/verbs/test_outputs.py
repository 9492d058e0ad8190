"""logs, collect, report and nodes: what is read from where."""

from __future__ import annotations

import argparse
import errno
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.command.parser import parse
from jobs.errors import MachineError, NotFound, Unreachable, UsageError
from jobs.exits import Exit
from jobs.service.batch import Failure, NodeState, TaskState
from jobs.service.storage import blob_path
from jobs.terminal.render import Render
from jobs.verbs.output import collect, download, logs, report
from jobs.verbs.output.download_paths import Places
from jobs.verbs.pools import nodes
from tests.jobs.fakes import START, Stage, stage


@pytest.fixture
def scene() -> Stage:
    scene = stage()
    metadata = [{"name": "family", "value": "hello"}, {"name": "container", "value": "job-hello"}]
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}, "metadata": metadata})
    scene.batch.add_collection("j", [{"id": "a"}, {"id": "b"}])
    for name in ("a", "b"):
        scene.batch.set("j", TaskState(id=name, state="completed", changed=START, result="success", exit_code=0))
    return scene


def show_logs(scene: Stage, task: str | None, **options: bool) -> str:
    words = [f"--{name}" for name, given in options.items() if given]
    arguments = parse(["logs", "j", *([task] if task else []), *words])
    assert logs.run(arguments, scene.session) == Exit.OK
    return scene.out.getvalue()


def test_logs_come_from_the_node_while_it_lives(scene: Stage) -> None:
    scene.batch.files["j", "a", "stdout.txt"] = b"node\n"
    scene.blobs.content["job-hello", "j/a/stdout.txt"] = b"blob\n"
    assert show_logs(scene, "a") == "node\n"


def test_logs_come_from_the_container_when_the_node_is_gone(scene: Stage) -> None:
    scene.blobs.content["job-hello", "j/a/stderr.txt"] = b"blob's stderr\n"
    assert show_logs(scene, "a", stderr=True) == "blob's stderr\n"


def test_logs_that_are_nowhere_are_an_error_with_the_tasks_state(scene: Stage) -> None:
    with pytest.raises(NotFound, match="task a is completed and has no stdout"):
        show_logs(scene, "a")


def test_following_loses_and_doubles_nothing_when_the_node_goes_away(scene: Stage) -> None:
    scene.batch.set("j", TaskState(id="a", state="running", changed=START))
    scene.batch.files["j", "a", "stdout.txt"] = b"one\n"

    def node_goes() -> None:
        scene.batch.files.clear()
        scene.blobs.content["job-hello", "j/a/stdout.txt"] = b"one\ntwo\n"
        scene.batch.set("j", TaskState(id="a", state="completed", changed=START))

    scene.clock.on_sleep = [
        lambda: scene.batch.files.update({("j", "a", "stdout.txt"): b"one\ntw"}),
        node_goes,
    ]
    assert show_logs(scene, "a", follow=True) == "one\ntwo\n"


def test_following_goes_on_when_the_node_does_not_answer_for_a_while(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.batch.set("j", TaskState(id="a", state="running", changed=START))
    scene.batch.files["j", "a", "stdout.txt"] = b"one\n"
    answer = scene.batch.read_task_file

    def broken(job: str, task: str, path: str, start: int = 0) -> Iterator[bytes]:
        yield b"tw"
        raise Unreachable("the connection was lost in the middle")

    def lost() -> None:
        scene.batch.files["j", "a", "stdout.txt"] = b"one\ntwo\n"
        monkeypatch.setattr(scene.batch, "read_task_file", broken)

    def back() -> None:
        monkeypatch.setattr(scene.batch, "read_task_file", answer)
        scene.batch.set("j", TaskState(id="a", state="completed", changed=START))

    scene.clock.on_sleep = [lost, back]
    assert show_logs(scene, "a", follow=True) == "one\ntwo\n"


def test_following_shows_a_run_that_begins_again_from_its_start(scene: Stage) -> None:
    scene.batch.set("j", TaskState(id="a", state="running", changed=START))
    scene.batch.files["j", "a", "stdout.txt"] = b"first run is long\n"

    def again() -> None:
        scene.batch.files["j", "a", "stdout.txt"] = b"second\n"
        scene.batch.set("j", TaskState(id="a", state="completed", changed=START, retries=1))

    scene.clock.on_sleep = [again]
    assert show_logs(scene, "a", follow=True) == "first run is long\nsecond\n"
    assert "task a began again (retry 1, requeue 0)" in scene.err.getvalue()


def test_following_says_when_the_rest_is_lost(scene: Stage) -> None:
    scene.batch.set("j", TaskState(id="a", state="running", changed=START))
    scene.batch.files["j", "a", "stdout.txt"] = b"one\n"

    def node_goes() -> None:
        scene.batch.files.clear()
        scene.batch.set("j", TaskState(id="a", state="completed", changed=START))

    scene.clock.on_sleep = [node_goes]
    with pytest.raises(NotFound, match="nothing after byte 4"):
        show_logs(scene, "a", follow=True)


class Gone(io.StringIO):
    """A pipe whose reader left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


@pytest.mark.parametrize("follow", [True, False])
def test_logs_end_when_nobody_reads_them_any_more(scene: Stage, follow: bool) -> None:
    pieces = 0

    def endless(job: str, task: str, path: str, start: int = 0) -> Iterator[bytes]:
        nonlocal pieces
        while True:
            pieces += 1
            yield b"x\n"

    scene.batch.read_task_file = endless  # type: ignore[method-assign]
    scene.session.render = Render(out=Gone(), err=io.StringIO())
    arguments = parse(["logs", "j", "a", *(["--follow"] if follow else [])])
    assert logs.run(arguments, scene.session) == Exit.OK
    assert pieces < 5


def test_following_without_a_task_follows_the_whole_job(scene: Stage) -> None:
    for name in ("a", "b"):
        scene.batch.files["j", name, "stdout.txt"] = f"of {name}\n".encode()
    scene.batch.end("j")
    assert show_logs(scene, None, follow=True) == "a | of a\nb | of b\n"


def fill_container(scene: Stage) -> None:
    scene.blobs.content = {
        ("job-hello", "j/a/stdout.txt"): b"hello world",
        ("job-hello", "j/b/out/x.csv"): b"1",
        ("job-hello", "jj/c"): b"",
    }


def test_collect_downloads_everything_once(scene: Stage, tmp_path: Path) -> None:
    fill_container(scene)
    first = collect.collect(scene.session, scene.batch.job("j"), tmp_path)
    assert (first.downloaded, first.present, first.size) == (2, 0, 12)
    assert (tmp_path / "a" / "stdout.txt").read_bytes() == b"hello world"
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["stdout.txt", "x.csv"]
    again = collect.collect(scene.session, scene.batch.job("j"), tmp_path)
    assert (again.downloaded, again.present) == (0, 2)


def test_collect_downloads_a_file_again_whose_content_is_not_the_services(scene: Stage, tmp_path: Path) -> None:
    fill_container(scene)
    collect.collect(scene.session, scene.batch.job("j"), tmp_path)
    (tmp_path / "a" / "stdout.txt").write_bytes(b"HELLO WORLD")  # the same size
    assert collect.collect(scene.session, scene.batch.job("j"), tmp_path).downloaded == 1
    assert (tmp_path / "a" / "stdout.txt").read_bytes() == b"hello world"


def test_collect_keeps_nothing_of_a_damaged_file_and_all_others(scene: Stage, tmp_path: Path) -> None:
    fill_container(scene)
    scene.blobs.damaged.add("j/a/stdout.txt")
    with pytest.raises(download.Damaged, match="expected 11") as caught:
        collect.collect(scene.session, scene.batch.job("j"), tmp_path)
    assert f"1 file failed, downloaded to {tmp_path}: 1" in caught.value.__notes__[0]
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x.csv"]
    scene.blobs.damaged.clear()
    assert collect.collect(scene.session, scene.batch.job("j"), tmp_path).downloaded == 1


def test_collect_takes_only_what_matches(scene: Stage, tmp_path: Path) -> None:
    fill_container(scene)
    assert collect.collect(scene.session, scene.batch.job("j"), tmp_path, only="*.csv").downloaded == 1
    with pytest.raises(NotFound, match=r"that match '\*.pdf'"):
        collect.collect(scene.session, scene.batch.job("j"), tmp_path, only="*.pdf")


def test_collect_without_a_container_takes_the_logs_from_the_nodes(tmp_path: Path) -> None:
    scene = stage(with_stack=False)
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}})
    scene.batch.add_collection("j", [{"id": "a"}])
    scene.batch.set("j", TaskState(id="a", state="completed", changed=START, result="success", exit_code=0))
    scene.batch.files["j", "a", "stdout.txt"] = b"said"
    assert collect.collect(scene.session, scene.batch.job("j"), tmp_path).downloaded == 1
    assert (tmp_path / "a" / "stdout.txt").read_bytes() == b"said"


BAD = {
    "../x": b"1", "a/../../x": b"2", "/etc/x": b"3", "a/./y": b"4", "a//z": b"5", "a/\x1b[2Jz": b"6", "a/nul\0": b"7",
    "a/" + "n" * 300: b"8", "a/" + "n" * 299 + "m": b"9", "a/\u202etxt": b"10", "a/\ud800": b"11", "a/folder/": b"12",
    "a/" + "ü" * 130: b"13", "a/new\nline": b"14", "": b"15",
}  # fmt: skip


def test_collect_puts_every_name_below_its_folder_and_tells_which_it_changed(scene: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "DIR"
    good = {"a/good.txt": b"good", "a/..hidden": b"x", "a/con": b"y", "a/dot.": b"z", "a/Good.txt": b"case"}
    both = {"b/x": b"file", "b/x-1": b"between", "b/x/y": b"in the folder", "b/x/y/z": b"deeper"}
    contents = {**BAD, **good, **both}
    scene.blobs.content = {("job-hello", f"j/{name}"): data for name, data in contents.items()}
    for downloaded, present in ((len(contents), 0), (0, len(contents))):  # the second time each is found again
        scene.out.truncate(0)
        scene.out.seek(0)
        scene.session.render.as_json = True
        arguments = argparse.Namespace(job="j", folder=folder, only=None)
        assert collect.run(arguments, scene.session) == Exit.MACHINE
        told = json.loads(scene.out.getvalue())
        assert (told["downloaded"], told["present"], told["failed"]) == (downloaded, present, [])
        assert set(told["renamed"]) == {*BAD, "b/x/y", "b/x/y/z"}
    for name, data in contents.items():
        assert (folder / told["renamed"].get(name, name)).read_bytes() == data
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == len(contents)
    assert all(path.is_relative_to(folder) for path in written)
    assert all(len(part.encode()) <= 255 and part.isprintable() for path in written for part in path.parts)
    assert "\x1b" not in scene.err.getvalue()


def test_collect_follows_no_link_below_its_folder_and_downloads_the_others(scene: Stage, tmp_path: Path) -> None:
    fill_container(scene)
    (tmp_path / "DIR").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "victim").write_text("old")
    (tmp_path / "DIR/a").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "DIR/b/out").mkdir(parents=True)
    (tmp_path / "DIR/b/out/x.csv").symlink_to(tmp_path / "victim")
    with pytest.raises(MachineError, match="not followed"):
        collect.collect(scene.session, scene.batch.job("j"), tmp_path / "DIR")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert (tmp_path / "victim").read_text() == "old"
    assert (tmp_path / "DIR/b/out/x.csv").read_bytes() == b"1"


def test_names_that_differ_in_case_only_get_two_places_where_case_is_ignored() -> None:
    places = Places(ignores_case=True)
    assert places.of("a/X") == "a/X"
    assert places.of("a/x").startswith("a/x~")
    assert Places().of("a/x") == "a/x"


def test_collect_into_a_file_is_a_wrong_argument(scene: Stage, tmp_path: Path) -> None:
    fill_container(scene)
    (tmp_path / "file").write_text("")
    for place in ("file", "file/below"):
        with pytest.raises(UsageError, match="is a file\n  next:  give a folder"):
            collect.collect(scene.session, scene.batch.job("j"), tmp_path / place)


def test_collect_stops_at_a_full_disk_and_says_so(
    scene: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.blobs.content = {("job-hello", f"j/a/{number:04}"): b"x" for number in range(2000)}

    def full(descriptor: int, piece: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_write", full)
    with pytest.raises(MachineError, match=r"No space left on device\n  next:  the disk is full: make room") as caught:
        collect.collect(scene.session, scene.batch.job("j"), tmp_path)
    assert str(tmp_path / "a") in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_dots_in_a_blobs_name_stay_in_its_url() -> None:
    assert blob_path("j/../x y/./..z") == "j/%2E%2E/x%20y/%2E/..z"


def test_collect_says_when_there_is_nothing_yet(scene: Stage, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no files yet"):
        collect.collect(scene.session, scene.batch.job("j"), tmp_path)


def test_report_shows_the_first_from_the_container_and_names_every_source(scene: Stage) -> None:
    scene.session.render.as_json = True
    scene.batch.files["j", "a", "stdout.txt"] = scene.batch.files["j", "b", "stdout.txt"] = b"node"
    scene.blobs.content["job-hello", "j/a/stdout.txt"] = scene.blobs.content["job-hello", "j/b/stdout.txt"] = b"blob"
    assert report.show(scene.session, "j") == Exit.OK
    first, second = (json.loads(line) for line in scene.out.getvalue().splitlines())
    assert (first["stdout"], first["source"]) == ("blob", "blob job-hello/j/a/stdout.txt")
    assert (second["stdout"], second["source"]) == ("node", "file stdout.txt on the node")


def test_report_still_shows_a_task_without_stdout_and_the_jobs_failure(scene: Stage) -> None:
    scene.batch.set("j", TaskState(id="a", state="completed", changed=START, result="failure"))
    assert report.show(scene.session, "j") == Exit.TASKS_FAILED
    assert "-- a: failed, never started\n   no stdout" in scene.out.getvalue()


def test_report_of_a_job_that_goes_on_is_no_failure(scene: Stage) -> None:
    scene.batch.set("j", TaskState(id="a", state="running", changed=START))
    assert report.show(scene.session, "j") == Exit.OK
    scene.batch.end("j", "UserTerminate")  # it ended, and the task did not
    assert report.show(scene.session, "j") == Exit.TASKS_FAILED


def test_the_newest_job_of_a_family_is_found(scene: Stage) -> None:
    scene.batch.create_job(
        {"id": "a-later-one", "poolInfo": {"poolId": "p"}, "metadata": [{"name": "family", "value": "other"}]}
    )
    assert report.newest(scene.session, "hello").id == "j"
    assert report.newest(scene.session, "").id == "a-later-one"
    with pytest.raises(NotFound, match="family 'none'"):
        report.newest(scene.session, "none")


def test_nodes_tell_why_a_start_task_failed(scene: Stage) -> None:
    failure = Failure(category="usererror", code="FailureExitCode", message="exit code 3")
    scene.batch.node_list = [
        NodeState(id="n1", state="idle"),
        NodeState(id="n2", state="starttaskfailed", start_task_exit_code=3, start_task_failure=failure),
        NodeState(id="n3", state="unusable", errors=("DiskFull: no space",)),
    ]
    scene.batch.node_contents["n2", "startup/stderr.txt"] = b"no docker here\n"
    nodes.run(parse(["nodes"]), scene.session)
    shown = scene.out.getvalue()
    assert shown.startswith("pool default-1a2b: 3 nodes\n")
    assert "exit code 3" in shown
    assert "DiskFull: no space" in shown
    assert "| no docker here" in shown
