"""Runs the real program under the real SDK with a recording monitor: every resource's inputs and options as plain data.

`pulumi.runtime.set_mocks` alone does not show a resource's options (dependencies, delete-before-replace), so the
monitor underneath it is subclassed and keeps each registration request.
"""

from __future__ import annotations

import asyncio
import gc
import json
import runpy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pulumi
import yaml
from pulumi.runtime import mocks as sdk_mocks
from pulumi.runtime import rpc, settings
from pulumi.runtime.proto import resource_pb2

from infra.access.roles import Role
from infra.settings.cloud import EXAMPLE_DIGEST
from infra.settings.types import EXAMPLE_ID

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = "azure-batch-platform"
SUBSCRIPTION = "00000000-0000-4000-8000-00000000aaaa"
DEPLOYER = "00000000-0000-4000-8000-00000000bbbb"
TENANT = "00000000-0000-4000-8000-00000000cccc"
CLIENT_TOKEN = "entra-token-of-the-deployer"
REFRESH_TOKEN = "refresh-token-of-the-registry"
SUBMITTERS = "22222222-2222-4222-8222-"
"""How the object ids begin that stand in tests where a stack file has examples."""
PASSWORDS = {"adminPassword": "admin-password-for-tests", "userPassword": "user-password-for-tests"}
DIGEST = "sha256:" + "d" * 64


@dataclass
class Registered:
    """One registration, as the engine would get it."""

    name: str
    type: str
    custom: bool
    inputs: dict[str, Any]
    secret_inputs: set[str]
    urn: str
    parent: str
    dependencies: list[str]
    delete_before_replace: bool | None
    replace_on_changes: list[str]
    ignore_changes: list[str]


@dataclass
class Run:
    """What a program registered, asked and exported."""

    resources: list[Registered] = field(default_factory=list)
    invokes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    secret_outputs: set[str] = field(default_factory=set)

    def of_type(self, ending: str) -> list[Registered]:
        """Resources whose type token ends so."""
        return [resource for resource in self.resources if resource.type.endswith(ending)]

    def only(self, ending: str) -> Registered:
        """The one resource of that type."""
        (resource,) = self.of_type(ending)
        return resource

    def named_like(self, beginning: str) -> Registered:
        """The one custom resource whose name begins so."""
        (resource,) = [item for item in self.resources if item.name.startswith(beginning) and item.custom]
        return resource

    def named(self, name: str) -> Registered:
        """The one custom resource of that name."""
        (resource,) = [item for item in self.resources if item.name == name and item.custom]
        return resource


class CloudMocks(pulumi.runtime.Mocks):
    """Answers as Azure would, with labelled placeholders for what only the cloud knows."""

    def __init__(self, run: Run, deployed: Mapping[str, Any] | None = None, deployer: str = DEPLOYER) -> None:
        self.run = run
        self.deployed = dict(deployed or {})
        self.deployer = deployer

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict]:
        state = dict(args.inputs)
        kind = args.typ.rsplit(":", 1)[-1]
        name = str(physical_name(args.typ, args.inputs) or args.name)
        identifier = resource_id(args.typ, args.inputs, name)
        state["name"] = name
        if identities := (args.inputs.get("identity") or {}).get("userAssignedIdentities"):
            empty = {"principalId": "from-azure", "clientId": "from-azure"}
            state["identity"] = {**args.inputs["identity"], "userAssignedIdentities": dict.fromkeys(identities, empty)}
        if kind == "UserAssignedIdentity":
            state |= {"principalId": f"principal-of-{name}", "clientId": "11111111-2222-3333-4444-555555555555"}
        elif kind == "StorageAccount":
            state["primaryEndpoints"] = {"blob": f"https://{name}.blob.core.windows.net/"}
        elif kind == "Registry":
            state["loginServer"] = f"{name}.azurecr.io"
        elif kind == "BatchAccount":
            state["accountEndpoint"] = f"{name}.westeurope.batch.azure.com"
        elif kind == "Image":
            state["repoDigest"] = args.inputs["imageName"].rsplit(":", 1)[0] + "@" + DIGEST
        return identifier, state

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        self.run.invokes.append((args.token, dict(args.args)))
        if args.token.endswith("getClientConfig"):
            return {
                "clientId": self.deployer,
                "objectId": self.deployer,
                "subscriptionId": SUBSCRIPTION,
                "tenantId": TENANT,
            }
        if args.token == "pulumi:pulumi:readStackOutputs":
            return {"name": args.args["name"], "outputs": self.deployed, "secretOutputNames": []}
        if args.token.endswith("getClientToken"):
            return {"token": CLIENT_TOKEN}
        raise AssertionError(f"the program asked for {args.token}")


