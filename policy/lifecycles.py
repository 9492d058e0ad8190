"""Until when Batch supports node images and Azure offers VM sizes, with the announcement that says so.

Kept by hand: whoever reads of a new retirement adds a line here. Dates are those of the announcements on the day they
were read (2026-11-26). A node image that is in no table is reported as not known, never taken for good.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Final

NOTICE_DAYS: Final = 180
"""How long before the end a preview begins to warn."""


@dataclass(frozen=True)
class NodeAgent:
    """One node agent: `ends` is the last day on which Batch supports it, None while no end is announced.

    Marketplace images come and go with their agent (Azure/Batch#180), so the agent decides for every image.
    """

    sku: str
    ends: date | None
    source: str


@dataclass(frozen=True)
class ImageFamily:
    """Marketplace images by publisher, offer and SKU (patterns of the whole, any case), and the agent they need."""

    publisher: str
    offer: str
    sku: str
    agent: str


@dataclass(frozen=True)
class VmSeries:
    """A series of VM sizes: `sizes` is a pattern for the size without `Standard_`, `ends` the day it is retired."""

    name: str
    sizes: str
    ends: date
    source: str


_FORCED: Final = "https://github.com/Azure/Batch/issues/180"

NODE_AGENTS: Final = (
    NodeAgent("batch.node.ubuntu 24.04", None, "https://github.com/Azure/Batch/issues/200"),
    NodeAgent("batch.node.ubuntu 22.04", date(2027, 6, 30), "https://github.com/Azure/Batch/issues/200"),
    NodeAgent("batch.node.ubuntu 20.04", date(2025, 4, 23), "https://github.com/Azure/Batch/issues/174"),
    NodeAgent("batch.node.ubuntu 18.04", date(2023, 5, 30), "https://github.com/Azure/Batch/issues/152"),
    NodeAgent("batch.node.ubuntu 16.04", date(2021, 5, 21), "https://github.com/Azure/Batch/issues/106"),
    NodeAgent("batch.node.ubuntu 14.04", date(2019, 8, 1), "https://github.com/Azure/Batch/issues/61"),
    NodeAgent("batch.node.centos 7", date(2024, 6, 30), "https://github.com/Azure/Batch/issues/169"),
    NodeAgent("batch.node.centos 8", date(2024, 12, 31), _FORCED),
    NodeAgent("batch.node.debian 8", date(2024, 12, 31), _FORCED),
    NodeAgent("batch.node.debian 9", date(2024, 12, 31), _FORCED),
    NodeAgent("batch.node.debian 10", date(2024, 12, 31), _FORCED),
)

IMAGES: Final = (
    ImageFamily("microsoft-dsvm", r"ubuntu-hpc", r"2404.*", "batch.node.ubuntu 24.04"),
    ImageFamily("canonical", r"ubuntu-24_04-lts", r".*", "batch.node.ubuntu 24.04"),
    ImageFamily("microsoft-dsvm", r"ubuntu-(hpc|2204)", r"2204.*", "batch.node.ubuntu 22.04"),
    ImageFamily("canonical", r"0001-com-ubuntu-server-jammy", r".*", "batch.node.ubuntu 22.04"),
    ImageFamily("microsoft-dsvm", r"ubuntu-(hpc|2004)", r"2004.*", "batch.node.ubuntu 20.04"),
    ImageFamily("canonical", r"0001-com-ubuntu-server-focal", r".*", "batch.node.ubuntu 20.04"),
    ImageFamily("microsoft-azure-batch", r"ubuntu-server-container(-rdma)?", r"20-04-lts", "batch.node.ubuntu 20.04"),
    ImageFamily("microsoft-dsvm", r"ubuntu-(hpc|1804)", r"1804.*", "batch.node.ubuntu 18.04"),
    ImageFamily("canonical", r"ubuntuserver", r"18.04-lts.*", "batch.node.ubuntu 18.04"),
    ImageFamily("canonical", r"ubuntuserver", r"16.04-lts.*", "batch.node.ubuntu 16.04"),
    ImageFamily("microsoft-azure-batch", r"ubuntu-server-container(-rdma)?", r"16-04-lts", "batch.node.ubuntu 16.04"),
    ImageFamily("microsoft-azure-batch", r"centos-container(-rdma)?", r"7-.*", "batch.node.centos 7"),
    ImageFamily("openlogic", r"centos(-hpc)?", r"7.*", "batch.node.centos 7"),
    ImageFamily("openlogic", r"centos(-hpc)?", r"8.*", "batch.node.centos 8"),
    ImageFamily("debian", r"debian-10", r".*", "batch.node.debian 10"),
)

_UPDATES: Final = "https://azure.microsoft.com/updates"
_MACHINES: Final = "https://learn.microsoft.com/azure/virtual-machines"
_A8_TO_A11: Final = f"{_UPDATES}/a8-a11-azure-virtual-machine-sizes-will-be-retired-on-march-1-2021/"
_AV1: Final = f"{_MACHINES}/sizes/migration-guides/av1-series-retirement"
_NV: Final = f"{_MACHINES}/sizes/migration-guides/nv-series-retirement"
_NCV3: Final = f"{_MACHINES}/ncv3-nc6s-nc12s-nc24s-retirement"
_MAY_2028: Final = f"{_MACHINES}/sizes/lifecycle/retirement/d-ds-dv2-dsv2-ls-series-migration-guide"
_NOVEMBER_2028: Final = f"{_UPDATES}/?id=500682"

VM_SERIES: Final = (
    VmSeries("A8 to A11", r"A(8|9|10|11)", date(2021, 3, 1), _A8_TO_A11),
    VmSeries("Av1", r"A[0-7]", date(2024, 8, 31), _AV1),
    VmSeries("Basic A", r"Basic_A[0-4]", date(2024, 8, 31), _AV1),
    VmSeries("NV", r"NV(6|12|24)(_Promo)?", date(2023, 9, 6), _NV),
    VmSeries("NCv3", r"NC(6|12|24)r?s_v3", date(2025, 9, 30), _NCV3),
    VmSeries("D, Ds", r"DS?[0-9]+", date(2028, 5, 1), _MAY_2028),
    VmSeries("Dv2, Dsv2", r"DS?[0-9]+(-[0-9]+)?_v2(_Promo)?", date(2028, 5, 1), _MAY_2028),
    VmSeries("Ls", r"L[0-9]+s", date(2028, 5, 1), _MAY_2028),
    VmSeries("Lsv2", r"L[0-9]+s_v2", date(2028, 11, 15), _NOVEMBER_2028),
    VmSeries("F, Fs, Fsv2", r"F[0-9]+s?(_v2)?", date(2028, 11, 15), _NOVEMBER_2028),
    VmSeries("Av2, Amv2", r"A[0-9]+m?_v2", date(2028, 11, 15), _NOVEMBER_2028),
    VmSeries("B (first version)", r"B[0-9]+(ms|ls|s)?", date(2028, 11, 15), _NOVEMBER_2028),
    VmSeries("G, Gs", r"GS?[0-9]+(-[0-9]+)?", date(2028, 11, 15), _NOVEMBER_2028),
)


def node_agent(sku: str) -> NodeAgent | None:
    """The table's line for a node agent; None if it has none."""
    return next((agent for agent in NODE_AGENTS if agent.sku == sku.lower()), None)


def agent_of_image(publisher: str, offer: str, sku: str) -> NodeAgent | None:
    """The node agent that a marketplace image needs; None for an image that is in no table."""
    for family in IMAGES:
        wanted = (family.publisher, family.offer, family.sku)
        if all(_matches(pattern, text) for pattern, text in zip(wanted, (publisher, offer, sku), strict=True)):
            return node_agent(family.agent)
    return None


def vm_series(size: str) -> VmSeries | None:
    """The series of a VM size whose retirement is announced; None for every other size."""
    bare = re.sub(r"^standard_", "", size, flags=re.IGNORECASE)
    return next((series for series in VM_SERIES if _matches(series.sizes, bare)), None)


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text, re.IGNORECASE) is not None
