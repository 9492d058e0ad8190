"""Output and resource files against a blob service of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiohttp.typedefs import Handler

from local.node.agent import patience, transfer
from local.node.agent.failures import RunFailed
from local.node.agent.tokens import Tokens
from local.node.agent.transfer import Transfer, matches
from local.node.contract import OutputFile, ResourceFile
from tests.node.conftest import LocalNode, run


class FixedTokens(Tokens):
    """An identity endpoint that always answers."""

    def __init__(self) -> None:
        super().__init__("http://nowhere")

    async def get(self, resource: str, client_id: str | None) -> str:
        return f"{client_id}@{resource}"


@dataclass
class Blobs:
    """What was uploaded; the container `locked` refuses, `missing` is not there."""

    url: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    blocks: list[bytes] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)
    outages: list[int] = field(default_factory=list)
    """What is answered first: a status, or 0 for a connection that breaks."""

    @web.middleware
    async def outage(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not self.outages:
            return await handler(request)
        if status := self.outages.pop(0):
            return web.Response(status=status, headers={"x-ms-error-code": "ServerBusy"})
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async def put(self, request: web.Request) -> web.Response:
        container, name = request.match_info["container"], request.match_info["name"]
        self.authorizations.add(request.headers.get("Authorization", ""))
        if container == "missing":
            return web.Response(status=404, headers={"x-ms-error-code": "ContainerNotFound"})
        if container == "locked":
            return web.Response(status=403, headers={"x-ms-error-code": "AuthorizationPermissionMismatch"})
        if request.query.get("comp") == "block":
            self.blocks.append(await request.read())
            return web.Response(status=201)
        body = await request.read()
        self.blobs[f"{container}/{name}"] = b"".join(self.blocks) if request.query.get("comp") == "blocklist" else body
        self.types[name] = request.headers["x-ms-blob-content-type"]
        return web.Response(status=201)

    async def get(self, request: web.Request) -> web.Response:
        found = self.blobs.get(f"{request.match_info['container']}/{request.match_info['name']}")
        return web.Response(status=404) if found is None else web.Response(body=found)

    async def list(self, request: web.Request) -> web.Response:
        prefix = request.query.get("prefix", "")
        names = [name.split("/", 1)[1] for name in self.blobs]
        items = "".join(f"<Blob><Name>{name}</Name></Blob>" for name in names if name.startswith(prefix))
        return web.Response(text=f"<EnumerationResults><Blobs>{items}</Blobs><NextMarker/></EnumerationResults>")


@pytest_asyncio.fixture
async def blobs() -> AsyncIterator[Blobs]:
    service = Blobs()
    application = web.Application(client_max_size=2**27, middlewares=[service.outage])
    application.router.add_put("/{container}/{name:.+}", service.put)
    application.router.add_get("/{container}/{name:.+}", service.get)
    application.router.add_get("/{container}", service.list)
    async with TestServer(application) as server:
        service.url = str(server.make_url("")).rstrip("/")
        yield service


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
        ("out/$OTHER*.csv", "p", ["p/out/b.csv"]),
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
    assert [name for _, name in matches(spec, wd, {"NAME": "a"})] == names


async def test_a_service_that_is_away_for_a_while_is_asked_again(
    wd: Path, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PAUSES", (0.0, 0.0, 0.0))
    client = Transfer(FixedTokens())
    blobs.outages = [0, 503, 500]
    await client.upload(output("a.csv", f"{blobs.url}/job-hello"), wd)
    assert blobs.blobs == {"job-hello/a.csv": b"a.csv"}
    blobs.outages = [503, 0]
    got = ResourceFile(http_url=f"{blobs.url}/job-hello/a.csv", file_path="again.csv")
    assert [path.read_text() for path in await client.fetch(got, wd)] == ["a.csv"]
    blobs.outages = [503] * 4
    with pytest.raises(RunFailed) as failed:
        await client.upload(output("a.csv", f"{blobs.url}/job-hello"), wd)
    assert failed.value.info.code == "FileUploadMiscError"
    assert "ServerBusy" in str(failed.value.info.details)


async def test_files_are_uploaded_with_the_identitys_token_and_their_type(wd: Path, blobs: Blobs) -> None:
    done = await Transfer(FixedTokens()).upload(output("../std*.txt", f"{blobs.url}/job-hello", path="run"), wd)
    assert done == [("run/stderr.txt", 13), ("run/stdout.txt", 13)]
    assert blobs.blobs["job-hello/run/stdout.txt"] == b"../stdout.txt"
    assert blobs.types["run/stdout.txt"] == "text/plain"
    assert blobs.authorizations == {"Bearer client-1@https://storage.azure.com/"}


async def test_a_big_file_goes_up_in_blocks(wd: Path, blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "WHOLE_BYTES", 10)
    monkeypatch.setattr(transfer, "BLOCK_BYTES", 4)
    (wd / "big").write_bytes(b"0123456789ab")
    await Transfer(FixedTokens()).upload(output("big", f"{blobs.url}/c"), wd)
    assert blobs.blocks == [b"0123", b"4567", b"89ab"]
    assert blobs.blobs["c/big"] == b"0123456789ab"


@pytest.mark.parametrize(
    ("container", "code"), [("missing", "FileUploadContainerNotFound"), ("locked", "FileUploadAccessDenied")]
)
async def test_a_refused_upload_has_the_services_code(wd: Path, blobs: Blobs, container: str, code: str) -> None:
    with pytest.raises(RunFailed) as caught:
        await Transfer(FixedTokens()).upload(output("a.csv", f"{blobs.url}/{container}"), wd)
    assert caught.value.info.code == code
    assert f"{blobs.url}/{container}/a.csv" in str(caught.value.info.details)


async def test_a_signature_in_the_url_is_used_and_never_told(wd: Path, blobs: Blobs) -> None:
    url = f"{blobs.url}/locked?sv=1&sig=s3cret"
    with pytest.raises(RunFailed) as caught:
        await Transfer(FixedTokens()).upload(output("a.csv", url), wd)
    assert blobs.authorizations == {""}
    assert "s3cret" not in str(caught.value.info)


async def test_resource_files_come_from_a_url_or_a_whole_container(wd: Path, blobs: Blobs) -> None:
    blobs.blobs = {"in/x/one.txt": b"1", "in/x/two.txt": b"2", "in/y.txt": b"3"}
    client = Transfer(FixedTokens())
    await client.fetch(ResourceFile(http_url=f"{blobs.url}/in/y.txt", file_path="got/y", file_mode="0700"), wd)
    await client.fetch(ResourceFile(storage_container_url=f"{blobs.url}/in", blob_prefix="x/"), wd)
    assert (wd / "got/y").read_bytes() == b"3"
    assert (wd / "got/y").stat().st_mode & 0o777 == 0o700
    assert (wd / "x/two.txt").read_bytes() == b"2"


async def test_a_missing_resource_file_and_one_outside_the_folder_are_refused(wd: Path, blobs: Blobs) -> None:
    blobs.blobs = {"in/a": b""}
    client = Transfer(FixedTokens())
    with pytest.raises(RunFailed, match="BlobNotFound"):
        await client.fetch(ResourceFile(http_url=f"{blobs.url}/in/none"), wd)
    with pytest.raises(RunFailed, match="BlobDownloadMiscError"):
        await client.fetch(ResourceFile(http_url=f"{blobs.url}/in/a", file_path="../../../evil"), wd)


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
