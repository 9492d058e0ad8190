"""VM sizes that pools may have: families with their sizes and vCPUs, as of November 2026.

Sources: https://learn.microsoft.com/azure/virtual-machines/sizes/overview (families, vCPUs, memory) and
https://learn.microsoft.com/azure/batch/batch-pool-vm-sizes (what Batch leaves out: Basic_A0, burstable and confidential
sizes without support). Which region has which family is not known here: every size is in every region [guess].
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

AS_OF: Final = "2026-11"


@dataclass(frozen=True)
class VmSize:
    """One size; `name` as Azure writes it, memory in GiB."""

    name: str
    family: str
    vcpus: int
    memory: float
    retires: str | None = None  # the day after which no new node gets it


@dataclass(frozen=True)
class _Family:
    """`pattern` takes the number in the size's name; where that is not the vCPUs, `vcpus` says."""

    family: str
    pattern: str
    numbers: tuple[int, ...]
    memory_per_vcpu: float
    vcpus: tuple[int, ...] | None = None
    retires: str | None = None

    def sizes(self) -> Iterator[VmSize]:
        for number, vcpus in zip(self.numbers, self.vcpus or self.numbers, strict=True):
            name = "Standard_" + self.pattern.format(number)
            yield VmSize(name, self.family, vcpus, vcpus * self.memory_per_vcpu, self.retires)


_POWERS: Final = (2, 4, 8, 16, 32, 48, 64)
_MORE: Final = (*_POWERS, 96)
_E: Final = (2, 4, 8, 16, 20, 32, 48, 64)
_D2: Final = (1, 2, 3, 4, 5)
_D2_CPUS: Final = (1, 2, 4, 8, 16)
_D11: Final = (11, 12, 13, 14, 15)
_D11_CPUS: Final = (2, 4, 8, 16, 20)
GENERATION_1: Final = frozenset({"standardAv2Family", "standardDv2Family", "standardDv3Family", "standardEv3Family"})
"""Families that boot images of generation 1 only ("VM Generation Support" on the page of each series; Ev3 [guess])."""
_OLD_D: Final = "2028-05-01"
_OLD_A: Final = "2028-11-15"


