"""Offline previews of the real stacks: placeholders for secrets, nothing else changed, and good for nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from local import cli
from local.deployment import offline, project
from local.errors import LocalError
from local.exits import Exit
from local.paths import CHECKOUT, Paths
from tools.setup.pulumi_cli import Installation


def test_an_unknown_stack_is_answered_with_the_known_ones(paths: Paths) -> None:
    for name in ("staging", "../dev", ""):
        with pytest.raises(LocalError, match=r"there is no stack .*\n  next:  one of: local, dev, prod"):
            offline.prepare(paths.home / "x", name)


@pytest.mark.parametrize(
    "value", [{"secure": "v1:x"}, {"password": {"secure": "v1:x"}}, [{"name": "a", "key": {"secure": "v1:x"}}]]
)
def test_a_sealed_value_leaves_with_all_that_it_was_part_of(value: object) -> None:
    body = {"secretsprovider": "azurekeyvault://k", "encryptedkey": "e", "config": {"a:plain": 1, "a:sealed": value}}
    assert offline.public_settings(body) == {"config": {"a:plain": 1}}


@pytest.mark.parametrize("verb", ["up", "destroy"])
def test_a_real_stack_is_only_previewed(paths: Paths, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    assert cli.main([verb, "--stack", "prod"]) == Exit.FAILED
    assert f"next:  pulumi {verb} -s prod" in capsys.readouterr().err
    assert not (paths.home / "offline").exists()


@pytest.mark.thorough
@pytest.mark.parametrize("name", offline.stacks())
def test_the_stack_file_is_the_real_one_with_placeholders_for_secrets(
    paths: Paths, real_cli: Installation, name: str
) -> None:
    stack = offline.prepare(paths.home / name, name)
    written = yaml.safe_load(stack.settings_file.read_text())["config"]
    real = yaml.safe_load((CHECKOUT / f"Pulumi.{name}.yaml").read_text())["config"]
    secrets = yaml.safe_load((offline.PLACEHOLDERS / f"{name}.yaml").read_text())["secrets"]
    belongs = {f"azure-batch-platform:{key}" for key in ("subscription_id", "tenant_id")}
    # `pulumi config set-all` writes booleans as text, which is the same to a program
    assert {key: _text(value) for key, value in written.items() if "secure" not in str(value)} == {
        key: _text(value) for key, value in real.items() if key not in belongs
    }
    for key, text in secrets.items():
        assert project.ask(stack, "config", "get", key).strip() == text
    before = stack.settings_file.read_bytes()
    offline.prepare(paths.home / name, name)
    assert stack.settings_file.read_bytes() == before


def _text(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


# edits of Pulumi.dev.yaml (a regular expression, its replacement) -> the message
SETTINGS: Mapping[str, tuple[str, str, str]] = {
    "an unknown key": (r"\bprefix:", "colour:", "colour: expected one of location, prefix"),
    "a value out of range": (
        "dedicated_nodes: 2",
        "dedicated_nodes: 200",
        "pools.default.scale.fixed.dedicated_nodes: expected a whole number 0..100, got 200",
    ),
}


@pytest.mark.thorough
@pytest.mark.parametrize("name", SETTINGS)
def test_a_wrong_setting_is_told_once_by_its_key(
    paths: Paths,
    real_cli: Installation,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    old, new, message = SETTINGS[name]
    read = project.read_yaml

    def edited(file: Path) -> dict[str, object]:
        if file != CHECKOUT / "Pulumi.dev.yaml":
            return read(file)
        text, count = re.subn(old, new, file.read_text(), count=1)
        assert count == 1
        return yaml.safe_load(text)

    monkeypatch.setattr(project, "read_yaml", edited)
    assert project.run(offline.prepare(paths.home / "dev", "dev"), "preview", "--non-interactive", "--color=never") == 1
    shown = "".join(capfd.readouterr())
    assert shown.count(message) == 1 and "Traceback" not in shown, shown
    assert "in the settings (Pulumi.dev.yaml)" in shown
