"""The one place where the agent's parts are put together."""

from __future__ import annotations

import asyncio

from aiohttp import web

from local.node.agent.accounts import Accounts, OwnAccount, SystemAccounts
from local.node.agent.api import Api, serve
from local.node.agent.config import AgentConfig
from local.node.agent.engine import Engine
from local.node.agent.files import Files
from local.node.agent.forwarders import Forwarders
from local.node.agent.images import Images
from local.node.agent.journal import Journal
from local.node.agent.mounts import Mounts
from local.node.agent.node import Node
from local.node.agent.packages import Packages
from local.node.agent.runs import Runs
from local.node.agent.tokens import Tokens
from local.node.agent.transfer import Transfer


class Agent:
    """A node agent: opened once, closed once."""

    def __init__(self, config: AgentConfig, engine: Engine | None = None) -> None:
        self._config = config
        self.engine = engine or Engine()
        self.forwarders = Forwarders(config.host_socket)
        self._runner: web.AppRunner | None = None
        self._booting: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen, then boot in the background: the boot's progress is in the events."""
        config = self._config
        config.root_path.mkdir(parents=True, exist_ok=True)
        accounts: Accounts = SystemAccounts() if config.isolated else OwnAccount()
        self._journal = Journal(config.journal)
        await self.forwarders.open(config)
        tokens = Tokens(self.forwarders.imds_url)
        images = Images(self.engine, tokens, config.node.container_registries)
        transfer = Transfer(tokens)
        packages = Packages(config, transfer)
        runs = Runs(config, self._journal, accounts, self.engine, images, packages, transfer)
        self.node = Node(config, self._journal, accounts, self.engine, images, packages, Mounts(config), runs)
        api = Api(runs, self._journal, Files(config.root_path), accounts)
        self._booting = asyncio.create_task(self.node.boot())
        self._runner = await serve(api.application(), config.agent_socket)

    async def close(self) -> None:
        """Stop the runs, then everything else."""
        await self.node.stop()
        if self._booting:  # it may be waiting for an engine or an image
            await asyncio.wait({self._booting}, timeout=self._config.grace_seconds)
            self._booting.cancel()
        self._journal.close()  # which ends the event streams, that the server's end waits for
        if self._runner:
            await self._runner.cleanup()
        await self.forwarders.close()
