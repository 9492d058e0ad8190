"""The Batch pools: which VMs run tasks, how many, what they do at boot and which identity they carry.

Batch changes little of a pool that has nodes, and what it does change reaches new nodes only (see "Pool changes" in
docs/azure-facts.md). So the properties in `FIXED` are part of the pool's name, as a hash: another machine, image or
user is another pool, a new *generation*, made beside the old one. Which generations stand side by side is in
`generations.py`.

`properties.py` writes them twice, from the same lines: with plain stand-ins for what other resources will be
called (`plan_pools`: the hash is known before anything is made, in every preview), and with their outputs (`Pools`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import batch

from infra import naming
from infra.access.assignments import NodeAccess
from infra.access.identities import Identities
from infra.batch_account import BatchAccount
from infra.naming import TYPE_PREFIX, Names
from infra.place import Place
from infra.pools import generations, scaling
from infra.pools.generations import Deployed
from infra.pools.properties import FIXED, References, fixed_properties, plain
from infra.registry import Registry
from infra.settings.network import NetworkSettings
from infra.settings.pools import PoolSettings
from infra.settings.problems import SettingsError
from infra.settings.stack import Account, Settings
from infra.worker_image import image
from infra.worker_image.image import WorkerImage


@dataclass(frozen=True, kw_only=True)
class PoolPlan:
    """One pool before anything is made: its settings, the hash of its present generation, those that stay beside it."""

    settings: PoolSettings
    generation: str
    kept: tuple[str, ...]
    made_of: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class PoolPlans:
    """All pools of a stack before anything is made, and what they have in common."""

    accounts: Sequence[Account]
    network: NetworkSettings
    pools: Mapping[str, PoolPlan]


def plan_pools(settings: Settings, names: Names, deployed: Mapping[str, Deployed]) -> PoolPlans:
    """The generations of each pool. Warns of what the next `up` makes and deletes.

    Raises SettingsError if it would delete a pool that takes jobs, or keep one that does not exist.
    """
    stand_ins = References(
        node_identity=(settings.node_identity.id if settings.node_identity else names.identity("node")).lower(),
        registry_server=(settings.registry.id or names.registry).lower(),
        # Only a pool that fetches the image at boot has it in its hash.
        worker_image=image.stand_in(settings.worker) if any(map(_prefetches, settings.pools.values())) else "",
        passwords=password_fingerprints(settings),
    )
    plans, problems, warnings = {}, [], generations.pools_that_go(list(settings.pools), deployed)
    for name, pool in settings.pools.items():
        fixed = plain(fixed_properties(pool, settings.network, settings.accounts, stand_ins))
        current, made_of = naming.generation(fixed), generations.made_of(fixed)
        verdict = generations.judge(
            name, current, made_of, pool.keep, pool.discard, deployed.get(name), stack=names.stack
        )
        problems += verdict.problems
        warnings += verdict.warnings
        kept = generations.kept(current, pool.keep, deployed.get(name))
        plans[name] = PoolPlan(settings=pool, generation=current, kept=kept, made_of=made_of)
    if problems:
        raise SettingsError(f"Pulumi.{pulumi.get_stack()}.yaml", problems)
    for warning in warnings:
        pulumi.log.warn(warning)
    return PoolPlans(accounts=settings.accounts, network=settings.network, pools=plans)


def password_fingerprints(settings: Settings) -> dict[str, str]:
    """By account name, what stands for its password in a pool's hash. Computing one is slow, and done once."""
    salt = f"{pulumi.get_project()}/{pulumi.get_stack()}"
    return {one.name: naming.fingerprint(one.password.get_secret_value(), salt) for one in settings.accounts}


@dataclass(frozen=True, kw_only=True)
class PoolsArgs:
    """What pools are made of."""

    place: Place
    account: BatchAccount
    identities: Identities
    registry: Registry
    image: WorkerImage
    """Pushed before a pool is made. It is in the pool only if the settings say that nodes prefetch it."""
    access: NodeAccess
    """The node identity's rights: a node that cannot pull at boot becomes unusable, and Batch does not try again."""
    plans: PoolPlans


class Pools(pulumi.ComponentResource):
    """All pools of a stack: of each its present generation, and the earlier ones that its settings keep."""

    plans: Mapping[str, PoolPlan]
    ids: Mapping[str, pulumi.Output[str]]
    """Pool -> the id of its present generation in the Batch account."""

    def __init__(self, name: str, args: PoolsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{TYPE_PREFIX}:Pools", name, {}, opts)
        references = References(
            node_identity=args.identities.node.id,
            registry_server=args.registry.server,
            worker_image=args.image.reference,
            passwords={one.name: pulumi.Output.secret(one.password.get_secret_value()) for one in args.plans.accounts},
        )
        self.plans = args.plans.pools
        self.ids = {}
        for pool, planned in args.plans.pools.items():
            fixed = fixed_properties(planned.settings, args.plans.network, args.plans.accounts, references)
            self.ids[pool] = batch.Pool(
                naming.pool(pool, planned.generation),
                resource_group_name=args.place.group.name,
                account_name=args.account.name,
                pool_name=naming.pool(pool, planned.generation),
                **{_snake(key): value for key, value in fixed.items()},
                scale_settings=_scale(planned.settings),
                opts=pulumi.ResourceOptions(
                    parent=self,
                    depends_on=[args.image, args.access],
                    # All that makes a generation is in its hash. What differs under the same hash is no change (a
                    # default of a newer SDK, an image that was built again from the same files), and Batch would
                    # refuse it.
                    ignore_changes=sorted(FIXED),
                ),
            ).name
            for generation in planned.kept:
                batch.Pool(
                    naming.pool(pool, generation),
                    resource_group_name=args.place.group.name,
                    account_name=args.account.name,
                    pool_name=naming.pool(pool, generation),
                    # The inputs of its own time are in the stack's state, and stay.
                    opts=pulumi.ResourceOptions(parent=self, ignore_changes=["*"]),
                )
        self.register_outputs({"ids": self.ids})


def _scale(settings: PoolSettings) -> batch.ScaleSettingsArgs:
    """A fixed size or a formula; either is changed in place, and running tasks finish."""
    size = scaling.scale_of(settings.scale, settings.task_slots_per_node)
    if isinstance(size, scaling.AutoScale):
        return batch.ScaleSettingsArgs(
            auto_scale=batch.AutoScaleSettingsArgs(
                formula=size.formula, evaluation_interval=scaling.EVALUATION_INTERVAL
            )
        )
    return batch.ScaleSettingsArgs(
        fixed_scale=batch.FixedScaleSettingsArgs(
            target_dedicated_nodes=size.dedicated_nodes,
            target_low_priority_nodes=size.spot_nodes,
            resize_timeout=scaling.RESIZE_TIMEOUT,
            node_deallocation_option=batch.ComputeNodeDeallocationOption.TASK_COMPLETION,
        )
    )


def _prefetches(settings: PoolSettings) -> bool:
    return settings.prefetch_worker_image


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
