"""Operations on application packages: what ARM has of the account's applications, to read.

A package is uploaded through ARM and the storage account; its versions count here once they are active.
"""

from __future__ import annotations

from typing import Any

from local.azure.batch import errors
from local.azure.batch.data_plane.call import Call
from local.azure.batch.data_plane.checks import APPLICATION_TYPE, application_id
from local.azure.batch.data_plane.query import page
from local.azure.batch.data_plane.sdk_models import wire_names
from local.azure.batch.data_plane.wire import Answer
from local.azure.control_plane.resources import Resource

SHOWN = wire_names("BatchApplication")
_VERSION_TYPE = f"{APPLICATION_TYPE}/versions"


def _view(call: Call, application: Resource) -> dict[str, Any]:
    versions = call.account.cloud.resources.list(_VERSION_TYPE, application.id)
    shown: dict[str, Any] = {"id": application.name, "versions": sorted(one.name for one in versions)}
    if application.properties.get("displayName"):
        shown["displayName"] = application.properties["displayName"]
    return shown


async def list_all(call: Call) -> Answer:
    """GET /applications."""
    found = call.account.cloud.resources.list(APPLICATION_TYPE, call.account.resource_id)
    rows = sorted((one.name.lower(), _view(call, one)) for one in found)
    return Answer(body=page(rows, call.query, SHOWN, call.url), entity="applications")


async def get(call: Call) -> Answer:
    """GET /applications/{id}."""
    found = call.account.cloud.resources.get(application_id(call.account, call.params["applicationId"]))
    if found is None or found.type.lower() != APPLICATION_TYPE.lower():
        raise errors.ApplicationNotFound
    return Answer(body=_view(call, found), entity="applications/@Element")
