"""A fake Azure with TLS, plugin processes that are always stopped, and one Pulumi CLI with one home for all tests."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from testbeds.tls import server_context
from tests.plugins.cli.stack import LANGUAGE_HOST, Cli, Stack
from tests.plugins.fake_arm import CLIENT, SUBSCRIPTION, TENANT, FakeArm
from tests.plugins.process import Plugin
from tools.setup import pulumi_cli


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    """The fake Azure's context, and the authority that plugins have to trust."""
    return server_context(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def arm(tls: tuple[ssl.SSLContext, Path]) -> Iterator[FakeArm]:
    fake = FakeArm(tls[0])
    yield fake
    fake.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Plugin]]:
    """Start plugins by name with an environment."""
    running: list[Plugin] = []

    def make(name: str, cwd: Path = tmp_path, **environment: str) -> Plugin:
        running.append(Plugin(name, cwd, environment))
        return running[-1]

    yield make
    for plugin in running:
        plugin.stop()


@pytest.fixture
def cloud_settings(arm: FakeArm, tls: tuple[ssl.SSLContext, Path]) -> dict[str, str]:
    """The environment that names the fake Azure."""
    return {
        "ARM_METADATA_HOSTNAME": arm.host,
        "ARM_SUBSCRIPTION_ID": SUBSCRIPTION,
        "ARM_TENANT_ID": TENANT,
        "ARM_CLIENT_ID": CLIENT,
        "ARM_CLIENT_SECRET": "right",
        "SSL_CERT_FILE": str(tls[1]),
        "REQUESTS_CA_BUNDLE": str(tls[1]),
    }


@pytest.fixture
def azure(start: Callable[..., Plugin], cloud_settings: dict[str, str]) -> Plugin:
    """The azure-native stand-in, configured for the fake Azure."""
    plugin = start("azure-native", **cloud_settings)
    plugin.configure(location="westeurope")
    return plugin


@pytest.fixture(scope="session")
def cli() -> Cli:
    """The CLI that the set-up found or built; `make test` prepares one."""
    cli = pulumi_cli.find()
    assert cli is not None, "there is no Pulumi CLI on this machine: make setup"
    if cli.official:
        return Cli(cli.pulumi, None, {})
    return Cli(cli.pulumi, LANGUAGE_HOST, {"PULUMI_STANDIN_EXECUTOR": str(cli.executor)})


@pytest.fixture(scope="session")
def pulumi_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pulumi-home")


@pytest.fixture
def make_stack(cli: Cli, pulumi_home: Path, tmp_path: Path) -> Callable[..., Stack]:
    return lambda **environment: Stack(cli, tmp_path, pulumi_home, environment)
