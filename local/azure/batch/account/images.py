"""`list_supported_images`: the images the local Azure can stand in for.

The pairs and their ends: docs/azure-facts.md#node-images.

Every one of them is the same Debian-based node here; the table exists so that preflight checks see what Azure shows.
"""

from __future__ import annotations

from typing import Any

_CAPABILITIES = ["DockerCompatible", "SupportsRDMAOnly", "Generation2VMImage"]


def _image(sku: str, agent: str, end_of_life: str | None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "nodeAgentSKUId": agent,
        "imageReference": {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": sku, "version": "latest"},
        "osType": "linux",
        "capabilities": _CAPABILITIES,
        "verificationType": "verified",
    }
    return {**shown, "batchSupportEndOfLife": end_of_life} if end_of_life else shown


SUPPORTED_IMAGES: tuple[dict[str, Any], ...] = (
    _image("2204", "batch.node.ubuntu 22.04", "2027-06-30T00:00:00Z"),  # Azure/Batch#200
    _image("2404", "batch.node.ubuntu 24.04", None),
)


def is_supported(reference: dict[str, Any], agent: str) -> bool:
    """Whether a pool may use this image with this node agent (publisher, offer and sku compare without case)."""
    wanted = tuple(str(reference.get(name, "")).lower() for name in ("publisher", "offer", "sku"))
    return any(
        wanted == tuple(one["imageReference"][name].lower() for name in ("publisher", "offer", "sku"))
        and agent.lower() == one["nodeAgentSKUId"].lower()
        for one in SUPPORTED_IMAGES
    )
