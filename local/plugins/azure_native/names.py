"""Names and places that a program left out, as azure-native fills them in (`getDefaultName`, `getDefaultLocation`)."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Callable
from typing import Any, Final

from local.plugins.azure_native.resources import Autoname, ResourceType
from local.plugins.protocol.provider import Failure, Naming, Target

# Kept among the inputs: the name is random, so a replacement may be created before the old resource goes. A name that
# the program gave has no such mark, and its resource is deleted first.
CREATE_FIRST: Final = "__createBeforeDelete"


def fill_name(
    kind: ResourceType, target: Target, olds: dict[str, Any], news: dict[str, Any], naming: Naming
) -> Failure | None:
    """Set the name in `news` if it is missing; an old generated name stays."""
    name = kind.name
    if news.get(name) is not None:
        return None
    if kind.autoname is Autoname.DEFAULT:
        news[name] = "default"
        return None
    if olds.get(name):
        news[name] = olds[name]
        random = olds.get(CREATE_FIRST) is True
    elif naming.disabled:
        return Failure(name, f"automatic naming is disabled, and '{name}' is missing: give it in the program")
    elif naming.proposed:
        news[name], random = naming.proposed, True
    else:
        news[name], random = _generate(kind.autoname, target.name, naming.seed)
    if random:
        news[CREATE_FIRST] = True
    return None


def _generate(how: Autoname, logical: str, seed: bytes) -> tuple[str, bool]:
    """The name, and whether it is random. The engine's seed makes a preview and the following update agree."""
    noise = hashlib.sha256(seed or secrets.token_bytes(16)).digest()
    if how is Autoname.COPY:
        return logical, False
    if how is Autoname.UUID:
        return str(uuid.UUID(bytes=noise[:16], version=4)), True
    return logical + noise.hex()[:8], True


def fill_location(
    olds: dict[str, Any], news: dict[str, Any], configured: str | None, of_group: Callable[[str], str | None]
) -> None:
    """Set `location` in `news` if it is missing: the old one, the configured one, or the resource group's."""
    if news.get("location") is not None:
        return
    group = news.get("resourceGroupName")
    location = olds.get("location") or configured or (of_group(group) if isinstance(group, str) else None)
    if location:
        news["location"] = location
