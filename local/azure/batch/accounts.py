"""The running Batch accounts: each with its port, all on one executor.

Owns starting, adding, removing and stopping them; the ARM hooks say when, `service.py` joins the two.
"""

from __future__ import annotations

from local.azure.batch.account.account import Account
from local.azure.batch.data_plane.server import AccountServer
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.resources import Resource
from local.azure.platform.sites import Site
from local.node.contract import Executor, Identity, NodeEvent

ACCOUNT_TYPE = "Microsoft.Batch/batchAccounts"


class Accounts:
    """All Batch accounts of the local Azure."""

    def __init__(self, cloud: Cloud, executor: Executor) -> None:
        self.cloud = cloud
        self.executor = executor
        self._accounts: dict[str, Account] = {}
        self._sites: dict[str, Site] = {}

    async def start(self) -> None:
        """Open the executor, go on with what was begun, then answer."""
        resources = self.cloud.resources.list(ACCOUNT_TYPE)
        for resource in resources:
            self._accounts[resource.name.lower()] = Account(self.cloud, self.executor, resource)
        await self.executor.open(self._on_event)
        for account in self._accounts.values():
            account.resume()
        for account in self._accounts.values():
            await self._open(account)

    async def stop(self) -> None:
        """Close the ports, then the executor; nodes and state stay."""
        for site in self._sites.values():
            await site.stop()
        self._sites.clear()
        for account in self._accounts.values():
            await account.close()
        self._accounts.clear()
        await self.executor.close()

    def account(self, name: str) -> Account | None:
        """The running account."""
        return self._accounts.get(name.lower())

    def all(self) -> list[Account]:
        """Every running account."""
        return list(self._accounts.values())

    async def add(self, resource: Resource) -> Account:
        """Run an account (again: the one that runs)."""
        account = self.account(resource.name)
        if account is None:
            account = self._accounts[resource.name.lower()] = Account(self.cloud, self.executor, resource)
            await self._open(account)
        return account

    async def remove(self, name: str) -> None:
        """Remove an account with its pools, jobs, nodes and keys."""
        account = self.account(name)
        if account is None:
            return
        for gone in [account.scheduling.delete_pool(pool) for pool in list(account.state.pools.values())]:
            await gone.wait()
        site = self._sites.pop(name.lower(), None)
        if site is not None:
            await site.stop()
        await account.close()
        del self._accounts[name.lower()]
        account.erase()

    def node_identities(self, node_id: str) -> tuple[Identity, ...]:
        """The identities the node may speak as: its pool's. Empty for a node that is not known."""
        for account in self._accounts.values():
            node = account.state.nodes.get(node_id)
            pool = None if node is None else account.state.pools.get(node.pool_id.lower())
            if pool is not None:
                return account.specs.identities(pool)
        return ()

    async def _open(self, account: Account) -> None:
        site = Site(AccountServer(account).app(), f"batch/{account.name}", account.port, self.cloud.paths)
        await site.start()
        self._sites[account.name.lower()] = site

    def _on_event(self, event: NodeEvent) -> None:
        for account in self._accounts.values():
            if event.node_id in account.state.nodes:
                account.loop.post(event)
                return
