"""Fixtures: a fake Azure with TLS, and plugin processes that are always stopped."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from .fake_arm import CLIENT, SUBSCRIPTION, TENANT, FakeArm
from .process import Plugin


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake Azure")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "azure.pem"
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    path.write_bytes(built.public_bytes(serialization.Encoding.PEM) + pem)
    return path


@pytest.fixture
def arm(certificate: Path) -> Iterator[FakeArm]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    fake = FakeArm(context)
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
def cloud_settings(arm: FakeArm, certificate: Path) -> dict[str, str]:
    """The environment that names the fake Azure."""
    return {
        "ARM_METADATA_HOSTNAME": arm.host,
        "ARM_SUBSCRIPTION_ID": SUBSCRIPTION,
        "ARM_TENANT_ID": TENANT,
        "ARM_CLIENT_ID": CLIENT,
        "ARM_CLIENT_SECRET": "right",
        "SSL_CERT_FILE": str(certificate),
        "REQUESTS_CA_BUNDLE": str(certificate),
    }


@pytest.fixture
def azure(start: Callable[..., Plugin], cloud_settings: dict[str, str]) -> Plugin:
    """The azure-native stand-in, configured for the fake Azure."""
    plugin = start("azure-native", **cloud_settings)
    plugin.configure(location="westeurope")
    return plugin
