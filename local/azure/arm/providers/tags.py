"""Tags as a resource of their own: `{scope}/providers/Microsoft.Resources/tags/default`.

Source: https://learn.microsoft.com/rest/api/resources/tags; limits:
https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from local.azure.arm.errors import InvalidRequestContent, InvalidTag, MethodNotAllowed, ResourceNotFound
from local.azure.arm.locks import check_locks
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.ids import TAGS
from local.azure.control_plane.tokens import Caller

_MOST: Final = 50
_LONGEST_NAME, _LONGEST_VALUE = 512, 256
_FORBIDDEN: Final = frozenset("<>%&\\?/")


class Tags:
    """The verbs on the tags of one scope."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def act(self, method: str, scope: str, body: dict[str, Any], caller: Caller) -> dict[str, Any] | None:
        """GET, PUT (replace all), PATCH (merge, replace or delete) or DELETE; None for an answer without content."""
        verb = {"GET": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}.get(method)
        if verb is None:
            raise MethodNotAllowed(f"The method {method} is not supported on {TAGS}.")
        self._cloud.access.require(caller, f"{TAGS}/{verb}", scope)
        resource = self._cloud.resources.get(scope)
        if resource is None:
            raise ResourceNotFound(f"The Resource '{scope}' was not found.")
        before = dict(resource.tags or {})
        if method != "GET":
            check_locks(self._cloud.resources, "PATCH", self._cloud.types.get(resource.type), resource.id)
            after = {} if method == "DELETE" else _changed(method, before, body)
            resource = copy.copy(resource)
            resource.tags = after or None
            resource.changed = self._cloud.clock.now().isoformat()
            self._cloud.resources.put(resource)
            if method == "DELETE":
                return None
        return {
            "id": f"{resource.id}/providers/{TAGS}/default",
            "name": "default",
            "type": TAGS,
            "properties": {"tags": resource.tags or {}},
        }


def _changed(method: str, before: dict[str, str], body: dict[str, Any]) -> dict[str, str]:
    given = (body.get("properties") or {}).get("tags")
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise InvalidRequestContent("The request content was invalid: 'properties.tags' must be a map of texts.")
    operation = str(body.get("operation", "Replace" if method == "PUT" else "")).lower()
    lower = {name.lower() for name in given}
    kept = {name: value for name, value in before.items() if name.lower() not in lower}
    match operation:
        case "replace":
            after = dict(given)
        case "merge":
            after = kept | given
        case "delete":
            return kept
        case _:
            raise InvalidRequestContent(
                f"The request content was invalid: operation '{body.get('operation')}'; expected Merge, Replace or "
                "Delete."
            )
    if len(after) > _MOST:
        raise InvalidTag(f"A resource has at most {_MOST} tags, got {len(after)}.")
    for name, value in given.items():
        if not name or len(name) > _LONGEST_NAME or _FORBIDDEN & set(name) or len(value) > _LONGEST_VALUE:
            raise InvalidTag(
                f"The tag '{name[:60]}' is not valid: names have 1 to {_LONGEST_NAME} characters without "
                f"{' '.join(sorted(_FORBIDDEN))}, values at most {_LONGEST_VALUE}."
            )
    return after
