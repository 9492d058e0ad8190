"""A certificate authority of our own and server certificates from it (EC P-256).

Owns keys and certificates: `ca.pem` is public, keys are 0600 under `state/`. Bearer tokens are refused over http by the
SDKs, hence TLS everywhere but at the instance metadata endpoint.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from local.paths import Paths, write_private

_AUTHORITY_LIFE = timedelta(days=3650)
_LEAF_LIFE = timedelta(days=90)
_RENEW_BEFORE = timedelta(days=30)
LOOPBACK_NAMES = ("127.0.0.1", "localhost")


def ensure_authority(paths: Paths) -> None:
    """Make the authority once; later starts keep it, so that clients' trust holds."""
    key_path = paths.state / "ca.key"
    if key_path.exists() and paths.ca.exists():
        return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Local Azure CA {x509.random_serial_number():x}"[:40])])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(key_path, _pem(key))
    write_private(paths.ca, certificate.public_bytes(serialization.Encoding.PEM))


def server_files(paths: Paths, name: str, names: Sequence[str]) -> tuple[Path, Path]:
    """Certificate (with chain) and key of the server called `name`, valid for `names` (DNS names and addresses)."""
    ensure_authority(paths)
    if not re.fullmatch(r"[a-z0-9-]+", name):
        raise ValueError(f"{name!r} cannot name a certificate file; use lowercase letters, digits and dashes")
    folder = paths.state / "certificates"
    folder.mkdir(mode=0o700, exist_ok=True)
    certificate_path, key_path = folder / f"{name}.pem", folder / f"{name}.key"
    if not (key_path.exists() and _still_good(certificate_path, names, paths)):
        certificate, key = _issue(paths, names)
        write_private(key_path, key)
        write_private(certificate_path, certificate)
    return certificate_path, key_path


def server_context(paths: Paths, names: Sequence[str] = LOOPBACK_NAMES) -> ssl.SSLContext:
    """A TLS server context for these names."""
    label = re.sub(r"[^a-z0-9]+", "-", "-".join(names).lower()).strip("-")
    certificate, key = server_files(paths, label, names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def _still_good(path: Path, names: Sequence[str], paths: Paths) -> bool:
    if not path.exists():
        return False
    leaf, issuer = x509.load_pem_x509_certificates(path.read_bytes())[:2]
    authority = x509.load_pem_x509_certificate(paths.ca.read_bytes())
    wanted = x509.SubjectAlternativeName(_general_names(names))
    same = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == wanted
    return same and issuer == authority and leaf.not_valid_after_utc - datetime.now(UTC) > _RENEW_BEFORE


def _issue(paths: Paths, names: Sequence[str]) -> tuple[bytes, bytes]:
    authority = x509.load_pem_x509_certificate(paths.ca.read_bytes())
    authority_key = serialization.load_pem_private_key((paths.state / "ca.key").read_bytes(), None)
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{paths.state / 'ca.key'} is not an EC key; remove it and ca.pem to make a new authority")
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + _LEAF_LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    return certificate.public_bytes(encoding) + authority.public_bytes(encoding), _pem(key)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
