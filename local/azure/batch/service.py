"""The Batch service: the accounts of the local Azure, and the ARM hooks by which they and their pools come and go.

Owns the assembly only: `accounts.py` runs the accounts, the hooks translate what ARM says.
"""

from __future__ import annotations

from local.azure.batch.account.account import Account
from local.azure.batch.account.node_storage import APPLICATION_TYPE, PACKAGE_TYPE
from local.azure.batch.accounts import ACCOUNT_TYPE, Accounts
from local.azure.batch.hooks import documents
from local.azure.batch.hooks.account import AccountHooks
from local.azure.batch.hooks.applications import ApplicationHooks, PackageHooks
from local.azure.batch.hooks.pool import PoolHooks
from local.azure.control_plane.cloud import Cloud
from local.node.contract import Executor, Identity

POOL_TYPE = "Microsoft.Batch/batchAccounts/pools"


class BatchService:
    """Batch as one of the local Azure's services."""

    name = "batch"

    def __init__(self, cloud: Cloud, executor: Executor) -> None:
        self.accounts = Accounts(cloud, executor)
        cloud.types.register(ACCOUNT_TYPE, AccountHooks(self.accounts))
        cloud.types.register(POOL_TYPE, PoolHooks(self.accounts))
        cloud.types.register(APPLICATION_TYPE, ApplicationHooks(cloud))
        cloud.types.register(PACKAGE_TYPE, PackageHooks(cloud))
        documents.publish(cloud.types)

    async def start(self) -> None:
        """Open the executor, go on with what was begun, then answer."""
        await self.accounts.start()

    async def stop(self) -> None:
        """Close the ports, then the executor; nodes and state stay."""
        await self.accounts.stop()

    def account(self, name: str) -> Account | None:
        """The running account."""
        return self.accounts.account(name)

    def node_identities(self, node_id: str) -> tuple[Identity, ...]:
        """The identities the node may speak as: its pool's. Empty for a node that is not known."""
        return self.accounts.node_identities(node_id)
