"""Pulling images: with the node's managed identity through the registry's exchange, with a password, or anonymously.

An image that is on the node is not pulled again ([guess] for tags; for digests there is nothing else to do). Azure's
flow is an Entra token, `/oauth2/exchange`, then the refresh token as the null user's password
(learn.microsoft.com/azure/container-registry/container-registry-authentication).
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

from aiohttp import ClientError, ClientSession, ClientTimeout

from local.node.agent import failures
from local.node.agent.engine import Engine, EngineError
from local.node.agent.patience import may_pass, patiently
from local.node.agent.tokens import REGISTRY, TokenRefused, Tokens
from local.node.contract import ContainerRegistry

NULL_USER = "00000000-0000-0000-0000-000000000000"
_TIMEOUT = ClientTimeout(total=90)
_PASSING = (
    "EOF", "connection refused", "connection reset", "i/o timeout", "TLS handshake timeout",
    "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Time",
)  # fmt: skip
"""What the engine says of a registry that is away. It answers 500 whatever the reason, so its words must do."""


class Images:
    """The images of a node. `registries` are the pool's: they serve every task that names none of its own."""

    def __init__(self, engine: Engine, tokens: Tokens, registries: tuple[ContainerRegistry, ...]) -> None:
        self._engine = engine
        self._tokens = tokens
        self._registries = registries
        self._pulling: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ensure(self, image: str, registry: ContainerRegistry | None = None) -> None:
        """Have the image on the node, or raise RunFailed with ContainerInvalidImage."""
        async with self._pulling[image]:  # tasks that need the same image wait for one pull
            try:
                if not await self._engine.has_image(image):
                    await patiently(lambda: self._pull(image, registry or self._registry_of(image)), _passes)
            except (EngineError, TokenRefused) as error:
                raise failures.RunFailed(failures.invalid_image(image, str(error))) from error

    async def _pull(self, image: str, registry: ContainerRegistry | None) -> None:
        user, password = await self._credentials(registry)
        await self._engine.pull(image, user, password)

    def _registry_of(self, image: str) -> ContainerRegistry | None:
        host = image.split("/")[0]
        return next((registry for registry in self._registries if _host(registry.server) == host), None)

    async def _credentials(self, registry: ContainerRegistry | None) -> tuple[str, str]:
        if registry is None:
            return "", ""
        if registry.username:
            return registry.username, registry.password or ""
        if registry.identity_client_id is None:
            return "", ""
        token = await self._tokens.get(REGISTRY, registry.identity_client_id)
        return NULL_USER, await _exchange(_host(registry.server), token)


def _passes(error: Exception) -> bool:
    if isinstance(error, EngineError):
        return any(words in str(error) for words in _PASSING)
    return may_pass(error)


def _host(server: str) -> str:
    return server.removeprefix("https://").removeprefix("http://").rstrip("/")


async def _exchange(host: str, token: str) -> str:
    form = {"grant_type": "access_token", "service": host, "access_token": token}
    try:
        async with (
            ClientSession(timeout=_TIMEOUT) as session,
            session.post(f"https://{host}/oauth2/exchange", data=form) as reply,
        ):
            if reply.status != 200:
                raise TokenRefused(
                    reply.status, f"{host} refused the identity: {reply.status} {(await reply.text())[:300]}"
                )
            return str((await reply.json(content_type=None))["refresh_token"])
    except (ClientError, TimeoutError, OSError) as error:
        raise TokenRefused(0, f"registry {host} does not answer: {error}") from error
