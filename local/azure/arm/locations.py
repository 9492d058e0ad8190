"""Azure's public regions, and nothing else.

Source: https://learn.microsoft.com/azure/reliability/regions-list (most of it; restricted pairs left out).
"""

from __future__ import annotations

from collections.abc import Collection

from local.azure.arm.errors import LocationNotAvailableForResourceType, LocationRequired

_DISPLAY_NAMES = (
    "Australia Central", "Australia East", "Australia Southeast", "Austria East", "Belgium Central", "Brazil South",
    "Canada Central", "Canada East", "Central India", "Central US", "Chile Central", "East Asia", "East US",
    "East US 2", "France Central", "Germany West Central", "Indonesia Central", "Israel Central", "Italy North",
    "Japan East", "Japan West", "Korea Central", "Korea South", "Malaysia West", "Mexico Central",
    "New Zealand North", "North Central US", "North Europe", "Norway East", "Poland Central", "Qatar Central",
    "South Africa North", "South Central US", "South India", "Southeast Asia", "Spain Central", "Sweden Central",
    "Switzerland North", "UAE North", "UK South", "UK West", "West Central US", "West Europe", "West India",
    "West US", "West US 2", "West US 3",
)  # fmt: skip
LOCATIONS = {name.replace(" ", "").lower(): name for name in _DISPLAY_NAMES}


def location_name(given: object, type: str, places: Collection[str] = ()) -> str:
    """`West Europe` as `westeurope`; an error for anything that is no region, or not one of `places` if there are."""
    if given is None or not str(given).strip():
        raise LocationRequired
    name = str(given).replace(" ", "").lower()
    known = places or LOCATIONS
    if name not in known:
        raise LocationNotAvailableForResourceType(
            f"The provided location '{given}' is not available for resource type '{type}'. List of available regions "
            f"for the resource type is '{','.join(known)}'."
        )
    return name
