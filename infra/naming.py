"""Physical names and the limits Azure sets on them. Plain functions on plain values; no resource is made here.

Names that are unique in the world (registry, storage account, Batch account) end in eight hex digits derived from the
subscription and the stack, so they are the same in every preview and `up`, and two subscriptions never collide.
Limits: learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

TYPE_PREFIX: Final = "batch-platform"
"""First part of every component's type token. Changing it renames every component in every stack's state."""

IMAGE_REPOSITORY: Final = "docker-worker"
PREFIX_PATTERN: Final = r"^[a-z][a-z0-9]{1,7}$"
POOL_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,50}$"
FAMILY_PATTERN: Final = r"^[A-Za-z0-9_-]{1,64}$"
UNIQUE_DIGITS: Final = 8
POOL_HASH_DIGITS: Final = 12
POOL_NAME_LIMIT: Final = 64
ACCOUNT_NAME_LIMIT: Final = 24
"""Storage accounts and Batch accounts alike: 3 to 24 lower-case letters and digits. Registries allow 5 to 50."""

_ASSIGNMENTS: Final = uuid.UUID("0c9cf9a3-6a1c-5f0e-9d6b-2f6f5b1e7a44")
_PLAIN_JOB_ID: Final = re.compile(r"[a-z0-9](?:-?[a-z0-9])*")


@dataclass(frozen=True, kw_only=True)
class Names:
    """The physical names of one stack's resources."""

    prefix: str
    stack: str
    subscription_id: str

    @property
    def resource_group(self) -> str:
        """1 to 90 letters, digits, `-`, `_`, `.`; unique in the subscription."""
        return f"rg-{self.prefix}-{self._legible_stack}"

    @property
    def registry(self) -> str:
        """5 to 50 letters and digits, unique in the world."""
        return self._unique

    @property
    def storage_account(self) -> str:
        """3 to 24 lower-case letters and digits, unique in the world."""
        return self._unique

    @property
    def batch_account(self) -> str:
        """3 to 24 lower-case letters and digits, unique in the region."""
        return self._unique

    def resource(self, what: str) -> str:
        """Of alerts, action groups, budgets and endpoints: 1 to 63 characters or more; unique in the resource group."""
        return f"{self.prefix}-{self._legible_stack}-{what}"

    def identity(self, use: str) -> str:
        """3 to 128 letters, digits, `-`, `_`; unique in the resource group."""
        return f"id-{self.prefix}-{self._legible_stack}-{use}"

    @property
    def _plain_stack(self) -> str:
        return re.sub(r"[^a-z0-9]", "", self.stack.lower()) or "stack"

    @property
    def _legible_stack(self) -> str:
        return re.sub(r"[^a-z0-9_-]", "-", self.stack.lower())[:60]

    @property
    def _unique(self) -> str:
        whole = f"{self.subscription_id.lower()}/{self.prefix}/{self.stack}"
        digits = hashlib.sha256(whole.encode()).hexdigest()[:UNIQUE_DIGITS]
        room = ACCOUNT_NAME_LIMIT - UNIQUE_DIGITS
        return f"{(self.prefix + self._plain_stack)[:room]}{digits}"


def region(text: str) -> str:
    """A region's name, from any spelling that Azure takes: `West Europe` (its display name) and `WestEurope` are
    `westeurope`. Resources of one spelling would be replaced under another."""
    return re.sub(r"[\s()]+", "", text).lower()


def vm_size(text: str) -> str:
    """A VM size in Azure's way of writing, whatever its case: family and accelerator in capitals, the rest small.

    Azure compares sizes without case; a new spelling of the same size must not be a new pool.
    learn.microsoft.com/azure/virtual-machines/vm-naming-conventions
    """
    words = text.strip().split("_")
    if len(words) < 2:
        return text
    size = re.sub(r"^[a-z]+", lambda family: family[0].upper(), words[1].lower())
    rest = [word.lower() if re.fullmatch(r"v\d+|\d.*", word, re.IGNORECASE) else word.upper() for word in words[2:]]
    return "_".join(["Standard", size, *("Promo" if word == "PROMO" else word for word in rest)])


def image_reference(text: str) -> str:
    """An image reference with its digest in small letters: hexadecimal digits have no case, tags have."""
    name, at, digest = text.partition("@")
    return f"{name}{at}{digest.lower()}"


def job_container(family: str) -> str:
    """The blob container of a job family: Azure's File Conventions, which make outputs visible in the portal.

    Algorithm and examples: docs/azure-facts.md#file-conventions.
    """
    name = family.lower()
    if len(name) <= 59 and _PLAIN_JOB_ID.fullmatch(name):
        return f"job-{name}"
    text = re.sub(r"[:_-]+", "-", name).strip("-")[:15].strip("-") or "job"
    return f"job-{text}-{hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()}"


def role_assignment(scope: str, principal_id: str, role_definition_id: str) -> str:
    """A role assignment's GUID. Everything that Azure cannot change in an assignment is in it, so a new GUID appears
    exactly when a new assignment is needed, and old and new can exist side by side."""
    return str(uuid.uuid5(_ASSIGNMENTS, "|".join((scope, principal_id, role_definition_id)).lower()))


def cores(size: str) -> int | None:
    """The cores of a VM size in its own way of writing; None where the name does not say it.

    From version 3 on the number in a name is the cores, and behind a dash those that are left of them
    (learn.microsoft.com/azure/virtual-machines/vm-naming-conventions).
    """
    found = re.fullmatch(r"Standard_[A-Z]+(\d+)(?:-(\d+))?[a-z]*(?:_[A-Z0-9]+)*_v(\d+)", size)
    return int(found[2] or found[1]) if found and int(found[3]) >= 3 else None


def generation(fixed: Mapping[str, Any]) -> str:
    """The hash of what Batch cannot change in a pool, `fixed`: pools of one hash are one generation."""
    canonical = json.dumps(fixed, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:POOL_HASH_DIGITS]


def pool(name: str, generation: str) -> str:
    """A pool's id: its name and its generation, so that old and new pool can exist side by side.

    At most 64 letters, digits, `-` and `_` (data plane, `BatchPoolCreateOptions.id`). In small letters: Batch takes
    `GPU-...` and `gpu-...` for one id.
    """
    return f"{name.lower()}-{generation}"


@functools.cache
def fingerprint(secret: str, salt: str) -> str:
    """Stands for a password inside a pool's hash: a new password gives a new pool, the name gives nothing away.

    Slow on purpose (scrypt), because the pool's name is public and a plain hash would let passwords be tried offline.
    """
    return hashlib.scrypt(secret.encode(), salt=salt.encode(), n=2**14, r=8, p=1, dklen=16).hex()


def jobs_command(words: str, stack: str) -> str:
    """A command of `jobs/` for a stack, which can be pasted in a checkout that `make setup` has prepared."""
    return f".venv/bin/batch-jobs {words} --stack {stack}"
