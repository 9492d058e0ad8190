"""The transport over HTTP: TLS with a CA of our own, proxies, answers of every form, connections that are kept."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jobs.errors import UsageError
from jobs.submission.http import HttpTransport
from jobs.submission.transport import NoAnswer, Reply
from local.azure.platform.certificates import server_context
from local.paths import Paths

TOKEN = "Bearer a-token-that-only-the-endpoint-may-see"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
GONE = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Anybody:
    async def authorise(self, method: str, url: str, headers: MutableMapping[str, str]) -> None:
        headers["Authorization"] = TOKEN

    async def renew(self) -> None:
        pass


@dataclass
class Server:
    """Answers each request with the next of `answers` (the last one again and again); None: not at all."""

    answers: list[bytes | None] = field(default_factory=lambda: [OK])
    asked: list[bytes] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                self.asked.append(head + await reader.readexactly(int(length or 0)))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    continue
                if answer.endswith(b"<close>"):
                    writer.write(answer.removesuffix(b"<close>"))
                    break
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()


@dataclass
class Proxy:
    """Tunnels to whatever CONNECT names, when it is given the credentials it wants."""

    wants: str = ""
    refuses: int = 0
    asked: list[bytes] = field(default_factory=list)
    passed: bytearray = field(default_factory=bytearray)  # from the client, as the proxy sees it
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head)
        given = base64.b64encode(self.wants.encode())
        status = self.refuses or (407 if self.wants and b"Proxy-Authorization: Basic " + given not in head else 0)
        if status:
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 4\r\n\r\nno!!" % status)
            writer.close()
            return
        host, _, port = head.split(b" ")[1].decode().rpartition(":")
        there, back = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(self.pump(reader, back, self.passed), self.pump(there, writer, bytearray()))

    async def pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, seen: bytearray) -> None:
        try:
            while data := await source.read(65536):
                seen += data
                target.write(data)
        except ConnectionError:
            pass
        target.close()


@asynccontextmanager
async def listening(state: Server | Proxy, trust: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    server = await asyncio.start_server(state.serve, "127.0.0.1", 0, ssl=trust)
    state.url = f"{'https' if trust else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield
    server.close()


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A CA of our own, and an environment that names no proxy."""
    for name in GONE:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    found = Paths(tmp_path)
    found.ensure(sockets=False)
    return found


async def send(url: str, ca: Path | None = None, *, times: int = 1, seconds: float = 20.0) -> list[Reply]:
    transport = HttpTransport(endpoint=url, api_version="2025-06-01", authority=Anybody(), ca=ca, timeout=seconds)
    async with transport:
        return [await transport.add("j", b'{"value":[]}') for _ in range(times)]


async def test_a_ca_of_our_own_is_trusted_and_no_other(paths: Paths, tmp_path: Path) -> None:
    server, trust = Server(), server_context(paths)
    async with listening(server, trust):
        assert (await send(server.url, paths.ca))[0].status == 200
        with pytest.raises(NoAnswer, match="certificate verify failed"):
            await send(server.url)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("user", ["", "me:p@ss"])
