"""The table of children: their order, what they need, and when each is ready."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from local.azure.control_plane.cloud import Cloud
from local.azure.platform.ports import HOST, PortInUse
from local.azure.sql.stores.postgres import cluster
from local.errors import LocalError
from local.paths import Paths
from local.processes import background, children


def test_stores_start_before_those_that_use_them_and_stale_signs_are_gone(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(children, "require_programs", lambda _commands: None)
    (paths.run / "azure.ready").write_text("of a killed one")
    table = children.children(paths)
    assert [child.name for child in table] == ["registry", "azurite", "azure", "sql"]
    assert not (paths.run / "azure.ready").exists()
    ours = [child for child in table if child.name in ("azure", "sql")]
    assert all(child.env == {"LOCAL_AZURE_HOME": str(paths.home)} for child in ours)
    arguments = [argument for child in table for argument in child.argv]
    secrets = [value for child in table for name, value in child.env.items() if "SECRET" in name]
    assert secrets and not set(secrets) & set(arguments)  # never on a command line


def test_a_start_waits_longer_than_what_it_waits_for(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "require_programs", lambda _commands: None)
    table = {child.name: child for child in children.children(paths)}
    assert sum(child.ready_seconds for child in table.values()) < background.START_SECONDS
    assert table["sql"].ready_seconds > cluster.STOP_SECONDS + cluster.START_SECONDS  # a leftover's end, its recovery


def test_ports_stay_the_same(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "require_programs", lambda _commands: None)
    first = [list(child.argv) for child in children.children(paths)]
    assert [list(child.argv) for child in children.children(paths)] == first


def test_a_port_that_stays_taken_stops_the_start(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud.open(paths)
    port = cloud.ports.reserve("sql")
    cloud.close()
    monkeypatch.setattr(children, "_DYING_SECONDS", 0.0)
    with socket.socket() as other:
        other.bind((HOST, port))
        other.listen()
        with pytest.raises(PortInUse, match=rf"port {port} on {HOST} \(recorded for 'sql'\) is taken"):
            children.children(paths)


@pytest.mark.parametrize("command", [["no-such-program"], ["sh", "--require", "/no/such/durable.js"]])
def test_what_the_set_up_did_not_bring_is_named(command: list[str]) -> None:
    with pytest.raises(LocalError, match=rf"{command[-1]} is not on this machine\n.*\n  next:  make setup"):
        children.require_programs([["sh"], command])


async def test_a_port_is_ready_when_it_accepts() -> None:
    with socket.socket() as reserved:
        reserved.bind((HOST, 0))
        port = reserved.getsockname()[1]
    ready = asyncio.ensure_future(children.accepting_port(port)())
    await asyncio.sleep(0)
    assert not ready.done()
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), HOST, port)
    async with server, asyncio.timeout(20):
        await ready


async def test_a_socket_and_a_file_are_ready_when_they_are_there(tmp_path: Path) -> None:
    socket_path, mark = tmp_path / "s", tmp_path / "mark"
    both = asyncio.gather(children.accepting_socket(socket_path)(), children.existing(mark)())
    await asyncio.sleep(0)
    assert not both.done()
    mark.touch()
    server = await asyncio.start_unix_server(lambda _reader, writer: writer.close(), str(socket_path))
    async with server, asyncio.timeout(20):
        await both
