"""Fixtures: a fake Azure with TLS, and plugin processes that are always stopped."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tls import server_context

from .fake_arm import CLIENT, SUBSCRIPTION, TENANT, FakeArm
from .process import Plugin


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
