"""How bodies and answers of earlier api-versions differ from those of 2025-06-01. Source: azure-batch's change log.

Clients of those versions go on sending what 2025-06-01 has not any more (azure-cli's `pool reset` sends an empty list
of certificates): what changes nothing here is dropped, what asked for something that Azure has retired is refused.
Their answers have nothing that their version did not know.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

from local.azure.batch import errors

FIRST: Final = "2025-06-01"
_RETIRED: Final = {
    "certificateReferences": "Certificates were retired on 29 February 2024; use Azure Key Vault.",
    "applicationLicenses": "Application licenses were retired.",
}
_NO_EFFECT: Final = ("targetNodeCommunicationMode", "resourceTags")
_MODES: Final = ("default", "classic", "simplified")


_SINCE: Final = {
    "2025-06-01": (
        "jobDefaultOrder",
        "customerManagedKey",
        "diskEncryptionSet",
        "ipv6Address",
        "ipv6RemoteLoginIPAddress",
        "ipv6RemoteLoginPort",
        "proxyAgentSettings",
        "ipFamilies",
        "ipTags",
    ),
    "2024-07-01": (
        "containerHostBatchBindMounts",
        "managedDisk.securityProfile",
        "sharedGalleryImageId",
        "communityGalleryImageId",
    ),
    "2024-02-01": ("upgradePolicy",),
    "2023-11-01": (
        "serviceArtifactReference",
        "virtualMachineConfiguration.securityProfile",
        "osDisk",
        "scaleSetVmResourceId",
    ),
    "2023-05-01": ("enableAcceleratedNetworking", "enableAutomaticUpgrade", "containerConfiguration.type"),
    "2022-01-01": ("uploadHeaders", "allowTaskPreemption"),
}
"""Properties of answers by the version that brought them: a name, or one below a parent. The version of a release of
the SDK is that of its notes: 15.1.0b2, 15.0.0b2, 14.2.0, 14.1.0, 14.0.0 and 12.0.0."""
_UNTIL: Final = {FIRST: ("authenticationTokenSettings",)}
"""Properties that answers have before this version only."""


def encode_known(body: dict[str, Any], version: str) -> bytes:
    """An answer as JSON, without what its api-version does not know."""
    unknown = _unknown(version[: len(FIRST)])
    text = json.dumps(body)
    if any(name.rpartition(".")[2] in text for name in unknown):  # cheaper than to look at every property of a page
        text = json.dumps(_without_unknown(body, unknown, ""))
    return text.encode()


@cache
def _unknown(version: str) -> frozenset[str]:
    later = [name for since, names in _SINCE.items() if version < since for name in names]
    gone = [name for until, names in _UNTIL.items() if version >= until for name in names]
    return frozenset([*later, *gone])


def _without_unknown(value: Any, unknown: frozenset[str], parent: str) -> Any:
    if isinstance(value, list):
        return [_without_unknown(one, unknown, parent) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _without_unknown(one, unknown, name)
        for name, one in value.items()
        if name not in unknown and f"{parent}.{name}" not in unknown
    }


def without_former(value: Any, version: str) -> Any:
    """The body as 2025-06-01 has it; bodies of that version and later ones are not touched."""
    return value if version[: len(FIRST)] >= FIRST else _without(value)


def _without(value: Any) -> Any:
    if isinstance(value, list):
        return [_without(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _without(one) for name, one in value.items() if not _dropped(name, one)}
    kind = kept.pop("storageAccountType", None) if {"lun", "diskSizeGB"} & set(kept) else None
    if kind is not None:  # of a data disk: its managed disk has it now
        kept.setdefault("managedDisk", {"storageAccountType": kind})
    return kept


def _dropped(name: str, value: Any) -> bool:
    if name in _RETIRED and value:
        raise errors.InvalidPropertyValue(details=[("PropertyName", name), ("Reason", _RETIRED[name])])
    if name == "targetNodeCommunicationMode" and str(value).lower() not in _MODES and value is not None:
        raise errors.invalid(name, value, f"expected one of {', '.join(_MODES)}")
    if name == "resourceTags" and value is not None and not isinstance(value, dict):
        raise errors.invalid(name, value, "expected an object")
    return name in _RETIRED or name in _NO_EFFECT
