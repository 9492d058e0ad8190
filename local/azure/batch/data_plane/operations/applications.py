"""Operations on application packages: what ARM has of the account's applications, to read.

Only applications and versions that nodes can use, which are those with an active package, are shown (documented).
"""

from __future__ import annotations

from typing import Any

from local.azure.batch import errors
from local.azure.batch.account.node_storage import ACTIVE, APPLICATION_TYPE, PACKAGE_TYPE
from local.azure.batch.data_plane.call import Call
from local.azure.batch.data_plane.query import page
from local.azure.batch.data_plane.schema import wire_names
from local.azure.batch.data_plane.wire import Answer
from local.azure.control_plane.resources import Resource

SHOWN = wire_names("BatchApplication")


def _view(call: Call, application: Resource) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": application.name, "versions": _active(call, application)}
    if application.properties.get("displayName"):
        shown["displayName"] = application.properties["displayName"]
    return shown


def _active(call: Call, application: Resource) -> list[str]:
    versions = call.account.cloud.resources.list(PACKAGE_TYPE, application.id)
    return sorted(one.name for one in versions if one.system.get("state") == ACTIVE)


async def list_all(call: Call) -> Answer:
    """GET /applications."""
    applications = call.account.cloud.resources.list(APPLICATION_TYPE, call.account.resource_id)
    rows = sorted((one.name.lower(), _view(call, one)) for one in applications if _active(call, one))
    return Answer(body=page(rows, call.query, SHOWN, call.url), entity="applications")


async def get(call: Call) -> Answer:
    """GET /applications/{id}."""
    application = call.account.storage.application(call.params["applicationId"])
    if application is None or not _active(call, application):
        raise errors.ApplicationNotFound
    return Answer(body=_view(call, application), entity="applications/@Element")
