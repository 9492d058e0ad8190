"""The platform, top to bottom: each component takes the earlier ones. Settings in, outputs out."""

import gc

# To look for garbage among ten thousand classes, at imports and at exit, costs a tenth of each preview: this program is
# short, so it does not.
gc.disable()

import pulumi

from infra import private_endpoints
from infra.access.assignments import AccountAccess, AccountAccessArgs, NodeAccess, NodeAccessArgs
from infra.access.identities import Identities, IdentitiesArgs
from infra.access.people import PusherAccess, PusherAccessArgs, SubmitterAccess, SubmitterAccessArgs
from infra.batch_account import BatchAccount, BatchAccountArgs
from infra.deployer import get_deployer
from infra.monitoring import monitoring
from infra.naming import Names
from infra.outputs import deployed_pools, export
from infra.place import make_place
from infra.pools.pool import Pools, PoolsArgs, plan_pools
from infra.registry import Registry, RegistryArgs
from infra.settings.stack import Settings
from infra.storage import Storage, StorageArgs
from infra.worker_image.image import WorkerImage, WorkerImageArgs

# What this stack wants, where, and which pools of the last `up` stay. What is refused here changes nothing.
st = Settings.load(pulumi.Config())
deployer = get_deployer(st)
st.require_cloud(deployer.subscription_id, deployer.tenant_id)
names = Names(prefix=st.prefix, stack=pulumi.get_stack(), subscription_id=deployer.subscription_id)
plans = plan_pools(st, names, deployed_pools())

# Protected is what cannot be made again as it was: data, images, history, and identities that databases know.
kept = pulumi.ResourceOptions(protect=st.protect)
place = make_place(st.location, names, st.tags, kept)
ids_args = IdentitiesArgs(place=place, node=st.node_identity, auto_storage=st.auto_storage)
ids = Identities("identity", ids_args, kept)

# Where tasks leave their output, and what Batch itself may do there.
storage = Storage("storage", StorageArgs(place=place, families=st.families, settings=st.storage), kept)
account_access = AccountAccess("account-access", AccountAccessArgs(identities=ids, storage=storage))

# What tasks run, who pushes it, and what nodes may pull and write.
registry = Registry("registry", RegistryArgs(place=place, settings=st.registry, private=st.registry_is_private), kept)
pushers = PusherAccessArgs(pushers=st.registry.pushers, deployer=deployer, registry=registry)
pusher_access = PusherAccess("pusher-access", pushers)
image_args = WorkerImageArgs(registry=registry, access=pusher_access, settings=st.worker, tag=names.stack)
image = WorkerImage("worker", image_args)
node_access = NodeAccess("node-access", NodeAccessArgs(identities=ids, registry=registry, storage=storage))

# Where tasks run, and who may submit them.
account_args = BatchAccountArgs(
    place=place, identities=ids, storage=storage, access=account_access, network=st.network, link=st.auto_storage
)
account = BatchAccount("batch", account_args, kept)
pools_args = PoolsArgs(
    place=place, account=account, identities=ids, registry=registry, image=image, access=node_access, plans=plans
)
pools = Pools("pools", pools_args)
submitters = SubmitterAccessArgs(submitters=st.submitters, deployer=deployer, account=account, storage=storage)
SubmitterAccess("submitter-access", submitters)

# What a stack has or has not: private ways to its services, and people who are told of trouble.
private_endpoints.declare("private", st.network.private_endpoints, place, account, registry, storage)
monitoring.declare("monitoring", st.monitoring, place, account, registry, storage)

export(st, place, ids, storage, registry, image, account, pools)
gc.freeze()