def _families() -> Iterator[_Family]:
    yield _Family("standardAv2Family", "A{}_v2", (1, 2, 4, 8), 2, retires=_OLD_A)
    yield _Family("standardAv2Family", "A{}m_v2", (2, 4, 8), 8, retires=_OLD_A)
    for letter in ("D", "DS"):
        family = f"standard{letter}v2Family"
        yield _Family(family, letter + "{}_v2", _D2, 3.5, _D2_CPUS, retires=_OLD_D)
        yield _Family(family, letter + "{}_v2", _D11, 7, _D11_CPUS, retires=_OLD_D)
    for suffix in ("", "s"):
        yield _Family(f"standardD{suffix.upper()}v3Family", "D{}" + suffix + "_v3", _POWERS, 4)
        yield _Family(f"standardE{suffix.upper()}v3Family", "E{}" + suffix + "_v3", _E, 8)
    for version, numbers in (("4", _POWERS), ("5", _MORE)):
        for middle in ("", "d", "a", "ad") if version == "5" else ("", "d", "a"):
            for suffix in ("", "s"):
                if version == "5" and "a" in middle and not suffix:
                    continue  # Dasv5 and Dadsv5 have premium storage only
                name = f"{middle}{suffix}_v{version}"
                sizes = _MORE if "a" in middle else numbers
                yield _Family(f"standardD{(middle + suffix).upper()}v{version}Family", "D{}" + name, sizes, 4)
                yield _Family(
                    f"standardE{(middle + suffix).upper()}v{version}Family",
                    "E{}" + name,
                    (*_E, 96) if sizes is _MORE else _E,
                    8,
                )
    for middle in ("ls", "lds", "als", "alds"):
        yield _Family(f"standardD{middle.upper()}v5Family", "D{}" + middle + "_v5", _MORE, 2)
    for middle, memory in (("s", 4), ("ds", 4), ("ls", 2), ("lds", 2), ("as", 4), ("ads", 4), ("als", 2), ("alds", 2)):
        yield _Family(f"standardD{middle.upper()}v6Family", "D{}" + middle + "_v6", (*_MORE, 128), memory)
    for middle in ("s", "ds", "as", "ads"):
        yield _Family(f"standardE{middle.upper()}v6Family", "E{}" + middle + "_v6", (*_E, 96, 128), 8)
    for version in ("5", "6"):
        for middle, memory in (("ps", 4), ("pds", 4), ("pls", 2), ("plds", 2)):
            name = f"{middle}_v{version}"
            yield _Family(f"standardD{middle.upper()}v{version}Family", "D{}" + name, _POWERS, memory)
    yield _Family("standardFFamily", "F{}", (1, 2, 4, 8, 16), 2, retires=_OLD_A)
    yield _Family("standardFSFamily", "F{}s", (1, 2, 4, 8, 16), 2, retires=_OLD_A)
    yield _Family("standardFSv2Family", "F{}s_v2", (2, 4, 8, 16, 32, 48, 64, 72), 2)
    for middle, memory in (("als", 2), ("as", 4), ("ams", 8)):
        yield _Family(f"standardF{middle.upper()}v6Family", "F{}" + middle + "_v6", (2, 4, 8, 16, 32, 48, 64), memory)
    yield _Family("standardLSv2Family", "L{}s_v2", (8, 16, 32, 48, 64, 80), 8, retires=_OLD_A)
    for middle in ("s", "as"):
        yield _Family(f"standardL{middle.upper()}v3Family", "L{}" + middle + "_v3", (8, 16, 32, 48, 64, 80), 8)
    yield _Family("standardHBrsv2Family", "HB{}rs_v2", (120,), 3.8)
    for number in ((120, 96, 64, 32, 16), (176, 144, 96, 48, 24)):
        version = "3" if number[0] == 120 else "4"
        yield _Family(f"standardHBv{version}Family", "HB" + str(number[0]) + "rs_v" + version, (number[0],), 3.8)
        yield _Family(
            f"standardHBv{version}Family",
            "HB" + str(number[0]) + "-{}rs_v" + version,
            number[1:],
            0,
        )
    yield _Family("standardHXFamily", "HX{}rs", (176,), 8)
    yield _Family("standardNCASv3_T4Family", "NC{}as_T4_v3", (4, 8, 16, 64), 7)
    yield _Family("StandardNCADSA100v4Family", "NC{}ads_A100_v4", (24, 48, 96), 9.2)
    yield _Family("StandardNCadsH100v5Family", "NC{}ads_H100_v5", (40, 80), 8)
    yield _Family("standardNDSv2Family", "ND{}rs_v2", (40,), 16.8)
    yield _Family("standardNDASv4_A100Family", "ND{}asr_v4", (96,), 9.4)
    yield _Family("standardNDAMSv4_A100Family", "ND{}amsr_A100_v4", (96,), 19.8)
    yield _Family("standardNDSH100v5Family", "ND{}isr_H100_v5", (96,), 19.8)
    yield _Family("StandardNVADSA10v5Family", "NV{}ads_A10_v5", (6, 12, 18, 36, 72), 9.2)
    yield _Family("standardMSFamily", "M{}s", (64, 128), 16)
    yield _Family("standardMSFamily", "M{}ms", (8, 16, 32, 64, 128), 28)


@cache
def vm_sizes() -> Mapping[str, VmSize]:
    """Every size by its name in lower case."""
    return {size.name.lower(): size for family in _families() for size in family.sizes()}


def vm_size(name: str) -> VmSize | None:
    """The size (any case), None for one that Batch does not have."""
    return vm_sizes().get(name.lower())


def families() -> list[str]:
    """The quota families, sorted."""
    return sorted({size.family for size in vm_sizes().values()})
