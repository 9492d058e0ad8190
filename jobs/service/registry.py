"""The stack's container registry through ACR's own API: repositories, tags, digests and times.

Tokens as https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md has it: an Entra token is exchanged for a refresh
token, and that for an access token for each scope. Listing: data plane REST 2021-07-01, paged by `last` and `n`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..errors import Forbidden, UsageError
from .connection import Connection
from .rest import Rest

SCOPE: Final = "https://containerregistry.azure.net/.default"
PAGE: Final = 100
DOCKER_USER: Final = "00000000-0000-0000-0000-000000000000"  # whose password is a refresh token


@dataclass(frozen=True)
class Manifest:
    """An image: `tags` may be none."""

    repository: str
    digest: str
    tags: tuple[str, ...]
    created: datetime | None
    size: int


class Registry:
    """What is in one registry."""

    def __init__(self, connection: Connection) -> None:
        if connection.outputs is None or not connection.outputs.registry_server:
            raise UsageError("the stack's outputs name no registry_server", next_step="use --stack, and run up")
        self.server = connection.outputs.registry_server
        self._rest = Rest(connection, f"https://{self.server}")
        self._refresh = ""

    def repositories(self) -> Iterator[str]:
        for page in self._pages("/acr/v1/_catalog", "registry:catalog:*"):
            yield from page.get("repositories") or ()

    def manifests(self, repository: str) -> Iterator[Manifest]:
        for page in self._pages(f"/acr/v1/{repository}/_manifests", f"repository:{repository}:metadata_read"):
            for one in page.get("manifests") or ():
                created = one.get("createdTime")
                yield Manifest(
                    repository,
                    one["digest"],
                    tuple(one.get("tags") or ()),
                    datetime.fromisoformat(created) if created else None,
                    int(one.get("imageSize") or 0),
                )

    def _pages(self, path: str, scope: str) -> Iterator[dict[str, Any]]:
        token = self._access(scope)
        following = f"{path}?n={PAGE}"
        while following:
            body, answer = self._rest.call("GET", following, token=token)
            yield body
            following = answer.links.get("next", {}).get("url", "")

    def refresh_token(self) -> str:
        """What docker logs in with, as the user `DOCKER_USER`; good for three hours [ACR's AAD-OAuth page]."""
        try:
            if not self._refresh:
                entra = self._rest.token(SCOPE)
                form = {"grant_type": "access_token", "service": self.server, "access_token": entra}
                self._refresh = self._rest.call("POST", "/oauth2/exchange", form=form)[0]["refresh_token"]
            return self._refresh
        except Forbidden as error:
            raise self._refused(error, "AcrPull") from error

    def _access(self, scope: str) -> str:
        form = {
            "grant_type": "refresh_token",
            "service": self.server,
            "scope": scope,
            "refresh_token": self.refresh_token(),
        }
        try:
            return self._rest.call("POST", "/oauth2/token", form=form)[0]["access_token"]
        except Forbidden as error:
            raise self._refused(error, "AcrPull") from error

    def _refused(self, error: Forbidden, role: str) -> Forbidden:
        return Forbidden(
            f"registry {self.server} refused you: {error.fact}",
            cause=f"you need {role} on it, and submitters do not have it",
            next_step="have the role assigned to you",
        )
