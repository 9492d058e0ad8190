"""Where a stack's resources are made: the resource group, and what all in it have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_azure_native import resources

from infra.naming import Names


@dataclass(frozen=True, kw_only=True)
class Place:
    """A resource group, the names of what is made in it, and its tags."""

    group: resources.ResourceGroup
    names: Names
    tags: Mapping[str, str]


def make_place(location: str, names: Names, tags: Mapping[str, str], opts: pulumi.ResourceOptions) -> Place:
    group = resources.ResourceGroup(
        "group", resource_group_name=names.resource_group, location=location, tags=tags, opts=opts
    )
    return Place(group=group, names=names, tags=tags)
