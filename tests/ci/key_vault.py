"""Names of the public cloud on this machine, behind a proxy: a key vault, and what MSAL asks login.microsoftonline.com.

Programs that find HTTPS_PROXY send `CONNECT name:443`. The proxy answers for these names itself, by certificates of a
local Azure, and for no other: nothing leaves the machine. The vault seals and opens with RSA-OAEP-256, as
learn.microsoft.com/rest/api/keyvault/keys/encrypt says, for whoever has a token of the local Azure for it and is on the
key's list.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local.azure.control_plane.cloud import Cloud
from local.azure.platform.certificates import server_context
from local.azure.platform.errors import AzureError
from testbeds.http_server import serving

LOGIN: Final = "login.microsoftonline.com"
AUDIENCE: Final = "https://vault.azure.net"
_OPERATION: Final = re.compile(r"/keys/(?P<name>[\w-]+)/(?P<version>\w*)/?(?P<verb>encrypt|decrypt)")
_OAEP: Final = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


class KeyVault:
    """Its keys, and the principals that each is for. `operations` has what was done: verb, key, principal."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self.cloud = cloud
        self.host = f"{name}.vault.azure.net"
        self.allowed: dict[str, set[str]] = {}
        self.operations: list[tuple[str, str, str]] = []
        self.proxy = ""
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=3072)

    def answer(self, path: str, authorization: str, body: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
        found = _OPERATION.fullmatch(path)
        if found is None or found["name"] not in self.allowed:
            return 404, {}, {"error": {"code": "KeyNotFound", "message": path}}
        authority = f"{self.cloud.arm_url}/{self.cloud.settings.tenant_id}"
        challenge = {"WWW-Authenticate": f'Bearer authorization="{authority}", resource="{AUDIENCE}"'}
        try:
            caller = self.cloud.tokens.verify(authorization.removeprefix("Bearer "), [AUDIENCE])
        except AzureError as error:
            return 401, challenge, {"error": {"code": "Unauthorized", "message": error.message}}
        if caller.principal_id not in self.allowed[found["name"]]:
            return 403, {}, {"error": {"code": "Forbidden", "message": "Caller is not authorized to perform action"}}
        assert body["alg"] == "RSA-OAEP-256"
        given = base64.urlsafe_b64decode(body["value"] + "==")
        seal = found["verb"] == "encrypt"
        value = self._key.public_key().encrypt(given, _OAEP) if seal else self._key.decrypt(given, _OAEP)
        self.operations.append((found["verb"], found["name"], caller.principal_id))
        kid = f"https://{self.host}/keys/{found['name']}/{'0' * 32}"
        return 200, {}, {"kid": kid, "value": base64.urlsafe_b64encode(value).rstrip(b"=").decode()}

    def discovery(self) -> dict[str, Any]:
        """Which hosts are one cloud: MSAL asks Microsoft before it trusts an authority that it does not know."""
        host = self.cloud.arm_url.removeprefix("https://")
        tenant = f"{self.cloud.arm_url}/{self.cloud.settings.tenant_id}"
        return {
            "tenant_discovery_endpoint": f"{tenant}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }


@contextmanager
def running(cloud: Cloud, name: str) -> Iterator[KeyVault]:
    vault = KeyVault(cloud, name)
    context = server_context(cloud.paths, [vault.host, LOGIN])

    class Inside(BaseHTTPRequestHandler):
        """One connection, after its CONNECT and its handshake."""

        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
            path = self.path.partition("?")[0]
            if self.headers["Host"] == LOGIN:
                status, headers, answer = 200, {}, vault.discovery()
            else:
                status, headers, answer = vault.answer(path, self.headers.get("Authorization") or "", body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            for key, text in {**headers, "Content-Type": "application/json", "Content-Length": str(len(data))}.items():
                self.send_header(key, text)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: pytest shows what matters."""

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            if self.path not in (f"{vault.host}:443", f"{LOGIN}:443"):
                self.send_error(502, f"{self.path} is not on this machine")
                return
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.close_connection = True
            try:
                with context.wrap_socket(self.connection, server_side=True) as tls:
                    Inside(tls, self.client_address, self.server)
            except (ssl.SSLError, OSError):
                return

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    vault.proxy = f"http://127.0.0.1:{server.server_port}"
    with serving(server):
        yield vault