def physical_name(token: str, inputs: Mapping[str, Any]) -> str | None:
    """The name a resource has in Azure."""
    keys = {
        "ResourceGroup": "resourceGroupName",
        "UserAssignedIdentity": "resourceName",
        "StorageAccount": "accountName",
        "BlobContainer": "containerName",
        "Registry": "registryName",
        "BatchAccount": "accountName",
        "Pool": "poolName",
        "RoleAssignment": "roleAssignmentName",
        "PrivateEndpoint": "privateEndpointName",
        "ActionGroup": "actionGroupName",
    }
    return inputs.get(keys.get(token.rsplit(":", 1)[-1], ""))


def resource_id(token: str, inputs: Mapping[str, Any], name: str) -> str:
    """A resource id in Azure's form."""
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{inputs.get('resourceGroupName', name)}"
    account = inputs.get("accountName", "")
    return {
        "ResourceGroup": group,
        "UserAssignedIdentity": f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}",
        "StorageAccount": f"{group}/providers/Microsoft.Storage/storageAccounts/{name}",
        "BlobContainer": f"{group}/providers/Microsoft.Storage/storageAccounts/{account}/blobServices/default"
        f"/containers/{name}",
        "Registry": f"{group}/providers/Microsoft.ContainerRegistry/registries/{name}",
        "BatchAccount": f"{group}/providers/Microsoft.Batch/batchAccounts/{name}",
        "PrivateEndpoint": f"{group}/providers/Microsoft.Network/privateEndpoints/{name}",
        "ActionGroup": f"{group}/providers/Microsoft.Insights/actionGroups/{name}",
        "Pool": f"{group}/providers/Microsoft.Batch/batchAccounts/{account}/pools/{name}",
        "RoleAssignment": f"{inputs.get('scope')}/providers/Microsoft.Authorization/roleAssignments/{name}",
    }.get(token.rsplit(":", 1)[-1], name)


class RecordingMonitor(sdk_mocks.MockMonitor):
    """Keeps every registration, then answers through the mocks."""

    def __init__(self, mocks: CloudMocks) -> None:
        super().__init__(mocks)
        self.recorded = mocks.run

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> Any:
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            inputs = rpc.deserialize_properties(request.object, keep_unknowns=True)
            self.recorded.resources.append(
                Registered(
                    name=request.name,
                    type=request.type,
                    custom=request.custom,
                    inputs=reveal(inputs),
                    secret_inputs={key for key, value in inputs.items() if contains_secret(value)},
                    urn=response.urn,
                    parent=request.parent,
                    dependencies=sorted(request.dependencies),
                    delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
                    replace_on_changes=list(request.replaceOnChanges),
                    ignore_changes=list(request.ignoreChanges),
                )
            )
        return response

    def RegisterResourceOutputs(self, request: resource_pb2.RegisterResourceOutputsRequest) -> Any:
        if request.urn.split("::")[2] == "pulumi:pulumi:Stack":
            outputs = rpc.deserialize_properties(request.outputs, keep_unknowns=True)
            self.recorded.outputs = reveal(outputs)
            self.recorded.secret_outputs = {key for key, value in outputs.items() if contains_secret(value)}
        return super().RegisterResourceOutputs(request)


def contains_secret(value: Any) -> bool:
    """Whether a wire value holds a secret anywhere."""
    if rpc.is_rpc_secret(value):
        return True
    if isinstance(value, Mapping):
        return any(contains_secret(item) for item in value.values())
    return isinstance(value, list) and any(contains_secret(item) for item in value)


