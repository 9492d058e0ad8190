"""Output and resource files against a blob service of the test's own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.node.agent import patience, transfer
from local.node.agent.accounts import Account
from local.node.agent.beneath import Beneath
from local.node.agent.failures import RunFailed
from local.node.agent.outputs import matches
from local.node.agent.tokens import Tokens
from local.node.agent.transfer import Transfer
from local.node.contract import OutputFile, ResourceFile
from tests.node.blob_service import Blobs
from tests.node.local_node import LocalNode
from tests.node.specs import run


class FixedTokens(Tokens):
    """An identity endpoint that always answers."""

    def __init__(self) -> None:
        super().__init__("http://nowhere")

    async def get(self, resource: str, client_id: str | None) -> str:
        return f"{client_id}@{resource}"


def output(pattern: str, url: str = "https://h/c", **more: str) -> OutputFile:
    return OutputFile(file_pattern=pattern, container_url=url, identity_client_id="client-1", **more)  # type: ignore[arg-type]


@pytest.fixture
def wd(tmp_path: Path) -> Path:
    folder = tmp_path / "task/wd"
    (folder / "out/deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    hidden = (".hidden.csv", ".git/d.csv", "out/deep/.e.csv")
    for name in ("../stdout.txt", "../stderr.txt", "a.csv", "out/b.csv", "out/deep/c.csv", *hidden):
        (folder / name).write_text(name)
    return folder


AGENT = Account("agent", 0, 0, switch=False)


@pytest.fixture
def task(wd: Path) -> Iterator[Beneath]:
    with Beneath.at(wd.parent) as folder:
        yield folder


@pytest.fixture
def into(wd: Path) -> Iterator[Beneath]:
    with Beneath.at(wd) as folder:
        yield folder


@pytest.mark.parametrize(
    ("pattern", "path", "names"),
    [
        ("../std*.txt", None, ["stderr.txt", "stdout.txt"]),
        ("../std*.txt", "run-1/t", ["run-1/t/stderr.txt", "run-1/t/stdout.txt"]),
        ("a.csv", None, ["a.csv"]),
        ("a.csv", "result.csv", ["result.csv"]),
        ("**/*.csv", "p", ["p/a.csv", "p/out/b.csv", "p/out/deep/c.csv"]),
        ("..\\std*.txt", None, []),
        ("$NAME.csv", "p/a.csv", ["p/a.csv"]),
        ("out/$OTHER*.csv", "p", ["p/out/b.csv"]),  # GUESS: a variable that the task does not have is the empty text
        ("*.csv", "p", ["p/a.csv"]),
        (".*.csv", "p", ["p/.hidden.csv"]),
        (".git/*.csv", "p", ["p/.git/d.csv"]),
        ("[.a]*.csv", "p", ["p/a.csv"]),
        ("out/**/*", "p", ["p/out/b.csv", "p/out/deep/c.csv"]),
        ("out/", "p", []),
        ("none*", None, []),
    ],
)
def test_patterns_give_blob_names(wd: Path, pattern: str, path: str | None, names: list[str]) -> None:
    spec = OutputFile(file_pattern=pattern, container_url="u", path=path)
    with Beneath.at(wd.parent) as task:
        assert [name for _, name in matches(spec, task, {"NAME": "a"})] == names


async def test_a_service_that_is_away_for_a_while_is_asked_again(
    wd: Path, task: Beneath, into: Beneath, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PAUSES", (0.0, 0.0, 0.0))
    client = Transfer(FixedTokens())
    blobs.outages = [0, 503, 500]
    await client.upload(output("a.csv", f"{blobs.url}/job-hello"), task, {})
    assert blobs.blobs == {"job-hello/a.csv": b"a.csv"}
    blobs.outages = [503, 0]
    got = ResourceFile(http_url=f"{blobs.url}/job-hello/a.csv", file_path="again.csv")
    await client.fetch(got, into, AGENT)
    assert (wd / "again.csv").read_text() == "a.csv"
    blobs.outages = [503] * 4
    (refused,) = await client.upload(output("a.csv", f"{blobs.url}/job-hello"), task, {})
    assert refused.failure is not None
    assert refused.failure.code == "FileUploadMiscError"
    assert "ServerBusy" in str(refused.failure.details)


async def test_files_are_uploaded_with_the_identitys_token_and_their_type(
    wd: Path, task: Beneath, blobs: Blobs
) -> None:
    done = await Transfer(FixedTokens()).upload(output("../std*.txt", f"{blobs.url}/job-hello", path="run"), task, {})
    assert [(one.name, one.size) for one in done] == [("run/stderr.txt", 13), ("run/stdout.txt", 13)]
    assert blobs.blobs["job-hello/run/stdout.txt"] == b"../stdout.txt"
    assert blobs.types["run/stdout.txt"] == "text/plain"
    assert blobs.authorizations == {"Bearer client-1@https://storage.azure.com/"}


async def test_a_big_file_goes_up_in_blocks(
    wd: Path, task: Beneath, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "WHOLE_BYTES", 10)
    monkeypatch.setattr(transfer, "BLOCK_BYTES", 4)
    (wd / "big").write_bytes(b"0123456789ab")
    await Transfer(FixedTokens()).upload(output("big", f"{blobs.url}/c"), task, {})
    assert blobs.blocks == [b"0123", b"4567", b"89ab"]
    assert blobs.blobs["c/big"] == b"0123456789ab"


@pytest.mark.parametrize(
    ("container", "code"), [("missing", "FileUploadContainerNotFound"), ("locked", "FileUploadAccessDenied")]
)
async def test_a_refused_upload_has_the_services_code(
    wd: Path, task: Beneath, blobs: Blobs, container: str, code: str
) -> None:
    (refused,) = await Transfer(FixedTokens()).upload(output("a.csv", f"{blobs.url}/{container}"), task, {})
    assert refused.failure is not None
    assert refused.failure.code == code
    assert f"{blobs.url}/{container}/a.csv" in str(refused.failure.details)


async def test_a_signature_in_the_url_is_used_and_never_told(wd: Path, task: Beneath, blobs: Blobs) -> None:
    url = f"{blobs.url}/locked?sv=1&sig=s3cret"
    (refused,) = await Transfer(FixedTokens()).upload(output("a.csv", url), task, {})
    assert refused.failure is not None
    assert blobs.authorizations == {""}
    assert "s3cret" not in str(refused.failure)


async def test_resource_files_come_from_a_url_or_a_whole_container(wd: Path, into: Beneath, blobs: Blobs) -> None:
    blobs.blobs = {"in/x/one.txt": b"1", "in/x/two.txt": b"2", "in/y.txt": b"3"}
    client = Transfer(FixedTokens())
    await client.fetch(ResourceFile(http_url=f"{blobs.url}/in/y.txt", file_path="got/y", file_mode="0700"), into, AGENT)
    await client.fetch(ResourceFile(storage_container_url=f"{blobs.url}/in", blob_prefix="x/"), into, AGENT)
    assert (wd / "got/y").read_bytes() == b"3"
    assert (wd / "got/y").stat().st_mode & 0o777 == 0o700
    assert (wd / "x/two.txt").read_bytes() == b"2"


async def test_a_missing_resource_file_and_one_outside_the_folder_are_refused(
    wd: Path, into: Beneath, blobs: Blobs
) -> None:
    blobs.blobs = {"in/a": b""}
    client = Transfer(FixedTokens())
    with pytest.raises(RunFailed, match="BlobNotFound"):
        await client.fetch(ResourceFile(http_url=f"{blobs.url}/in/none"), into, AGENT)
    with pytest.raises(RunFailed, match="BlobDownloadMiscError"):
        await client.fetch(ResourceFile(http_url=f"{blobs.url}/in/a", file_path="../../../evil"), into, AGENT)


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("$AZ_BATCH_TASK_ID.csv", ["a.csv"]),
        ("${AZ_BATCH_TASK_ID}.csv", ["a.csv"]),
        ("**/*.csv", ["a.csv", "out/b.csv", "out/deep/c.csv"]),
        (".*.csv", [".hidden.csv"]),
        (".git/*.csv", [".git/d.csv"]),
        ("out/**", ["out/b.csv", "out/deep/c.csv"]),
        ("out/", []),
        ("[!b].csv", ["a.csv"]),
        ("**/**/**/**/**/**/**/**/**/x", []),
    ],
)
def test_patterns_mean_what_the_documentation_says(wd: Path, task: Beneath, pattern: str, names: list[str]) -> None:
    variables = {"AZ_BATCH_TASK_ID": "a", "AZ_BATCH_TASK_DIR": str(wd.parent)}
    for spelling in (pattern, f"$AZ_BATCH_TASK_DIR/wd/{pattern}"):
        spec = OutputFile(file_pattern=spelling, container_url="u")
        assert [name for _, name in matches(spec, task, variables)] == names


@pytest.mark.parametrize("pattern", ["../../other/wd/x", "/etc/passwd", "../../../**/*", "a/../../../x"])
async def test_a_pattern_that_leads_out_of_the_tasks_folder_is_refused(
    task: Beneath, blobs: Blobs, pattern: str
) -> None:
    (refused,) = await Transfer(FixedTokens()).upload(output(pattern, f"{blobs.url}/c"), task, {})
    assert refused.failure is not None
    assert "task's folder" in str(refused.failure.details)
    assert blobs.blobs == {}


async def test_one_file_that_cannot_be_uploaded_does_not_stop_the_others(wd: Path, task: Beneath, blobs: Blobs) -> None:
    os.mkfifo(wd / "0-pipe.csv")
    (wd / "1-link.csv").symlink_to("/etc/passwd")
    (wd / "2-\udcff.csv").write_text("no blob can have this name")
    with (wd / "3-holes.csv").open("wb") as holes:
        holes.truncate(2**43)
    done = await Transfer(FixedTokens()).upload(output("*.csv", f"{blobs.url}/c"), task, {})
    assert [bool(one.skipped) for one in done] == [True, True, False, False, False]
    assert [bool(one.failure) for one in done] == [False, False, True, True, False]
    assert blobs.blobs == {"c/a.csv": b"a.csv"}


async def test_a_resource_file_replaces_a_link_instead_of_writing_through_it(
    wd: Path, into: Beneath, blobs: Blobs, tmp_path: Path
) -> None:
    blobs.blobs = {"in/a": b"new"}
    (tmp_path / "victim").write_text("old")
    (tmp_path / "elsewhere").mkdir()
    (wd / "a").symlink_to(tmp_path / "victim")
    (wd / "b").hardlink_to(tmp_path / "victim")
    (wd / "folder").symlink_to(tmp_path / "elsewhere")
    client = Transfer(FixedTokens())
    for name in ("a", "b"):
        await client.fetch(ResourceFile(http_url=f"{blobs.url}/in/a", file_path=name), into, AGENT)
        assert (wd / name).read_bytes() == b"new"
    with pytest.raises(RunFailed, match="BlobDownloadMiscError"):
        await client.fetch(ResourceFile(http_url=f"{blobs.url}/in/a", file_path="folder/x"), into, AGENT)
    assert (tmp_path / "victim").read_text() == "old"
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("command", "uploaded"),
    [("true", ["always", "good"]), ("false", ["always", "bad"])],
)
async def test_conditions_choose_what_is_uploaded(
    local_node: LocalNode, blobs: Blobs, command: str, uploaded: list[str]
) -> None:
    conditions = {"good": "tasksuccess", "bad": "taskfailure", "always": "taskcompletion"}
    files = tuple(
        output("../stdout.txt", f"{blobs.url}/c", path=name, condition=when) for name, when in conditions.items()
    )
    await local_node.do(run("conditions", command, output_files=files))
    assert sorted(blobs.blobs) == [f"c/{name}" for name in uploaded]


async def test_a_failed_upload_fails_a_good_run_and_is_in_its_log(local_node: LocalNode, blobs: Blobs) -> None:
    spec = run("upload", "echo hi", output_files=(output("../stdout.txt", f"{blobs.url}/missing"),))
    await local_node.do(spec)
    ended = await local_node.events.ended("upload")
    assert ended.exit_code == 0
    assert ended.failure is not None
    assert ended.failure.code == "FileUploadContainerNotFound"
    assert "FileUploadContainerNotFound" in (local_node.root / spec.directory / "fileuploaderr.txt").read_text()


async def test_a_failed_upload_does_not_hide_a_failed_command(local_node: LocalNode, blobs: Blobs) -> None:
    await local_node.do(run("both", "false", output_files=(output("../stdout.txt", f"{blobs.url}/missing"),)))
    failure = (await local_node.events.ended("both")).failure
    assert failure is not None
    assert failure.code == "FailureExitCode"
