"""`list_supported_images`, and which images a pool may use.

The pairs of image and node agent, and their ends: docs/azure-facts.md#node-images; the table is of November 2025. Every
one of them is the same Debian-based node here, the Windows ones too: the table exists so that programs and preflight
checks see what Azure shows.
"""

from __future__ import annotations

import re
from typing import Any

from local.azure.batch import errors

_DOCKER = ("DockerCompatible",)
_HPC = ("DockerCompatible", "SupportsRDMAOnly", "Generation2VMImage", "IntelMPIRuntimeInstalled")
_GEN2 = ("Generation2VMImage",)
_WINDOWS = "batch.node.windows amd64"

# (publisher, offer, sku, node agent, capabilities, end of support): sorted as the service sorts them. What capabilities
# an image of the market place has beyond those of ubuntu-hpc is a [guess].
_TABLE: tuple[tuple[str, str, str, str, tuple[str, ...], str | None], ...] = (
    ("almalinux", "almalinux", "8-gen1", "batch.node.el 8", (), None),
    ("almalinux", "almalinux", "8-gen2", "batch.node.el 8", _GEN2, None),
    ("almalinux", "almalinux", "9-gen1", "batch.node.el 9", (), None),
    ("almalinux", "almalinux", "9-gen2", "batch.node.el 9", _GEN2, None),
    ("almalinux", "almalinux-hpc", "8_10-hpc-gen2", "batch.node.el 8", _HPC, None),
    ("canonical", "0001-com-ubuntu-server-jammy", "22_04-lts", "batch.node.ubuntu 22.04", (), "2027-06-30T00:00:00Z"),
    (
        "canonical",
        "0001-com-ubuntu-server-jammy",
        "22_04-lts-gen2",
        "batch.node.ubuntu 22.04",
        _GEN2,
        "2027-06-30T00:00:00Z",
    ),
    ("canonical", "ubuntu-24_04-lts", "server", "batch.node.ubuntu 24.04", _GEN2, None),
    ("canonical", "ubuntu-24_04-lts", "server-gen1", "batch.node.ubuntu 24.04", (), None),
    ("debian", "debian-11", "11", "batch.node.debian 11", (), None),
    ("debian", "debian-12", "12", "batch.node.debian 12", (), None),
    ("microsoft-dsvm", "ubuntu-hpc", "2204", "batch.node.ubuntu 22.04", _HPC, "2027-06-30T00:00:00Z"),
    ("microsoft-dsvm", "ubuntu-hpc", "2404", "batch.node.ubuntu 24.04", _HPC, None),
    ("microsoftwindowsserver", "windowsserver", "2016-datacenter-smalldisk", _WINDOWS, (), "2027-01-12T00:00:00Z"),
    ("microsoftwindowsserver", "windowsserver", "2019-datacenter-core", _WINDOWS, (), None),
    ("microsoftwindowsserver", "windowsserver", "2022-datacenter", _WINDOWS, (), None),
    ("microsoftwindowsserver", "windowsserver", "2022-datacenter-core", _WINDOWS, _DOCKER, None),
    ("microsoftwindowsserver", "windowsserver", "2022-datacenter-g2", _WINDOWS, _GEN2, None),
)


def _image(row: tuple[str, str, str, str, tuple[str, ...], str | None]) -> dict[str, Any]:
    publisher, offer, sku, agent, capabilities, end_of_life = row
    shown: dict[str, Any] = {
        "nodeAgentSKUId": agent,
        "imageReference": {"publisher": publisher, "offer": offer, "sku": sku, "version": "latest"},
        "osType": "windows" if agent == _WINDOWS else "linux",
        "verificationType": "verified",
    }
    if capabilities:
        shown["capabilities"] = list(capabilities)
    return {**shown, "batchSupportEndOfLife": end_of_life} if end_of_life else shown


SUPPORTED_IMAGES: tuple[dict[str, Any], ...] = tuple(_image(row) for row in _TABLE)
_AGENTS = frozenset(row[3] for row in _TABLE)
_GALLERY = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Compute/galleries/[^/]+/images/[^/]+"
    r"(/versions/[^/]+)?",
    re.IGNORECASE,
)
_SHARED = re.compile(r"/sharedGalleries/[^/]+/images/[^/]+(/versions/[^/]+)?", re.IGNORECASE)
_COMMUNITY = re.compile(r"/communityGalleries/[^/]+/images/[^/]+(/versions/[^/]+)?", re.IGNORECASE)
_IDS = {"virtualMachineImageId": _GALLERY, "sharedGalleryImageId": _SHARED, "communityGalleryImageId": _COMMUNITY}


def is_supported(reference: dict[str, Any], agent: str) -> bool:
    """Whether a pool may use this image with this node agent (publisher, offer and sku compare without case)."""
    try:
        check_image(reference, agent)
    except errors.InvalidPropertyValue:
        return False
    return True


def check_image(reference: dict[str, Any], agent: str) -> None:
    """Refuse what `list_supported_images` does not list, and ids that name no image of a gallery (texts recorded).

    An image of a gallery may be any: what it has inside is not known here [guess: that only its form is checked].
    """
    given = [name for name in _IDS if reference.get(name)]
    if given and (len(given) > 1 or reference.get("publisher") or reference.get("offer")):
        raise errors.invalid("imageReference", reference, "give either an image of the market place or one image id")
    if given:
        _check_id(given[0], str(reference[given[0]]))
        if agent.lower() not in _AGENTS:
            raise errors.invalid("nodeAgentSKUId", agent, "The specified nodeAgentSKUId is not supported.")
        return
    publisher, offer, sku = (str(reference.get(name, "")) for name in ("publisher", "offer", "sku"))
    rows = [row for row in _TABLE if row[:3] == (publisher.lower(), offer.lower(), sku.lower())]
    if not rows:
        reason = f"The specified imageReference with publisher {publisher} offer {offer} sku {sku} is not supported."
        raise errors.InvalidPropertyValue(details=[("PropertyName", "imageReference"), ("Reason", reason)])
    if agent.lower() not in [row[3] for row in rows]:  # [guess: the text]
        reason = f"The specified nodeAgentSKUId {agent} does not go with publisher {publisher} offer {offer} sku {sku}."
        raise errors.invalid("nodeAgentSKUId", agent, reason)


def _check_id(name: str, value: str) -> None:
    if _IDS[name].fullmatch(value) is None:
        raise errors.invalid(name, value, f"The specified {name} is not a valid resource id of an image.")