def reveal(value: Any) -> Any:
    """A wire value without its secret marks."""
    if rpc.is_rpc_secret(value):
        return reveal(rpc.unwrap_rpc_secret(value))
    if isinstance(value, Mapping):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def stack_config(stack: str) -> dict[str, Any]:
    """A stack file's config as data, without the project's name, with test values for examples and passwords."""
    place = {"local": ROOT / "local", "full": ROOT / "tests" / "infra"}.get(stack, ROOT)
    text = (place / f"Pulumi.{stack}.yaml").read_text()
    text = text.replace(EXAMPLE_ID[:24], SUBMITTERS).replace(EXAMPLE_DIGEST, DIGEST)
    config = yaml.safe_load(text)["config"]
    own = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items() if key.startswith(PROJECT)}
    return own | (PASSWORDS if "users" in own else {})


def set_config(
    values: Mapping[str, Any], secret: Iterator[str] | tuple[str, ...] = tuple(PASSWORDS), project: str = PROJECT
) -> None:
    """Give the SDK a config as the language host would: every value a string, data as JSON."""
    texts = {
        f"{project}:{key}": value if isinstance(value, str) else json.dumps(value) for key, value in values.items()
    }
    pulumi.runtime.set_all_config(texts, [f"{project}:{key}" for key in secret])


def run_program(
    stack: str,
    *,
    preview: bool = False,
    config: Mapping[str, Any] | None = None,
    run: Run | None = None,
    deployed: Mapping[str, Any] | None = None,
    deployer: str = DEPLOYER,
    program: Path = ROOT / "__main__.py",
    project: str = PROJECT,
) -> Run:
    """Run a program (the platform's) as stack `stack` and return what it did (also in `run`, should it fail).

    `deployed` are the stack's outputs of the last `up`, `deployer` the object id of who deploys now.
    """
    run = run or Run()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    mocks = CloudMocks(run, deployed, deployer)
    pulumi.runtime.set_mocks(mocks, project=project, stack=stack, preview=preview, monitor=RecordingMonitor(mocks))
    settings.ROOT.set(None)  # `set_mocks` made a stack of its own; the program gets a fresh one, as from the CLI
    settings._get_rpc_manager().clear()
    settings.SETTINGS.outputs.clear()  # pyright: ignore[reportAttributeAccessIssue]  # a failed program's leftovers
    set_config(stack_config(stack) if config is None else config, project=project)

    async def main() -> None:
        # The program's own process ends with it; the one of the tests lives on.
        with patch.object(gc, "disable"), patch.object(gc, "freeze"):
            runpy.run_path(str(program), run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(main))
    finally:
        left = asyncio.all_tasks(loop)  # after a failure the SDK leaves registrations half way, and nobody asks for
        loop.set_exception_handler(lambda loop, context: None)  # their exceptions: the first one was raised here
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        asyncio.set_event_loop(asyncio.new_event_loop())
    return run


def waits_for(resource: Registered) -> set[str]:
    """The names of what is made before a resource."""
    return {urn.rsplit("::", 1)[-1] for urn in resource.dependencies}


def assignments(run: Run) -> set[tuple[str, Role, str]]:
    """(principal, role, last part of the scope)"""
    return {
        (
            item.inputs["principalId"],
            Role(item.inputs["roleDefinitionId"].rsplit("/", 1)[-1]),
            item.inputs["scope"].rsplit("/", 1)[-1],
        )
        for item in run.of_type(":RoleAssignment")
    }


def ids_of_ours(run: Run) -> set[str]:
    """The names of the resources that the program makes, role assignments apart."""
    return {item.name for item in run.resources if item.custom and ":RoleAssignment" not in item.type}


_EXISTING = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-shared/providers"
BROUGHT: dict[str, Any] = {
    "registry": {"id": f"{_EXISTING}/Microsoft.ContainerRegistry/registries/shared"},
    "storage": {"id": f"{_EXISTING}/Microsoft.Storage/storageAccounts/shared"},
    "node_identity": {
        "id": f"{_EXISTING}/Microsoft.ManagedIdentity/userAssignedIdentities/nodes",
        "client_id": "11111111-2222-3333-4444-0000000000c1",
        "principal_id": "11111111-2222-3333-4444-0000000000b1",
    },
    "network": {"subnet_id": f"{_EXISTING}/Microsoft.Network/virtualNetworks/hub/subnets/batch"},
}
"""Settings that name existing resources for all that a stack can be given."""
