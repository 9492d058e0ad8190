"""Inputs of tasks: what is uploaded, what tasks are given, and what is refused before anything is sent."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from jobs.errors import Forbidden, JobFileError, UsageError
from jobs.exits import Exit
from jobs.files.model.inputs import Input
from jobs.plan.input_files import LocalFile, LocalFiles
from jobs.plan.plan import check_file, make_plan
from jobs.plan.resource_files import Resources, Uploads
from jobs.plan.upload import upload
from jobs.submission.verdicts import Verdict
from tests.jobs.fakes import START, FakeBlobs, Readable, outputs, stage
from tests.jobs.verbs.submit_verb import run

IDENTITY = {"identityReference": {"resourceId": "/subscriptions/s/identities/node"}}
ACCOUNT = "https://account.blob.core.windows.net"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def job_file(folder: Path, tasks: str, job: str = "") -> Path:
    path = folder / "job.yaml"
    path.write_text(f"job: {{family: hello{job}}}\ntasks:\n  {tasks}\n")
    return path


def resource_files(path: Path) -> list[list[dict[str, Any]]]:
    plan = make_plan(path, outputs(), job_id=None, now=START)
    return [task.get("resourceFiles", []) for task in plan.definitions()]


def test_a_file_is_one_blob_by_content_read_with_the_nodes_identity(folder: Path) -> None:
    (folder / "data.csv").write_bytes(b"1,2\n")
    (found,) = resource_files(job_file(folder, "list: [{id: a, inputs: [{file: data.csv, to: in/}]}]"))
    url = f"{ACCOUNT}/job-hello/.inputs/{digest(b'1,2' + bytes([10]))}"
    assert found == [{"httpUrl": url, "filePath": "in/data.csv", "fileMode": "0644", **IDENTITY}]


def test_a_folder_keeps_its_tree_and_which_files_are_programs(folder: Path) -> None:
    (folder / "model" / "deep").mkdir(parents=True)
    (folder / "model" / "a.sh").write_text("#!/bin/sh\n")
    (folder / "model" / "a.sh").chmod(0o755)
    (folder / "model" / "deep" / "b").write_text("b")
    (folder / "model" / "link").symlink_to("deep/b")  # inside of the folder: its content
    (found,) = resource_files(job_file(folder, "list: [{id: a, inputs: [{folder: model}]}]"))
    assert [(one["filePath"], one["fileMode"]) for one in found] == [
        ("model/a.sh", "0755"),
        ("model/deep/b", "0644"),
        ("model/link", "0644"),
    ]
    assert found[1]["httpUrl"] == found[2]["httpUrl"]


def test_inputs_of_the_job_come_first_for_every_task_and_a_row_names_its_own(folder: Path) -> None:
    (folder / "shared").write_text("s")
    (folder / "rows.csv").write_text("name\none\ntwo\n")
    for name in ("one", "two"):
        (folder / f"{name}.txt").write_text(name)
    tasks = 'template: {id: "{name}", inputs: [{file: "{name}.txt", to: in.txt}]}\n  rows: {file: rows.csv}'
    found = resource_files(job_file(folder, tasks, ", inputs: [{file: shared}]"))
    assert [[one["filePath"] for one in task] for task in found] == [["shared", "in.txt"]] * 2
    assert [task[1]["httpUrl"].rpartition("/")[2] for task in found] == [digest(b"one"), digest(b"two")]


def test_a_preparation_has_inputs_of_its_own_once_a_node(folder: Path) -> None:
    (folder / "big").write_text("b")
    path = job_file(folder, "list: [{id: a}]", ", preparation: {inputs: [{file: big}]}")
    plan = make_plan(path, outputs(), job_id=None, now=START)
    assert [one["filePath"] for one in plan.job["jobPreparationTask"]["resourceFiles"]] == ["big"]
    assert "resourceFiles" not in plan.first
    assert list(plan.uploads.files) == [digest(b"b")]


def test_blobs_by_prefix_are_a_container_with_the_identity() -> None:
    def listed(container: str, prefix: str) -> Sequence[str]:
        return ["one"] if (container, prefix) == ("job-sql-check", "in/") else []

    resources = Resources(Path(), "job-hello", outputs(), local=LocalFiles(), list_names=listed)
    assert resources.of([Input(blobs="in/", container="job-sql-check", to="data")]) == [
        {
            "storageContainerUrl": f"{ACCOUNT}/job-sql-check",
            "blobPrefix": "in/",
            "filePath": "data",
            "fileMode": "0644",
            **IDENTITY,
        }
    ]


@pytest.mark.parametrize(
    ("url", "trusted"),
    [
        ("https://example.org/data.csv", False),
        (f"{ACCOUNT}/job-hello/data.csv", True),
        ("https://ACCOUNT.blob.core.windows.net:443/job-hello/data.csv", True),
        ("https://account.blob.core.windows.net.evil.example/data.csv", False),
        ("https://account.blob.core.windows.net@evil.example/data.csv", False),
        ("https://account.blob.core.windows.net:8443/data.csv", False),
    ],
)
def test_a_token_goes_to_the_stacks_storage_account_only(url: str, trusted: bool) -> None:
    (found,) = Resources(Path(), "job-hello", outputs(), local=LocalFiles()).of([Input(url=url)])
    assert ("identityReference" in found) is trusted
    assert found["filePath"] == "data.csv"


def test_links_that_leave_a_folder_are_refused_by_name(folder: Path) -> None:
    (folder / "secret").write_text("s")
    (folder / "in").mkdir()
    (folder / "in" / "x").symlink_to("../secret")
    path = job_file(folder, "list: [{id: a, inputs: [{folder: in}]}]")
    with pytest.raises(JobFileError, match=r"in/x is a link that leads out of the folder, to .*/secret; put a copy"):
        resource_files(path)
    with pytest.raises(JobFileError, match="leads out of the folder"):
        check_file(path)


@pytest.mark.parametrize("value", ["../secret", "link", "/etc/hostname"])
def test_a_value_of_a_row_never_leads_out_of_the_templates_folder(folder: Path, value: str) -> None:
    (folder / "secret").write_text("s")
    (folder / "data").mkdir()
    (folder / "data" / "link").symlink_to("../secret")
    (folder / "rows.csv").write_text(f"name\n{value}\n")
    prefix = "" if value.startswith("/") else "data/"
    tasks = f'template: {{id: a, inputs: [{{file: "{prefix}{{name}}"}}]}}\n  rows: {{file: rows.csv}}'
    with pytest.raises(JobFileError, match=r"rows.csv:2: .* is not below"):
        resource_files(job_file(folder, tasks))


def test_what_is_no_file_is_refused_without_waiting_for_it(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with pytest.raises(JobFileError, match="pipe is no file but a device, pipe or socket"):
        resource_files(job_file(folder, "list: [{id: a, inputs: [{file: pipe}]}]"))


def test_a_file_where_another_needs_a_folder_is_refused(folder: Path) -> None:
    (folder / "in").mkdir()
    (folder / "in" / "x").write_text("x")
    (folder / "y").write_text("y")
    path = job_file(folder, "list: [{id: a, inputs: [{folder: in}, {file: y, to: in/x/y}]}]")
    with pytest.raises(JobFileError, match="'in/x' is a file, and 'in/x/y' needs a folder of that name"):
        resource_files(path)


def test_the_same_content_is_read_and_sent_once_and_is_there_for_the_next_job(folder: Path) -> None:
    (folder / "a").write_text("same")
    (folder / "b").write_text("same")
    path = job_file(folder, "list: [{id: a, inputs: [{file: a}]}, {id: b, inputs: [{file: b}]}]")
    scene = stage()
    assert run(scene, path) == Exit.OK
    assert scene.blobs.content["job-hello", f".inputs/{digest(b'same')}"] == b"same"
    assert "inputs:     1 file (4 B), by content in job-hello/.inputs/" in scene.err.getvalue()
    assert "inputs: 1 file (4 B) sent to job-hello/.inputs/; they stay" in scene.err.getvalue()
    assert run(scene, path, job_id="other") == Exit.OK
    assert "inputs: 1 file (4 B) there already" in scene.err.getvalue()
    assert len(scene.blobs.written) == 1


def test_inputs_are_there_before_the_job_and_are_not_sent_for_a_pool_that_is_not(folder: Path) -> None:
    (folder / "a").write_text("a")
    path = job_file(folder, "list: [{id: a, inputs: [{file: a}]}]")
    scene = stage()
    scene.batch.answers.append(
        lambda tasks: [
            Verdict(task_id=task["id"], status="success" if scene.blobs.written else "clienterror") for task in tasks
        ]
    )
    assert run(scene, path) == Exit.OK
    scene = stage()
    scene.batch.pool_states.clear()
    with pytest.raises(Exception, match="does not exist"):
        run(scene, path)
    assert scene.blobs.written == []


def test_a_refused_upload_makes_no_job_and_says_so(folder: Path) -> None:
    (folder / "a").write_text("a")
    scene = stage()

    def refuse(container: str, name: str, content: Readable, size: int) -> None:
        raise Forbidden("you may not write it")

    scene.blobs.write = refuse  # type: ignore[method-assign]
    with pytest.raises(Forbidden) as caught:
        run(scene, job_file(folder, "list: [{id: a, inputs: [{file: a}]}]"))
    assert caught.value.__notes__ == [
        "Inputs that were sent stay in job-hello/.inputs/ and are not sent again",
        "No job was made",
    ]
    assert scene.batch.order == []
    assert not list(Path(".jobs").glob("*.checkpoint"))


@pytest.mark.parametrize("now", [b"other", b"short", b"longer than it was"])
def test_a_file_that_changed_since_it_was_looked_at_is_never_sent(folder: Path, now: bytes) -> None:
    path = folder / "a"
    path.write_bytes(now)
    file = LocalFile(path, 5 if now != b"short" else 9, digest(b"first"), executable=False)
    blobs = FakeBlobs()
    with pytest.raises(UsageError, match="changed while it was submitted"):
        upload(blobs, Uploads("job-hello", {file.digest: file}))
    assert blobs.content == {}


def test_a_dry_run_sends_no_inputs(folder: Path) -> None:
    (folder / "a").write_text("a")
    scene = stage()
    assert run(scene, job_file(folder, "list: [{id: a, inputs: [{file: a}]}]"), dry_run=True) == Exit.OK
    assert scene.blobs.written == []
    assert ".inputs/" in scene.out.getvalue()


def test_many_files_for_one_task_are_refused_with_what_batch_advises(folder: Path) -> None:
    (folder / "many").mkdir()
    for number in range(1900):
        (folder / "many" / f"{number:04}").write_text("")
    with pytest.raises(JobFileError, match=r"1900 files make \d+ bytes of definition.*tar -czf"):
        resource_files(job_file(folder, "list: [{id: a, inputs: [{folder: many}]}]"))
