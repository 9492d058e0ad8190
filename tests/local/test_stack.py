"""The settings of the stack "local": made for this machine, secrets sealed, kept between calls."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from local import stack
from local.engine.codec import Secret
from local.engine.errors import ConfigError, SecretsError
from local.errors import LocalError
from local.paths import Paths


@pytest.fixture(autouse=True)
def few_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.engine.secrets.ITERATIONS", 1000)


def settings(paths: Paths) -> dict[str, Any]:
    return yaml.safe_load(stack.settings_file(paths).read_text())


def test_settings_are_the_template_the_machines_own_and_sealed_passwords(paths: Paths) -> None:
    stack.write_settings(paths, {f"{stack.PROJECT}:worker": {"base_image": "made-here:1"}})
    config = settings(paths)["config"]
    assert config[f"{stack.PROJECT}:worker"] == {"base_image": "made-here:1"}
    assert config[f"{stack.PROJECT}:pool"] == stack.template_value("pool")
    assert all(set(config[key]) == {"secure"} for key in stack.SECRETS)
    for file in (stack.settings_file(paths), paths.stack / "passphrase"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    project = stack.local_project(paths, {})
    passwords = [project.config[key] for key in stack.SECRETS]
    assert all(isinstance(one, Secret) and len(one.value) >= 12 for one in passwords)


def test_settings_that_are_as_they_should_be_are_not_written_again(paths: Paths) -> None:
    stack.write_settings(paths, {})
    before = stack.settings_file(paths).stat().st_mtime_ns, settings(paths)
    stack.write_settings(paths, {})
    assert (stack.settings_file(paths).stat().st_mtime_ns, settings(paths)) == before
    stack.write_settings(paths, {f"{stack.PROJECT}:prefix": "abc"})
    after = settings(paths)
    assert after["config"].pop(f"{stack.PROJECT}:prefix") == "abc"
    before[1]["config"].pop(f"{stack.PROJECT}:prefix")
    assert after == before[1]  # the same passwords, under the same salt


def test_a_lost_passphrase_is_not_replaced_by_a_new_one(paths: Paths) -> None:
    stack.write_settings(paths, {})
    file = paths.stack / "passphrase"
    file.unlink()
    with pytest.raises(LocalError, match="passphrase is gone"):
        stack.local_project(paths, {})
    assert not file.exists()
    file.write_text("another")
    with pytest.raises(SecretsError, match="incorrect passphrase"):
        stack.local_project(paths, {})


def test_a_stack_that_was_never_deployed_is_not_opened(paths: Paths) -> None:
    with pytest.raises(LocalError, match="never deployed from this checkout\n  next:  make up"):
        stack.local_project(paths, {})


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("config: [", ConfigError, "line 1: not YAML"),
        ("confg: {}", ConfigError, "unknown key 'confg'"),
        ("config:\n", LocalError, "has no settings"),
        (f"config: {{'{stack.PROJECT}:worker': 3}}", LocalError, "worker must be a section of keys and values, got 3"),
    ],
)
def test_a_template_that_cannot_be_used_is_named(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, error: type[Exception], says: str
) -> None:
    template = tmp_path / "Pulumi.local.yaml"
    template.write_text(text)
    monkeypatch.setattr(stack, "TEMPLATE", template)
    with pytest.raises(error, match=says):
        stack.write_settings(paths, {f"{stack.PROJECT}:worker": stack.template_value("worker")})
    assert not stack.settings_file(paths).exists()


def test_the_cloud_is_told_by_azure_natives_own_settings(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"arm": "https://127.0.0.1:9", "client_id": "c", "client_secret": "s", "tenant_id": "t"}
    monkeypatch.setattr(stack, "read_cloud", lambda _paths: {**facts, "subscription_id": "u"})
    assert stack.cloud_environment(paths) == {
        "ARM_METADATA_HOSTNAME": "127.0.0.1:9",
        "ARM_CLIENT_ID": "c",
        "ARM_CLIENT_SECRET": "s",
        "ARM_TENANT_ID": "t",
        "ARM_SUBSCRIPTION_ID": "u",
        "SSL_CERT_FILE": str(paths.ca),
        "REQUESTS_CA_BUNDLE": str(paths.ca),
    }


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_real_stacks_are_opened_with_placeholders(paths: Paths, name: str) -> None:
    project = stack.offline_project(paths, name)
    assert project.offline == stack.OFFLINE / f"{name}.yaml"
    assert set(stack.SECRETS) <= set(project.config)


def test_an_unknown_stack_is_answered_with_the_known_ones(paths: Paths) -> None:
    with pytest.raises(LocalError, match="no stack 'staging'\n  next:  one of: local, dev, prod"):
        stack.offline_project(paths, "staging")
