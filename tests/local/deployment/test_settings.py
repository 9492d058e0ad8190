"""The settings of the stack "local": made for this machine, secrets sealed, kept between calls."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from local.deployment import settings
from local.errors import LocalError
from local.paths import Paths
from tests.local.deployment.settings_cli import Settings

WORKER, PREFIX = "azure-batch-platform:worker", "azure-batch-platform:prefix"
SECRETS = [f"azure-batch-platform:{name}" for name in ("adminPassword", "userPassword")]


def content(paths: Paths) -> dict[str, Any]:
    return yaml.safe_load(settings.stack(paths).settings_file.read_text())


def test_settings_are_the_template_the_machines_own_and_sealed_passwords(paths: Paths, settings_cli: Settings) -> None:
    settings.prepare(paths, {WORKER: {"base_image": "made-here:1"}})
    config = content(paths)["config"]
    assert config[WORKER] == {"base_image": "made-here:1"}
    assert config["azure-batch-platform:pools"] == settings.template_section("pools")
    assert all(set(config[key]) == {"secure"} for key in SECRETS)
    for file in (settings.stack(paths).settings_file, paths.stack / "passphrase"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert all(len(one) >= 12 for one in settings_cli.secrets.values())
    assert len(set(settings_cli.secrets.values())) == len(SECRETS)


def test_no_password_is_a_word_of_a_command_line(paths: Paths, settings_cli: Settings) -> None:
    settings.prepare(paths, {})
    arguments = {argument for call in settings_cli.calls for argument in call}
    assert settings_cli.secrets and arguments.isdisjoint(settings_cli.secrets.values())
    assert arguments.isdisjoint({(paths.stack / "passphrase").read_text()})


def test_settings_that_are_as_they_should_be_are_not_written_again(paths: Paths, settings_cli: Settings) -> None:
    settings.prepare(paths, {})
    file = settings.stack(paths).settings_file
    before = file.stat().st_mtime_ns, content(paths)
    settings_cli.calls.clear()
    settings.prepare(paths, {})
    assert (file.stat().st_mtime_ns, content(paths)) == before
    settings.prepare(paths, {PREFIX: "abc"})
    assert settings_cli.calls == []  # the same passwords, under the same salt
    assert content(paths) == {**before[1], "config": {**before[1]["config"], PREFIX: "abc"}}


def test_a_lost_passphrase_is_not_replaced_by_a_new_one(paths: Paths, settings_cli: Settings) -> None:
    settings.prepare(paths, {})
    (paths.stack / "passphrase").unlink()
    with pytest.raises(LocalError, match="passphrase is gone"):
        settings.prepare(paths, {})
    assert not (paths.stack / "passphrase").exists()


def test_a_stack_that_was_never_deployed_is_not_opened(paths: Paths) -> None:
    with pytest.raises(LocalError, match="never deployed from this checkout\n  next:  make up"):
        settings.require_settings(paths)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"config: [", "line 1: not YAML"),
        (b"config: '\xff'", "is not UTF-8 text"),
        (b"[a]", "must be a map of keys to values, got list"),
        (b"config:\n", "has no settings"),
        (b"config: {'azure-batch-platform:worker': 3}", "worker must be a section of keys and values, got 3"),
    ],
)
def test_a_template_that_cannot_be_used_is_named(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings_cli: Settings, text: bytes, says: str
) -> None:
    template = tmp_path / "Pulumi.local.yaml"
    template.write_bytes(text)
    monkeypatch.setattr(settings, "TEMPLATE", template)
    with pytest.raises(LocalError, match=says):
        settings.prepare(paths, {WORKER: settings.template_section("worker")})
    assert settings_cli.secrets == {}


def test_the_cloud_is_told_by_azure_natives_own_settings(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"arm": "https://127.0.0.1:9", "client_id": "c", "client_secret": "s", "tenant_id": "t"}
    monkeypatch.setattr(settings, "read_cloud", lambda _paths: {**facts, "subscription_id": "u"})
    assert settings.cloud_environment(paths) == {
        "ARM_METADATA_HOSTNAME": "127.0.0.1:9",
        "ARM_CLIENT_ID": "c",
        "ARM_CLIENT_SECRET": "s",
        "ARM_TENANT_ID": "t",
        "ARM_SUBSCRIPTION_ID": "u",
        "SSL_CERT_FILE": str(paths.ca),
        "REQUESTS_CA_BUNDLE": str(paths.ca),
    }