async def test_https_goes_through_the_proxy_and_the_proxy_sees_no_token(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, user: str, secure: bool
) -> None:
    server, proxy, trust = Server(), Proxy(wants=user), server_context(paths)
    async with listening(server, trust), listening(proxy, trust if secure else None):
        monkeypatch.setenv(
            "HTTPS_PROXY", proxy.url.replace("://", f"://{user.replace('@', '%40')}@" if user else "://")
        )
        replies = await send(server.url, paths.ca, times=3)
    assert [reply.status for reply in replies] == [200] * 3
    assert len(proxy.asked) == 1  # one tunnel for all three
    target = server.url.removeprefix("https://").encode()
    assert proxy.asked[0].startswith(b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n" % (target, target))
    assert (b"Proxy-Authorization" in proxy.asked[0]) == bool(user)
    assert TOKEN.encode() not in proxy.asked[0] + proxy.passed
    assert TOKEN.encode() in server.asked[0]
    assert b"Proxy-Authorization" not in server.asked[0]


@pytest.mark.parametrize(("proxy", "status"), [(Proxy(refuses=403), 403), (Proxy(wants="me:password"), 407)])
async def test_a_proxy_that_refuses_is_named_with_its_status(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, proxy: Proxy, status: int
) -> None:
    server = Server()
    async with listening(server, server_context(paths)), listening(proxy):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(NoAnswer, match=f"the proxy 127.0.0.1 says {status} to CONNECT 127.0.0.1:"):
            await send(server.url, paths.ca)
    assert server.connections == 0


async def test_a_proxy_that_is_not_there_is_no_answer(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    server_context(paths)
    monkeypatch.setenv("HTTPS_PROXY", "127.0.0.1:1")  # without a scheme, as others take it
    with pytest.raises(NoAnswer, match="cannot be reached"):
        await send("https://127.0.0.1:2", paths.ca)


async def test_no_proxy_goes_straight_there_and_so_does_http(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    secure, plain, proxy = Server(), Server(), Proxy(refuses=403)
    async with listening(secure, server_context(paths)), listening(plain), listening(proxy):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        await send(plain.url)  # loopback only: see service.connection
        monkeypatch.setenv("NO_PROXY", "elsewhere.example,127.0.0.1")
        await send(secure.url, paths.ca)
    assert proxy.asked == []


async def test_a_proxy_of_another_kind_is_refused_without_showing_its_password(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    server_context(paths)
    monkeypatch.setenv("HTTPS_PROXY", "socks5://me:password@proxy.example:1080")
    with pytest.raises(UsageError, match=r"http://HOST:PORT.* got proxy\.example:1080") as caught:
        await send("https://127.0.0.1:2", paths.ca)
    assert "password" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"{}"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\nA: b\r\n\r\n", b"{}"),
        (b"HTTP/1.0 200 OK\r\n\r\n{}<close>", b"{}"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}<close>", b"{}"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
async def test_an_answer_of_any_right_form_is_read(paths: Paths, answer: bytes, body: bytes) -> None:
    server = Server(answers=[answer])
    async with listening(server):
        replies = await send(server.url, times=2)
    assert [reply.body for reply in replies] == [body] * 2
    assert server.connections == (2 if answer.endswith(b"<close>") else 1)


@pytest.mark.parametrize(
    "answer",
    [
        b"<close>",
        b"HTTP/1.1 200 OK\r\nContent-Le<close>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}<close>",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n<close>",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n{}",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n<close>",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\0" * 100,
    ],
)
async def test_anything_else_is_no_answer_and_the_next_request_has_a_connection_of_its_own(
    paths: Paths, answer: bytes
) -> None:
    server = Server(answers=[answer, OK])
    async with listening(server):
        transport = HttpTransport(endpoint=server.url, api_version="1", authority=Anybody(), ca=None, timeout=20.0)
        async with transport:
            with pytest.raises(NoAnswer):
                await transport.add("j", b"{}")
            assert (await transport.add("j", b"{}")).body == b"{}"
    assert server.connections == 2


async def test_what_comes_unasked_is_not_taken_for_the_next_answer(paths: Paths) -> None:
    stale = OK.replace(b"{}", b"[]")
    server = Server(answers=[OK + stale, OK + stale[:-5], OK])
    async with listening(server):
        replies = await send(server.url, times=3)
    assert [reply.body for reply in replies] == [b"{}"] * 3
    assert server.connections == 3


async def test_a_request_without_an_answer_ends_in_its_time(paths: Paths) -> None:
    server = Server(answers=[None])
    async with listening(server):
        with pytest.raises(NoAnswer, match=r"no answer in 0\.2 seconds"):
            await send(server.url, seconds=0.2)


async def test_a_redirect_is_not_followed(paths: Paths) -> None:
    elsewhere = Server()
    async with listening(elsewhere):
        moved = b"HTTP/1.1 307 X\r\nLocation: %s/jobs\r\nContent-Length: 0\r\n\r\n" % elsewhere.url.encode()
        server = Server(answers=[moved])
        async with listening(server):
            assert (await send(server.url))[0].status == 307
    assert elsewhere.connections == 0


@pytest.mark.parametrize(
    ("after", "seconds"), [(b"2.5", 2.5), (b"Wed, 01 Jan 2020 00:00:00 GMT", 0.0), (b"soon", None)]
)
async def test_retry_after_is_read_as_seconds_or_date(paths: Paths, after: bytes, seconds: float | None) -> None:
    server = Server(answers=[b"HTTP/1.1 429 X\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n" % after])
    async with listening(server):
        assert (await send(server.url))[0].retry_after == seconds


async def test_a_hundred_requests_at_a_time_keep_their_connections(paths: Paths) -> None:
    server = Server()
    async with listening(server):
        transport = HttpTransport(endpoint=server.url, api_version="1", authority=Anybody(), ca=None, timeout=20.0)
        async with transport:
            for _ in range(3):
                replies = await asyncio.gather(*(transport.add("j", b"{}") for _ in range(100)))
                assert {reply.status for reply in replies} == {200}
    assert server.connections == 100
    assert all(b"\r\nAccept-Encoding: identity\r\n" in head for head in server.asked)
    assert server.asked[0].startswith(b"POST /jobs/j/addtaskcollection?api-version=1 HTTP/1.1\r\nHost: 127.0.0.1:")
