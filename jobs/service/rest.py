"""JSON over https with a token, for the two services that need no SDK here: the registry and Azure Resource Manager."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import requests

from ..errors import Forbidden, NotFound, ServiceError, Unreachable
from .connection import Connection
from .credentials import token_credential

SECONDS: Final = (20, 60)  # to connect, and without a byte


class Rest:
    """One host. `credential` is azure-identity's, or the local Azure's."""

    def __init__(self, connection: Connection, base: str) -> None:
        self._base = base.rstrip("/")
        self._credential = token_credential(connection)
        self._session = requests.Session()
        if connection.ca is not None:
            self._session.verify = str(connection.ca)
            self._session.trust_env = False  # a local Azure is reached by no proxy

    def token(self, scope: str) -> str:
        """An Entra token for a service."""
        from azure.core.exceptions import AzureError

        try:
            return self._credential.get_token(scope).token
        except AzureError as error:
            said = " ".join(str(error.message).split())
            raise Forbidden(f"no token could be had for {scope}: {said}", next_step="log in (az login)") from error

    def call(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        form: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> tuple[dict[str, Any], requests.Response]:
        """The answer's JSON object and the answer. Raises `ServiceError`."""
        url = path if path.startswith("https://") else f"{self._base}{path}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            answer = self._session.request(method, url, headers=headers, data=form, json=body, timeout=SECONDS)
        except requests.RequestException as error:
            raise Unreachable(f"{self._base} cannot be reached: {error}", next_step="check the network") from error
        if answer.status_code >= 400:
            raise _refusal(answer, f"{method} {url.split('?')[0]}")
        try:
            return answer.json() if answer.content else {}, answer
        except ValueError as error:
            raise ServiceError(f"{url}: the answer is not JSON: {answer.text[:80]!r}", next_step="try again") from error


def _refusal(answer: requests.Response, what: str) -> ServiceError:
    try:
        body = answer.json()
        wrong = body.get("error") or (body.get("errors") or [{}])[0]
        code, said = str(wrong.get("code") or ""), str(wrong.get("message") or "")
    except (ValueError, AttributeError, IndexError):
        code, said = "", answer.text[:80]
    kind = {401: Forbidden, 403: Forbidden, 404: NotFound}.get(answer.status_code, ServiceError)
    return kind(f"{what}: {answer.status_code} {code}: {said}", code=code)
