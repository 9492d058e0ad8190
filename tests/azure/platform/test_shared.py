"""Clock, ports, paths, certificates, logs and cloud.json."""

from __future__ import annotations

import json
import logging
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from local.azure import cloudfile
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resources import Resource
from local.azure.platform.certificates import ensure_authority, server_context, server_files
from local.azure.platform.clock import ManualClock
from local.azure.platform.logs import JsonLines
from local.azure.platform.ports import NoPortLeft, PortInUse, Ports
from local.azure.platform.store import Store
from local.paths import Paths, UnsafeFolder

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_manual_clock_runs_what_falls_due_in_order() -> None:
    clock, seen = ManualClock(START), []
    clock.call_at(START + timedelta(seconds=2), lambda: seen.append("second"))

    def nest() -> None:
        clock.call_at(clock.now(), lambda: seen.append("nested"))

    clock.call_at(START + timedelta(seconds=1), nest)
    clock.call_at(START + timedelta(seconds=1), lambda: seen.append("never")).cancel()
    clock.call_at(START + timedelta(seconds=9), lambda: seen.append("late"))
    clock.advance(timedelta(seconds=5))
    assert seen == ["nested", "second"]
    assert clock.now() == START + timedelta(seconds=5)


def test_ports_are_stable_by_name_across_restarts(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    ports = Ports(store, size=4)
    arm, batch = ports.reserve("arm"), ports.reserve("batch/a")
    store.close()
    again = Ports(Store(tmp_path / "db"), size=4)
    assert (again.reserve("arm"), again.reserve("batch/a")) == (arm, batch)
    assert {arm, batch} <= set(again.block())
    assert len(again.block()) == 4


def test_a_full_block_and_a_taken_port_are_named() -> None:
    ports = Ports(Store(None), size=1)
    port = ports.reserve("arm")
    with pytest.raises(NoPortLeft, match="belong to arm"):
        ports.reserve("another")
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortInUse, match=f"port {port} .*'arm'.*ss -ltnp"):
        ports.check()
    ports.release("arm")
    assert ports.reserve("another") == port


def test_folders_are_private_and_a_strangers_link_is_refused(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home")
    paths.ensure()
    assert {folder.stat().st_mode & 0o777 for folder in (paths.state, paths.run, paths.sockets)} == {0o700}
    assert len(str(paths.sockets)) < 60
    paths.stack.rmdir()
    paths.stack.symlink_to(tmp_path)
    with pytest.raises(UnsafeFolder, match="is a link"):
        paths.ensure()


def test_a_certificate_is_trusted_for_its_names_and_kept(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home")
    paths.ensure()
    ensure_authority(paths)
    assert server_context(paths, ["127.0.0.1", "localhost"]).minimum_version == ssl.TLSVersion.TLSv1_2
    certificate, key = server_files(paths, "sql", ["sql.azure.test", "127.0.0.1"])
    before = certificate.read_bytes()
    assert key.stat().st_mode & 0o777 == 0o600
    assert server_files(paths, "sql", ["sql.azure.test", "127.0.0.1"])[0].read_bytes() == before
    names = x509.load_pem_x509_certificate(before).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["sql.azure.test"]
    assert server_files(paths, "sql", ["sql.azure.test"])[0].read_bytes() != before


def test_logs_mask_what_looks_like_a_token() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "Bearer abc.def and eyJhbGci.eyJzdWIi.c2ln", (), None)
    line = json.loads(JsonLines().format(record))
    assert "abc" not in line["message"]
    assert "eyJ" not in line["message"]


def test_cloud_json_names_the_stacks_accounts_and_no_others_and_is_private(tmp_path: Path) -> None:
    cloud = Cloud.open(Paths(tmp_path / "home"))
    cloudfile.keep_written(cloud)
    first = json.loads(cloud.paths.cloud_json.read_text())
    assert cloud.paths.cloud_json.stat().st_mode & 0o777 == 0o600
    assert {"arm", "authority", "imds", "ca", "tenant_id", "client_secret", "sql"} <= set(first)
    assert not {"batch", "storage", "registry", "resource_group"} & set(first)
    group = f"{cloud.subscription_scope}/resourceGroups/rg1"
    account = f"{group}/providers/Microsoft.Batch/batchAccounts/b1"
    cloud.resources.put(Resource(account, "Microsoft.Batch/batchAccounts", "b1", tags={"stack": "local"}, created="1"))
    other = account.replace("rg1", "rg2").replace("b1", "b2")
    cloud.resources.put(Resource(other, "Microsoft.Batch/batchAccounts", "b2", created="2"))
    shown = json.loads(cloud.paths.cloud_json.read_text())
    assert (shown["resource_group"], shown["batch"]["account"]) == ("rg1", "b1")
    cloud.resources.delete(account)
    assert "batch" not in json.loads(cloud.paths.cloud_json.read_text())
    cloud.close()
