"""The way from a node to the local Azure: the agent's forwarders and the host's relay as a pair."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from local.node.agent.forwarders import Forwarders
from local.node.agent.tokens import Tokens
from local.node.relay import NodeRelay
from tests.node.specs import IDENTITY, fake_imds


@pytest_asyncio.fixture
async def echo_port() -> AsyncIterator[int]:
    """A service of the local Azure that gives back what it gets."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1000):
            writer.write(piece)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def ask(port: int, words: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(words)
    writer.write_eof()
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""  # closed before our words were read
    finally:
        writer.close()


@pytest_asyncio.fixture
async def forwarders(runtime: Path) -> AsyncIterator[Forwarders]:
    made = Forwarders(runtime / "host.sock", patience=5)
    yield made
    await made.close()


async def test_bytes_go_both_ways_and_an_end_is_passed_on(
    runtime: Path, forwarders: Forwarders, echo_port: int
) -> None:
    relay = NodeRelay([echo_port], fake_imds)
    await relay.open_node("n", runtime / "host.sock", ())
    port = await forwarders.listen("127.0.0.1", 0, f"CONNECT {echo_port}")
    payload = b"x" * 300_000
    assert await ask(port, payload) == payload
    await relay.close()


async def test_a_connection_waits_for_a_local_azure_that_is_away(
    runtime: Path, forwarders: Forwarders, echo_port: int
) -> None:
    port = await forwarders.listen("127.0.0.1", 0, f"CONNECT {echo_port}")
    asking = asyncio.create_task(ask(port, b"hello"))
    await asyncio.sleep(0)
    relay = NodeRelay([echo_port], fake_imds)
    await relay.open_node("n", runtime / "host.sock", ())
    assert await asking == b"hello"
    await relay.close()


async def test_a_connection_is_closed_when_patience_ends(runtime: Path) -> None:
    forwarders = Forwarders(runtime / "host.sock", patience=0)
    port = await forwarders.listen("127.0.0.1", 0, "CONNECT 1")
    assert await ask(port, b"hello") == b""
    await forwarders.close()


@pytest.mark.parametrize("line", ["CONNECT 22", "CONNECT", "GET / HTTP/1.1", "CONNECT 1 2", ""])
async def test_ports_outside_the_block_are_not_reached(
    runtime: Path, forwarders: Forwarders, echo_port: int, line: str
) -> None:
    relay = NodeRelay([echo_port], fake_imds)
    await relay.open_node("n", runtime / "host.sock", ())
    port = await forwarders.listen("127.0.0.1", 0, line)
    assert await ask(port, b"hello") == b""
    await relay.close()


async def test_the_identity_endpoint_answers_as_the_node_that_asks(runtime: Path, forwarders: Forwarders) -> None:
    relay = NodeRelay([], fake_imds)
    await relay.open_node("n", runtime / "host.sock", (IDENTITY,))
    port = await forwarders.listen("127.0.0.1", 0, "IMDS")
    token = await Tokens(f"http://127.0.0.1:{port}").get("https://storage.azure.com/", "client-1")
    assert token.startswith("token of client-1 for /metadata/identity/oauth2/token?")
    assert "resource=https" in token
    await relay.close()


async def test_the_nodes_socket_is_its_owners_only(runtime: Path) -> None:
    relay = NodeRelay([], fake_imds)
    await relay.open_node("n", runtime / "host.sock", ())
    assert (runtime / "host.sock").stat().st_mode & 0o077 == 0
    await relay.close()
    assert not (runtime / "host.sock").exists()
