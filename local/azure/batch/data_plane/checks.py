"""What must hold between the properties of a body, beyond what each must be: pools, resource files, packages."""

from __future__ import annotations

from typing import Any

from local.azure.batch import errors
from local.azure.batch.account.account import Account
from local.azure.batch.account.images import check_image
from local.azure.batch.data_plane import endpoints
from local.azure.batch.errors import invalid
from local.azure.batch.scheduling import autoscaling

_SOURCES = ("autoStorageContainerName", "storageContainerUrl", "httpUrl")
_MAX_PACKAGES = 10
APPLICATION_TYPE = "Microsoft.Batch/batchAccounts/applications"


def check_pool(account: Account, body: dict[str, Any]) -> dict[str, Any]:
    """A pool's definition (of a pool, or of an auto pool) with its endpoints filled in; what cannot work is refused.
    One part of it may be checked alone."""
    machine = body.get("virtualMachineConfiguration")
    if machine is not None:
        check_image(machine["imageReference"], machine["nodeAgentSKUId"])
    _check_scale(body)
    check_metadata(body)
    if "startTask" in body:
        check_files(body["startTask"], "startTask.")
    names = [one["name"].lower() for one in body.get("userAccounts", ())]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise invalid(f"userAccounts[{index}].name", name, "two users have this name")
    for index, one in enumerate(body.get("userAccounts", ())):
        linux = one.get("linuxUserConfiguration", {})
        if ("uid" in linux) != ("gid" in linux):
            raise invalid(f"userAccounts[{index}].linuxUserConfiguration", linux, "give both uid and gid, or neither")
    check_packages(account, body.get("applicationPackageReferences", []), "applicationPackageReferences")
    if "networkConfiguration" not in body:
        return body
    subnet_id = body["networkConfiguration"].get("subnetId")
    if subnet_id is not None and not _subnet_exists(account, subnet_id):
        raise invalid("subnetId", subnet_id, "The specified subnet does not exist.")
    return {**body, "networkConfiguration": endpoints.checked(body["networkConfiguration"])}


def check_metadata(body: dict[str, Any]) -> None:
    """Each item of a job's or pool's metadata has a name."""
    if any(not one["name"] for one in body.get("metadata", ())):
        raise errors.EmptyMetadataKey


def _subnet_exists(account: Account, subnet_id: str) -> bool:
    """Whether ARM has the subnet: as a resource of its own, or as a part of its virtual network."""
    if account.cloud.resources.get(subnet_id) is not None:
        return True
    network_id, _, name = subnet_id.rpartition("/subnets/")
    network = account.cloud.resources.get(network_id) if network_id else None
    parts = [] if network is None else network.properties.get("subnets") or []
    return name.lower() in [str(one.get("name", "")).lower() for one in parts]


def _check_scale(body: dict[str, Any]) -> None:
    """Fixed targets and a formula exclude one another (documented)."""
    automatic = body.get("enableAutoScale", False)
    if automatic and not body.get("autoScaleFormula"):
        raise errors.MissingRequiredProperty(details=[("PropertyName", "autoScaleFormula")])
    if automatic:
        autoscaling.accept(body["autoScaleFormula"])
    for name in ("autoScaleFormula", "autoScaleEvaluationInterval"):
        if not automatic and name in body:
            raise invalid(name, body[name], "it must not be given unless enableAutoScale is true")
    for name in ("targetDedicatedNodes", "targetLowPriorityNodes"):
        if automatic and body.get(name):
            raise invalid(name, body[name], "it must not be given if enableAutoScale is true")


def check_files(definition: dict[str, Any], path: str = "") -> None:
    """Each resource file has exactly one source, and what belongs to that source only (REST reference)."""
    for index, file in enumerate(definition.get("resourceFiles", ())):
        here = f"{path}resourceFiles[{index}]"
        sources = [name for name in _SOURCES if name in file]
        if len(sources) != 1:
            raise invalid(here, sources, f"give exactly one of {', '.join(_SOURCES)}")
        if sources == ["httpUrl"] and not file.get("filePath"):
            raise invalid(f"{here}.filePath", "", "it is required with httpUrl")
        if sources == ["httpUrl"] and "blobPrefix" in file:
            raise invalid(f"{here}.blobPrefix", file["blobPrefix"], "it goes with a container only")


def check_packages(account: Account, references: list[dict[str, Any]], path: str) -> None:
    """The packages exist in the account and are active (documented); at most ten [guess: how more are refused]."""
    if len(references) > _MAX_PACKAGES:
        raise invalid(path, len(references), f"at most {_MAX_PACKAGES} packages")
    for one in references:
        application = account.cloud.resources.get(application_id(account, one["applicationId"]))
        if application is not None and application.type.lower() == APPLICATION_TYPE.lower():
            version = one.get("version") or application.properties.get("defaultVersion")
            package = account.cloud.resources.get(f"{application.id}/versions/{version}")
            if package is not None and package.system.get("state") == "Active":
                continue
        raise errors.InvalidApplicationPackageReferences(details=[("ApplicationId", one["applicationId"])])


def application_id(account: Account, reference: str) -> str:
    """The ARM id of an application that is named by its id in the account, or by its ARM id."""
    return reference if "/" in reference else f"{account.resource_id}/applications/{reference}"
