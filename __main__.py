"""The platform, top to bottom: each component takes the earlier ones. Settings in, outputs out."""

import pulumi
from pulumi_azure_native import authorization, resources

from infra.access import AccountAccess, AccountAccessArgs, NodeAccess, NodeAccessArgs
from infra.batch_account import BatchAccount, BatchAccountArgs
from infra.identity import Identities, IdentitiesArgs
from infra.image import WorkerImage, WorkerImageArgs
from infra.naming import Names
from infra.outputs import export
from infra.pool import Pool, PoolArgs
from infra.registry import Registry, RegistryArgs
from infra.settings import Settings
from infra.storage import Storage, StorageArgs
from infra.submitters import SubmitterAccess, SubmitterAccessArgs

settings = Settings.load(pulumi.Config())
deployer = authorization.get_client_config()
settings.require_cloud(deployer.subscription_id, deployer.tenant_id)
names = Names(prefix=settings.prefix, stack=pulumi.get_stack(), subscription_id=deployer.subscription_id)

# For what cannot be made again as it was: data, images, history, and identities that databases know.
kept = pulumi.ResourceOptions(protect=settings.protect)

group = resources.ResourceGroup(
    "group", resource_group_name=names.resource_group, location=settings.location, tags=settings.tags, opts=kept
)
identities = Identities("identity", IdentitiesArgs(group=group, names=names, tags=settings.tags), kept)

# Where tasks leave their output, and what Batch itself may do there.
storage = Storage(
    "storage",
    StorageArgs(group=group, names=names, tags=settings.tags, families=settings.families, settings=settings.storage),
    kept,
)
account_access = AccountAccess("account-access", AccountAccessArgs(identities=identities, storage=storage))

# What tasks run, and what nodes may pull and write.
registry = Registry("registry", RegistryArgs(group=group, names=names, tags=settings.tags), kept)
image = WorkerImage("worker", WorkerImageArgs(registry=registry, settings=settings.worker, tag=names.stack))
node_access = NodeAccess("node-access", NodeAccessArgs(identities=identities, registry=registry, storage=storage))

# Where tasks run, and who may submit them.
account = BatchAccount(
    "batch",
    BatchAccountArgs(
        group=group, names=names, tags=settings.tags, identities=identities, storage=storage, access=account_access
    ),
    kept,
)
pool = Pool(
    "pool",
    PoolArgs(
        group=group,
        account=account,
        identities=identities,
        registry=registry,
        image=image,
        access=node_access,
        users=settings.users,
        settings=settings.pool,
    ),
)
submitters = settings.submitters_or(deployer.object_id)
SubmitterAccess("submitter-access", SubmitterAccessArgs(submitters=submitters, account=account, storage=storage))

export(settings, group, identities, storage, registry, image, account, pool)
