"""What a subscription says of itself: providers, names, VM sizes, quotas. Asked of ARM with Reader's rights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ..errors import Forbidden, NotFound
from ..service.rest import Rest
from .finding import BAD, GOOD, WARNING, Finding, support_ends
from .plan import Plan, PlannedName

SCOPE: Final = "https://management.azure.com/.default"
RESOURCES_API: Final = "2021-04-01"
# One REST version for each provider that is asked for names.
APIS: Final[Mapping[str, str]] = {
    "Microsoft.Batch": "2024-07-01",
    "Microsoft.ContainerRegistry": "2023-07-01",
    "Microsoft.Storage": "2024-01-01",
}
_NODE_IMAGES: Final = "V2"
"""The platform's node images (microsoft-dsvm/ubuntu-hpc) are of generation 2."""


class Subscription:
    """One subscription, by its management API."""

    def __init__(self, rest: Rest, subscription_id: str, now: datetime) -> None:
        self._rest = rest
        self._now = now
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
        for wanted in plan.names:
            yield self._name(wanted, plan.location)

    def _name(self, wanted: PlannedName, location: str) -> Finding:
        namespace = wanted.type.split("/")[0]
        place = f"/locations/{location}" if namespace == "Microsoft.Batch" else ""
        path = f"/providers/{namespace}{place}/checkNameAvailability"
        answer = self._call("POST", path, APIS[namespace], {"name": wanted.name, "type": wanted.type})
        if answer.get("nameAvailable"):
            return Finding("names", GOOD, f"{wanted.name} is free ({wanted.type})")
        what = f"{wanted.name} ({wanted.type}) cannot be had: {answer.get('message') or answer.get('reason')}"
        return Finding("names", BAD, what, "Write another `prefix` into the stack file; every name begins with it")

    def sizes(self, sizes: Sequence[str], location: str) -> Iterator[Finding]:
        """Whether Batch has these VM sizes in the region, until when, and whether they boot the platform's images."""
        offered = {
            str(size["name"]).casefold(): size
            for size in self._pages(
                f"/providers/Microsoft.Batch/locations/{location}/virtualMachineSkus", APIS["Microsoft.Batch"]
            )
        }
        fix = f"Take another vm_size: az batch location list-skus --location {location}"
        for size in dict.fromkeys(sizes):
            found = offered.get(size.casefold())
            if found is None:
                what = f"Batch offers no {size} in {location}: it is retired, misspelt, or not of this region"
                yield Finding("sizes", BAD, what, fix)
                continue
            abilities = {str(one["name"]): str(one["value"]) for one in found.get("capabilities") or ()}
            generations = abilities.get("HyperVGenerations")
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

    def _exists(self, group: str) -> bool:
        try:
            self._get(f"/resourceGroups/{group}", RESOURCES_API)
        except NotFound:
            return False
        return True

    def _pages(self, path: str, version: str) -> Iterator[Mapping[str, Any]]:
        answer = self._get(path, version)
        yield from answer.get("value") or ()
        while following := answer.get("nextLink"):
            answer = self._rest.call("GET", str(following), token=self._rest.token(SCOPE))[0]
            yield from answer.get("value") or ()

    def _get(self, path: str, version: str) -> dict[str, Any]:
        return self._call("GET", path, version)

    def _call(self, method: str, path: str, version: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        url = f"{self._path}{path}?api-version={version}"
        return self._rest.call(method, url, token=self._rest.token(SCOPE), body=body)[0]


def before_up(subscription: Subscription, plan: Plan) -> Iterator[Finding]:
    """Every check of a stack that is not deployed; one that may not be asked is told, and the others go on."""
    for name, check in (
        ("providers", lambda: subscription.providers(plan.providers)),
        ("names", lambda: subscription.names(plan)),
        ("sizes", lambda: subscription.sizes([pool.vm_size for pool in plan.pools], plan.location)),
        ("quotas", lambda: subscription.accounts(plan.location)),
    ):
        try:
            yield from check()
        except Forbidden as error:
            yield Finding(name, WARNING, str(error), "Reader on the subscription shows it")


def _take_over(resource: str) -> str:
    return f"`pulumi import {resource} ID` takes it over (docs/coming-from-the-portal.md); or write another `prefix`"
