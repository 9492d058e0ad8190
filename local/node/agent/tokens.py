"""Tokens for the node's managed identities, asked of the node's own identity endpoint, as any program on it would."""

from __future__ import annotations

from aiohttp import ClientError, ClientSession, ClientTimeout

STORAGE = "https://storage.azure.com/"
REGISTRY = "https://containerregistry.azure.net"
_PATH = "/metadata/identity/oauth2/token"
_API_VERSION = "2018-02-01"
_TIMEOUT = ClientTimeout(total=90)  # longer than the forwarders' patience with a local Azure that restarts


class TokenRefused(Exception):
    """The identity endpoint gave no token; `status` is HTTP's, 0 without an answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Tokens:
    """The identity endpoint at `url`, without a slash at its end."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def get(self, resource: str, client_id: str | None) -> str:
        """An access token of the identity for a resource. Not cached: the endpoint is local."""
        query = {"api-version": _API_VERSION, "resource": resource}
        if client_id:
            query["client_id"] = client_id
        try:
            async with (
                ClientSession(timeout=_TIMEOUT) as session,
                session.get(self.url + _PATH, params=query, headers={"Metadata": "true"}) as reply,
            ):
                body = await reply.json(content_type=None) if reply.status == 200 else await reply.text()
                if not isinstance(body, dict) or "access_token" not in body:
                    raise TokenRefused(
                        reply.status, f"the identity endpoint answered {reply.status}: {str(body)[:300]}"
                    )
                return str(body["access_token"])
        except (ClientError, TimeoutError, OSError) as error:
            raise TokenRefused(0, f"the identity endpoint {self.url} does not answer: {error}") from error
