"""What the Pulumi CLI is given: a project file with our plugins, and an environment without the user's own Pulumi."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from local.deployment import project, settings
from local.errors import LocalError
from local.paths import CHECKOUT, Paths
from tools.setup.pulumi_cli import Installation

FindCli = Callable[..., Installation]


def test_the_project_is_the_real_one_with_our_plugins_and_absolute_places(paths: Paths, installation: FindCli) -> None:
    project.write_project_file(settings.stack(paths), installation())
    written = yaml.safe_load((paths.stack / "Pulumi.yaml").read_text())
    real = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())
    plugins = written.pop("plugins")
    assert written.pop("main") == str(CHECKOUT)
    assert written["runtime"]["options"].pop("virtualenv") == str(
        CHECKOUT / real["runtime"]["options"].pop("virtualenv")
    )
    assert written == real
    for kind, executable in (("providers", "pulumi-resource-{}"), ("languages", "pulumi-language-{}")):
        for plugin in plugins[kind]:
            assert os.access(Path(plugin["path"], executable.format(plugin["name"])), os.X_OK)
    assert {plugin["name"] for plugin in plugins["providers"]} == {"azure-native", "docker"}


def test_an_official_installation_keeps_its_own_language_host(paths: Paths, installation: FindCli) -> None:
    cli = installation(official=True)
    assert "languages" not in project.project_file(cli)["plugins"]
    assert project.EXECUTOR_VARIABLE not in project.variables(settings.stack(paths), cli)
    ours = installation()
    assert project.variables(settings.stack(paths), ours)[project.EXECUTOR_VARIABLE] == str(ours.executor)


@pytest.mark.parametrize(
    "name",
    ["PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_EXPERIMENTAL", "ARM_USE_OIDC", "AZURE_TENANT_ID"],
)
def test_nothing_of_the_users_own_pulumi_and_azure_reaches_the_cli(
    paths: Paths, installation: FindCli, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "the user's own")
    monkeypatch.setenv("DOCKER_HOST", "unix:///somewhere")
    environment = project.environment(settings.stack(paths), installation())
    assert name not in environment
    assert environment["DOCKER_HOST"] == "unix:///somewhere"


def test_state_home_and_passphrase_lie_in_the_local_azures_folder(paths: Paths, installation: FindCli) -> None:
    variables = project.variables(settings.stack(paths), installation())
    assert variables["PULUMI_BACKEND_URL"] == f"file://{paths.stack}"
    assert variables["PULUMI_HOME"].startswith(str(paths.stack))
    assert variables["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(paths.stack / "passphrase")
    assert "PULUMI_CONFIG_PASSPHRASE" not in variables
    assert variables["PATH"].split(os.pathsep)[0] == "/cache/bin"


def test_a_machine_without_the_cli_is_told_how_to_get_it(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project, "find", lambda: None)
    with pytest.raises(LocalError, match=r"there is no Pulumi CLI\n.*\n  next:  make setup"):
        project.run(settings.stack(paths), "preview")


@pytest.mark.thorough
def test_what_the_cli_says_of_a_failure_is_the_cause(paths: Paths, real_cli: Installation) -> None:
    stack = settings.stack(paths)
    stack.folder.mkdir(exist_ok=True)
    stack.passphrase_file.write_text("p")
    with pytest.raises(LocalError, match=r"`pulumi stack output` failed on stack local .*\n  cause: no stack selected"):
        project.ask(stack, "stack", "output")


@pytest.mark.thorough
def test_secrets_that_the_real_cli_seals_come_back_and_lie_nowhere_in_clear(
    paths: Paths, real_cli: Installation
) -> None:
    settings.prepare(paths, {})
    stack = settings.stack(paths)
    shown = project.ask(stack, "config", "get", "adminPassword").strip()
    assert shown.endswith("aA1!")
    assert [one for one in paths.home.rglob("*") if one.is_file() and shown.encode() in one.read_bytes()] == []
    stack.passphrase_file.write_text("another")
    with pytest.raises(LocalError, match="incorrect passphrase"):
        project.ask(stack, "config", "get", "adminPassword")
