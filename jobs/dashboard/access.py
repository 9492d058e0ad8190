"""Who may ask the dashboard. Decides only; `server.py` asks before it does anything else.

The dashboard acts with the identity of whoever started it, so no other program or site may use it:

- It listens on 127.0.0.1 alone. A request must name this address (or `localhost`) and the port in its `Host`: a site
  whose name was made to lead here (DNS rebinding) names itself.
- The address that is printed has a token in its fragment, which a browser sends to nobody. The page gives it back in
  exchange for two things, once: a cookie (HttpOnly, SameSite=Strict) and a key. Every request for data needs both. A
  browser sends cookies to every port of a host, so the cookie alone would be known to other servers on this machine;
  the key is in the page's own storage, which belongs to one port, and is sent as a header that no other origin may set.
- Files are opened by plain links, which carry no header: their addresses have a ticket instead, made here for that one
  path. A path that was not offered has none.
- A request that a browser marks as coming from elsewhere (`Origin`, `Sec-Fetch-Site`) is refused.
- What changes something is a POST of JSON, and there only with `--operate`.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

KEY_HEADER: Final = "X-Dashboard-Key"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Refusal:
    status: int
    why: str


@dataclass(frozen=True)
class Asked:
    """What a decision needs of a request. `kind`: page (the files of the pages), session (the exchange of the token),
    data, file, action. `target` is the path of a file with its query, without the ticket."""

    kind: str
    host: str
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    ticket: str = ""
    target: str = ""


@dataclass
class Access:
    """The secrets of one run, and the decisions. `port` is known once the server listens."""

    operate: bool = False
    port: int = 0
    token: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    _cookie: str = field(default="", repr=False)
    _key: str = field(default="", repr=False)
    _seal: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    @property
    def cookie_name(self) -> str:
        """With the port: two dashboards of one machine do not take each other's cookie."""
        return f"jobs-dashboard-{self.port}"

    @property
    def hosts(self) -> tuple[str, ...]:
        return (f"127.0.0.1:{self.port}", f"localhost:{self.port}")

    def exchange(self, token: str) -> tuple[str, str] | None:
        """Cookie and key for the token; None for a wrong one, or one that was used."""
        if self._cookie or not hmac.compare_digest(token.encode(), self.token.encode()):
            return None
        self._cookie = secrets.token_urlsafe(32)
        self._key = secrets.token_urlsafe(32)
        return self._cookie, self._key

    def ticket(self, target: str) -> str:
        """What opens this one file."""
        return hmac.new(self._seal, f"{self._cookie}\n{target}".encode(), hashlib.sha256).hexdigest()

    def refusal(self, asked: Asked) -> Refusal | None:
        """Why the request is refused; None when it is not."""
        if asked.host.lower() not in self.hosts:
            return Refusal(421, "this server answers to its own address only")
        origin = asked.headers.get("Origin")
        if origin is not None and origin.lower() != f"http://{asked.host.lower()}":
            return Refusal(403, "another site may not ask here")
        if asked.kind == "page":
            return None
        if asked.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return Refusal(403, "another site may not ask here")
        if asked.kind in ("session", "action"):
            if origin is None:
                return Refusal(403, "a change is asked for by the page alone")
            if asked.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
                return Refusal(415, "a change is sent as JSON")
        if asked.kind == "session":
            return None
        if not self._cookie or not _same(asked.cookies.get(self.cookie_name, ""), self._cookie):
            return Refusal(401, "open the dashboard with the address that `python -m jobs dashboard` printed")
        if asked.kind == "file":
            return None if _same(asked.ticket, self.ticket(asked.target)) else Refusal(403, "this file was not offered")
        if not _same(asked.headers.get(KEY_HEADER, ""), self._key):
            return Refusal(401, "open the dashboard with the address that `python -m jobs dashboard` printed")
        if asked.kind == "action" and not self.operate:
            return Refusal(403, "this dashboard only shows. Start it with --operate to change something")
        return None


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())
