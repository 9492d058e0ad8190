"""What a subscription says of itself: providers, names, VM sizes, quotas. Asked of ARM with Reader's rights."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ..errors import Forbidden, NotFound
from ..service.rest import Rest
from .finding import BAD, GOOD, WARNING, Finding, support_ends
from .plan import Plan, PlannedName, PlannedPool

SCOPE: Final = "https://management.azure.com/.default"
RESOURCES_API: Final = "2021-04-01"
# One REST version for each provider that is asked for names.
APIS: Final[Mapping[str, str]] = {
    "Microsoft.Batch": "2024-07-01",
    "Microsoft.ContainerRegistry": "2023-07-01",
    "Microsoft.Network": "2024-05-01",
    "Microsoft.Storage": "2024-01-01",
}
_NODE_IMAGES: Final = "V2"
"""The platform's node images (microsoft-dsvm/ubuntu-hpc) are of generation 2."""


DOCKER_NETWORK: Final = ipaddress.IPv4Network("172.17.0.0/16")
"""Docker's own bridge on every node (infra/settings/network.py; a test compares)."""
RESERVED_ADDRESSES: Final = 5
"""Of each subnet, by Azure."""
_COUNTS: Final = {
    "dedicated": ("targetDedicatedNodes", "currentDedicatedNodes"),
    "spot": ("targetLowPriorityNodes", "currentLowPriorityNodes"),
}


@dataclass(frozen=True)
class CoreLimit:
    """A quota of a Batch account: on cores of a kind (dedicated, spot), of one VM family or of all (`family` empty)."""

    kind: str
    family: str
    cores: int


