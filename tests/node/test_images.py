from __future__ import annotations

import asyncio

import pytest

from local.node.agent import images, patience
from local.node.agent.engine import Engine, EngineError
from local.node.agent.failures import RunFailed
from local.node.agent.images import NULL_USER, Images
from local.node.agent.tokens import Tokens
from local.node.contract import ContainerRegistry

IMAGE = "127.0.0.1:5000/worker@sha256:ab"


class FakeEngine(Engine):
    """Remembers what was pulled, and with what."""

    def __init__(self, error: EngineError | None = None) -> None:
        super().__init__()
        self.pulled: list[tuple[str, str, str]] = []
        self._error = error

    async def has_image(self, image: str) -> bool:
        return any(image == pulled for pulled, _, _ in self.pulled)

    async def pull(self, image: str, user: str = "", password: str = "") -> None:
        await asyncio.sleep(0)
        if self._error:
            raise self._error
        self.pulled.append((image, user, password))


class FakeTokens(Tokens):
    """Names what was asked for."""

    async def get(self, resource: str, client_id: str | None) -> str:
        return f"{client_id} for {resource}"


@pytest.fixture(autouse=True)
def exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refresh(host: str, token: str) -> str:
        return f"refresh of {host}: {token}"

    monkeypatch.setattr(images, "_exchange", refresh)


async def test_the_pools_registry_is_used_with_the_node_identity_through_the_exchange() -> None:
    engine = FakeEngine()
    registry = ContainerRegistry(server="https://127.0.0.1:5000", identity_client_id="client-1")
    await Images(engine, FakeTokens(""), (registry,)).ensure(IMAGE)
    password = "refresh of 127.0.0.1:5000: client-1 for https://containerregistry.azure.net"
    assert engine.pulled == [(IMAGE, NULL_USER, password)]


async def test_the_tasks_own_registry_wins_and_a_foreign_image_is_pulled_without_credentials() -> None:
    engine = FakeEngine()
    pool = ContainerRegistry(server="127.0.0.1:5000", identity_client_id="client-1")
    some = Images(engine, FakeTokens(""), (pool,))
    await some.ensure(IMAGE, ContainerRegistry(server="127.0.0.1:5000", username="u", password="p"))
    await some.ensure("docker.io/alpine")
    assert engine.pulled == [(IMAGE, "u", "p"), ("docker.io/alpine", "", "")]


async def test_tasks_that_need_the_same_image_share_one_pull() -> None:
    engine = FakeEngine()
    some = Images(engine, FakeTokens(""), ())
    await asyncio.gather(*(some.ensure(IMAGE) for _ in range(4)))
    assert len(engine.pulled) == 1


async def test_a_registry_that_is_away_for_a_while_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSES", (0.0, 0.0))
    away = EngineError(500, 'Get "https://127.0.0.1:5000/v2/": dial tcp 127.0.0.1:5000: connect: connection refused')

    class BackSoon(FakeEngine):
        async def pull(self, image: str, user: str = "", password: str = "") -> None:
            self.pulled.append(("try", user, password))
            if len(self.pulled) < 3:
                raise away

    engine = BackSoon()
    await Images(engine, FakeTokens(""), ()).ensure(IMAGE)
    assert len(engine.pulled) == 3
    with pytest.raises(RunFailed):
        await Images(FakeEngine(away), FakeTokens(""), ()).ensure(IMAGE)


async def test_a_failed_pull_is_an_invalid_image_with_the_engines_words() -> None:
    with pytest.raises(RunFailed) as caught:
        await Images(FakeEngine(EngineError(404, "manifest unknown")), FakeTokens(""), ()).ensure(IMAGE)
    assert caught.value.info.code == "ContainerInvalidImage"
    assert ("Message", "manifest unknown") in caught.value.info.details
