"""Private endpoints for the account, the registry and the blobs, in a subnet and DNS zones that exist already."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_azure_native import network

from infra.batch_account import BatchAccount
from infra.naming import TYPE_PREFIX
from infra.place import Place
from infra.registry import Registry
from infra.settings.network import PrivateEndpoints as PrivateEndpointsSettings
from infra.storage import Storage


@dataclass(frozen=True, kw_only=True)
class PrivateEndpointsArgs:
    """What gets an endpoint, and where."""

    place: Place
    settings: PrivateEndpointsSettings
    account: BatchAccount
    registry: Registry
    storage: Storage


class PrivateEndpoints(pulumi.ComponentResource):
    """An endpoint for each service that has a zone, and its name in that zone."""

    def __init__(self, name: str, args: PrivateEndpointsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{TYPE_PREFIX}:PrivateEndpoints", name, {}, opts)
        zones = args.settings
        # Sub-resource names: learn.microsoft.com/azure/private-link/private-endpoint-overview#private-link-resource
        for group_id, target, zone_id in (
            ("batchAccount", args.account.id, zones.batch_zone_id),
            ("nodeManagement", args.account.id, zones.batch_zone_id),
            ("registry", args.registry.id, zones.registry_zone_id),
            ("blob", args.storage.id, zones.blob_zone_id),
        ):
            if zone_id is not None:
                self._endpoint(f"{name}-{group_id}", group_id, target, zone_id, args)
        self.register_outputs({})

    def _endpoint(
        self, name: str, group_id: str, target: pulumi.Output[str], zone_id: str, args: PrivateEndpointsArgs
    ) -> None:
        endpoint = network.PrivateEndpoint(
            name,
            resource_group_name=args.place.group.name,
            location=args.place.group.location,
            private_endpoint_name=args.place.names.resource(f"endpoint-{group_id}"),
            subnet=network.SubnetArgs(id=args.settings.subnet_id),
            private_link_service_connections=[
                network.PrivateLinkServiceConnectionArgs(
                    name=group_id, group_ids=[group_id], private_link_service_id=target
                )
            ],
            tags=args.place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        network.PrivateDnsZoneGroup(
            f"{name}-zone",
            resource_group_name=args.place.group.name,
            private_endpoint_name=endpoint.name,
            private_dns_zone_group_name="default",
            private_dns_zone_configs=[
                network.PrivateDnsZoneConfigArgs(
                    name=zone_id.rpartition("/")[2].replace(".", "-"), private_dns_zone_id=zone_id
                )
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )


def declare(
    name: str,
    settings: PrivateEndpointsSettings | None,
    place: Place,
    account: BatchAccount,
    registry: Registry,
    storage: Storage,
) -> PrivateEndpoints | None:
    """The endpoints, where a stack wants any; else nothing, not even the component."""
    if settings is None:
        return None
    args = PrivateEndpointsArgs(place=place, settings=settings, account=account, registry=registry, storage=storage)
    return PrivateEndpoints(name, args)