class Subscription:
    """One subscription, by its management API."""

    def __init__(self, rest: Rest, subscription_id: str, now: datetime) -> None:
        self._rest = rest
        self._now = now
        self._offered: dict[str, Mapping[str, Mapping[str, Any]]] = {}
        self._path = f"/subscriptions/{subscription_id}"
        self._id = subscription_id

    def providers(self, namespaces: Iterable[str]) -> Iterator[Finding]:
        """Whether each provider is registered; azure-native does not do it."""
        missing = []
        for namespace in namespaces:
            state = self._get(f"/providers/{namespace}", RESOURCES_API).get("registrationState")
            if state != "Registered":
                missing.append(namespace)
                yield Finding(
                    "providers",
                    BAD,
                    f"{namespace} is {state} in subscription {self._id}: nothing of it can be made",
                    f"az provider register --namespace {namespace} --wait --subscription {self._id}",
                )
        if not missing:
            yield Finding("providers", GOOD, f"all are registered: {', '.join(namespaces)}")

    def names(self, plan: Plan) -> Iterator[Finding]:
        """Whether the names that are to be made are free."""
        if plan.group is not None and self._exists(plan.group):
            what = f"resource group {plan.group} exists already, and is not this stack's"
            yield Finding("names", BAD, what, _take_over("azure-native:resources:ResourceGroup group"))
        for planned in plan.names:
            yield self._name(planned, plan.location)

    def _name(self, planned: PlannedName, location: str) -> Finding:
        namespace = planned.type.split("/")[0]
        place = f"/locations/{location}" if namespace == "Microsoft.Batch" else ""
        path = f"/providers/{namespace}{place}/checkNameAvailability"
        answer = self._call("POST", path, APIS[namespace], {"name": planned.name, "type": planned.type})
        if answer.get("nameAvailable"):
            return Finding("names", GOOD, f"{planned.name} is free ({planned.type})")
        what = f"{planned.name} ({planned.type}) cannot be had: {answer.get('message') or answer.get('reason')}"
        return Finding("names", BAD, what, "Write another `prefix` into the stack file; every name begins with it")

    def sizes(self, sizes: Sequence[str], location: str) -> Iterator[Finding]:
        """Whether Batch has these VM sizes in the region, until when, and whether they boot the platform's images."""
        offered = self._sizes(location)
        fix = f"Take another vm_size: az batch location list-skus --location {location}"
        for size in dict.fromkeys(sizes):
            found = offered.get(size.casefold())
            if found is None:
                what = f"Batch offers no {size} in {location}: it is retired, misspelt, or not of this region"
                yield Finding("sizes", BAD, what, fix)
                continue
            generations = _abilities(found).get("HyperVGenerations")
            if generations is not None and _NODE_IMAGES not in generations:
                what = f"{size} boots images of generation 1 only, and the platform's node images are of generation 2"
                yield Finding("sizes", BAD, what, fix)
            elif end := found.get("batchSupportEndOfLife"):
                yield support_ends("sizes", size, datetime.fromisoformat(str(end)), self._now, fix)
            else:
                yield Finding("sizes", GOOD, f"{size}: no end of its support is known")

    def accounts(self, location: str) -> Iterator[Finding]:
        """Whether another Batch account may be made in the region."""
        path = f"/providers/Microsoft.Batch/locations/{location}/quotas"
        most = self._get(path, APIS["Microsoft.Batch"]).get("accountQuota")
        every = self._pages("/providers/Microsoft.Batch/batchAccounts", APIS["Microsoft.Batch"])
        here = [one for one in every if str(one.get("location")).casefold() == location.casefold()]
        what = f"{len(here)} of {most} Batch accounts are in {location}"
        if most is not None and len(here) >= int(most):
            yield Finding("quotas", BAD, what, "Ask for more accounts (portal: Quotas), or delete one that nobody uses")
        else:
            yield Finding("quotas", GOOD, what)

    def cores(self, plan: Plan) -> Iterator[Finding]:
        """Whether the account's cores are enough for the pools that exist and those that `up` makes beside them."""
        if not plan.pools:
            return
        unbounded = [pool.id for pool in plan.pools if pool.dedicated is None or pool.spot is None]
        if unbounded:
            what = f"how many nodes {', '.join(unbounded)} may ask for cannot be read from the formula; not counted"
            yield Finding("quotas", WARNING, what, "Compare the formula with the account's quotas (portal: Quotas)")
        if plan.account_id is None:
            yield self._cores_of_a_new_account(plan)
            return
        account = self._get_id(plan.account_id, "Microsoft.Batch")["properties"]
        existing = [_existing_pool(one) for one in self._pages_of(f"{plan.account_id}/pools", APIS["Microsoft.Batch"])]
        most = account.get("poolQuota")
        if most is not None and len(existing) + len(plan.pools) > int(most):
            what = f"{len(plan.pools)} pools would be made beside {len(existing)}; the account may have {most}"
            yield Finding("quotas", BAD, what, "Delete pools that no stack has, or ask for more (portal: Quotas)")
        for limit in _core_limits(account):
            coming = self._count(plan.pools, limit, plan.location)
            if not coming:
                continue
            present = self._count(existing, limit, plan.location)
            label = f"{limit.kind} cores" + (f" of {limit.family}" if limit.family else "")
            what = f"{present} {label} are in use, up would ask for {coming} more, and the quota is {limit.cores}"
            if present + coming > limit.cores:
                fix = (
                    "Ask for more (portal: the account, Quotas), lower `scale`, or drain and resize the old pool first"
                )
                yield Finding("quotas", BAD, what, fix)
            else:
                yield Finding("quotas", GOOD, what)

    def _cores_of_a_new_account(self, plan: Plan) -> Finding:
        """Azure gives each account quotas of its own, which nothing tells before the account is there."""
        cores_by_kind = [
            f"{cores} {kind}"
            for kind in _COUNTS
            if (cores := self._count(plan.pools, CoreLimit(kind, "", 0), plan.location))
        ]
        cores = " and ".join(cores_by_kind) or "no"
        what = f"the pools ask for {cores} cores. What a new Batch account may have is not known before it exists"
        fix = (
            "After the first up: python -m jobs doctor. Without quota the pools stay empty; ask for it (portal: Quotas)"
        )
        return Finding("quotas", WARNING, what, fix) if cores_by_kind else Finding("quotas", GOOD, what)

    def _count(self, pools: Iterable[PlannedPool], limit: CoreLimit, location: str) -> int:
        """The cores that pools ask for, of the limit's kind and family. A size that Batch does not offer has none."""
        total = 0
        for pool in pools:
            size = self._sizes(location).get(pool.vm_size.casefold(), {})
            family = str(size.get("familyName") or "")
            if limit.family and family.casefold() != limit.family.casefold():
                continue
            nodes = pool.dedicated if limit.kind == "dedicated" else pool.spot
            total += (nodes or 0) * int(_abilities(size).get("vCPUs") or 0)
        return total

    def subnets(self, plan: Plan) -> Iterator[Finding]:
        """Whether the subnets of the pools exist, hold all nodes, and do not have the addresses of Docker's bridge."""
        nodes: Counter[str] = Counter()
        for pool in plan.all_pools:
            if pool.subnet_id:
                nodes[pool.subnet_id] += (pool.dedicated or 0) + (pool.spot or 0)
        for subnet_id, asked in nodes.items():
            try:
                properties = self._get_id(subnet_id, "Microsoft.Network")["properties"]
            except NotFound:
                yield Finding("subnets", BAD, f"there is no subnet {subnet_id}", "Correct network.subnet_id")
                continue
            prefixes = properties.get("addressPrefixes") or [properties.get("addressPrefix")]
            ranges = [ipaddress.ip_network(str(prefix), strict=False) for prefix in prefixes if prefix]
            clash = [one for one in ranges if isinstance(one, ipaddress.IPv4Network) and one.overlaps(DOCKER_NETWORK)]
            room = sum(max(0, one.num_addresses - RESERVED_ADDRESSES) for one in ranges if one.version == 4)
            name = subnet_id.rpartition("/")[2]
            if clash:
                what = f"subnet {name} has {clash[0]}, and Docker uses {DOCKER_NETWORK} on every node: no container"
                yield Finding("subnets", BAD, f"{what} could reach the subnet", "Take another subnet")
            elif asked > room:
                what = f"subnet {name} has room for {room} nodes, and all pools together ask for {asked}"
                yield Finding("subnets", BAD, what, "Take a larger subnet, or lower `scale`")
            else:
                yield Finding("subnets", GOOD, f"subnet {name} has room for {room} nodes; {asked} are asked for")

    def _sizes(self, location: str) -> Mapping[str, Mapping[str, Any]]:
        """The VM sizes that Batch offers in a region, by name in lower case. Asked once."""
        if location not in self._offered:
            path = f"/providers/Microsoft.Batch/locations/{location}/virtualMachineSkus"
            self._offered[location] = {
                str(size["name"]).casefold(): size for size in self._pages(path, APIS["Microsoft.Batch"])
            }
        return self._offered[location]

    def _exists(self, group: str) -> bool:
        try:
            self._get(f"/resourceGroups/{group}", RESOURCES_API)
        except NotFound:
            return False
        return True

    def _pages(self, path: str, version: str) -> Iterator[Mapping[str, Any]]:
        return self._pages_of(f"{self._path}{path}", version)

    def _pages_of(self, path: str, version: str) -> Iterator[Mapping[str, Any]]:
        answer = self._rest.call("GET", f"{path}?api-version={version}", token=self._rest.token(SCOPE))[0]
        yield from answer.get("value") or ()
        while following := answer.get("nextLink"):
            answer = self._rest.call("GET", str(following), token=self._rest.token(SCOPE))[0]
            yield from answer.get("value") or ()

    def _get(self, path: str, version: str) -> dict[str, Any]:
        return self._call("GET", path, version)

    def _get_id(self, resource_id: str, provider: str) -> dict[str, Any]:
        """A resource by its id, which may be in another subscription."""
        path = f"{resource_id}?api-version={APIS[provider]}"
        return self._rest.call("GET", path, token=self._rest.token(SCOPE))[0]

    def _call(self, method: str, path: str, version: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        url = f"{self._path}{path}?api-version={version}"
        return self._rest.call(method, url, token=self._rest.token(SCOPE), body=body)[0]


def before_up(subscription: Subscription, plan: Plan) -> Iterator[Finding]:
    """Every check that comes before an `up`; one that may not be asked is reported, and the others go on."""
    for name, check in (
        ("providers", lambda: subscription.providers(plan.providers)),
        ("names", lambda: subscription.names(plan)),
        ("sizes", lambda: subscription.sizes([pool.vm_size for pool in plan.pools], plan.location)),
        ("quotas", lambda: subscription.accounts(plan.location) if plan.account_id is None else ()),
        ("quotas", lambda: subscription.cores(plan)),
        ("subnets", lambda: subscription.subnets(plan)),
    ):
        try:
            yield from check()
        except Forbidden as error:
            where = "network" if name == "subnets" else "subscription"
            yield Finding(name, WARNING, error.fact, f"Reader on the {where} shows it")


def _take_over(resource: str) -> str:
    return f"`pulumi import {resource} ID` takes it over (docs/coming-from-the-portal.md); or write another `prefix`"


def _abilities(size: Mapping[str, Any]) -> dict[str, str]:
    return {str(one["name"]): str(one["value"]) for one in size.get("capabilities") or ()}


def _core_limits(account: Mapping[str, Any]) -> list[CoreLimit]:
    """The quotas on cores of an account. Where families have their own, both theirs and the sum of all count
    (learn.microsoft.com/rest/api/batchmanagement/batch-account/get, `dedicatedCoreQuotaPerVMFamilyEnforced`)."""
    totals = (("dedicated", account.get("dedicatedCoreQuota")), ("spot", account.get("lowPriorityCoreQuota")))
    limits = [CoreLimit(kind, "", int(cores)) for kind, cores in totals if cores is not None]
    if account.get("dedicatedCoreQuotaPerVMFamilyEnforced"):
        families = account.get("dedicatedCoreQuotaPerVMFamily") or ()
        limits += [CoreLimit("dedicated", str(one["name"]), int(one["coreQuota"])) for one in families]
    return limits


def _existing_pool(pool: Mapping[str, Any]) -> PlannedPool:
    """A pool that is there, with the nodes that it has or has been asked for, whichever are more."""
    properties = pool.get("properties") or {}
    fixed = (properties.get("scaleSettings") or {}).get("fixedScale") or {}
    nodes = {
        kind: max(int(fixed.get(target) or 0), int(properties.get(current) or 0))
        for kind, (target, current) in _COUNTS.items()
    }
    return PlannedPool(str(pool.get("name")), str(properties.get("vmSize") or ""), nodes["dedicated"], nodes["spot"])
