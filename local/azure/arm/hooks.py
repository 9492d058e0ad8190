"""What a service does for one ARM type: the seam between the generic pipeline and the services."""

from __future__ import annotations

from typing import Any, Protocol

from local.azure.arm.resources import Resource
from local.azure.identity.tokens import Caller


class TypeHooks(Protocol):
    """All async except `view`. Every method must be safe to repeat: after a kill the same call comes again."""

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Raise an AzureError to refuse the request before anything is recorded."""
        ...

    async def put(self, new: Resource, old: Resource | None) -> None:
        """Do the work; may fill `new.system` and complete `new.properties`. An AzureError makes the operation fail."""
        ...

    async def delete(self, resource: Resource) -> None:
        """Undo the work; what is gone already is no error."""
        ...

    async def action(self, resource: Resource, name: str, body: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """Do a POST action (`listKeys`, ...); raise an AzureError for an unknown name."""
        ...

    def view(self, resource: Resource) -> dict[str, Any]:
        """Read-only properties, merged over the stored ones in answers. Never a secret."""
        ...
