"""Where the main job is played: on the local Azure by `make`, on a subscription by the Pulumi CLI."""

from __future__ import annotations

import json
import os
import time
from functools import cached_property
from pathlib import Path
from typing import Any

from azure.identity import ClientSecretCredential, DefaultAzureCredential
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient

from local.paths import Paths
from tests.scenarios.checkout import SOURCE, Checkout, Run
from tests.scenarios.clients import Clients

SAMPLE = "jobs/samples/hello.yaml"


class Place:
    """A copy of the checkout and the cloud it deploys to."""

    name = "local"
    minutes = 15.0  # for one verb: set-up may make an environment first

    def __init__(self, root: Path) -> None:
        self.checkout = Checkout(root)
        self.seconds: dict[str, float] = {}
        """What was measured, for the report."""

    def timed(self, name: str, *argv: str) -> Run:
        began = time.monotonic()
        done = self.checkout.run(*argv, seconds=60 * self.minutes)
        self.seconds[name] = time.monotonic() - began
        assert done.code == 0, f"{' '.join(argv)}: exit code {done.code}\n{done.text}"
        return done

    def up(self, name: str) -> Run:
        """Deploy, run the sample job, show its output."""
        return self.timed(name, "make", "up")

    def preview(self) -> Run:
        return self.timed("preview", "make", "preview")

    def destroy(self) -> Run:
        return self.timed("destroy", "make", "destroy")

    def outputs(self) -> dict[str, Any]:
        return self.checkout.outputs()

    @cached_property
    def clients(self) -> Clients:
        cloud = self.checkout.cloud
        arm = ResourceManagementClient(
            self.credential,
            cloud["subscription_id"],
            base_url=cloud["arm"],
            credential_scopes=["https://management.azure.com/.default"],
            **self.verify,
        )
        return Clients(self.outputs(), self.credential, arm, **self.verify)

    @property
    def verify(self) -> dict[str, Any]:
        """How Microsoft's clients are told of the local Azure's CA."""
        return {"connection_verify": self.checkout.cloud["ca"]}

    @property
    def credential(self) -> ClientSecretCredential:
        """The local deployer's."""
        cloud = self.checkout.cloud
        return ClientSecretCredential(
            cloud["tenant_id"],
            cloud["client_id"],
            cloud["client_secret"],
            authority=cloud["authority"],
            disable_instance_discovery=True,
            **self.verify,
        )

    def forget_clients(self) -> None:
        """What is deployed next may have other addresses."""
        self.__dict__.pop("clients", None)

    def account_keys(self, outputs: dict[str, Any]) -> dict[str, str]:
        """The linked storage account's keys."""
        cloud = self.checkout.cloud
        storage = StorageManagementClient(
            self.credential,
            cloud["subscription_id"],
            base_url=cloud["arm"],
            credential_scopes=["https://management.azure.com/.default"],
            **self.verify,
        )
        found = storage.storage_accounts.list_keys(outputs["resource_group"], outputs["storage_account"])
        return {f"account key {key.key_name}": str(key.value) for key in found["keys"] or ()}

    @property
    def paths(self) -> Paths:
        return Paths(self.checkout.home)

    def clean_up(self) -> None:
        """Whatever happened: nothing of it stays."""
        python = SOURCE / ".venv" / "bin" / "python"  # `make clean` removes the copy's own
        self.checkout.run(str(python), "-m", "local", "reset", "--yes", "--caches")


class Subscription(Place):
    """Stack `AZURE_STACK` on a real subscription (docs/first-real-run.md says what it needs)."""

    name = "azure"
    minutes = 40.0  # a real node boots for minutes

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.stack = os.environ["AZURE_STACK"]

    def up(self, name: str) -> Run:
        deployed = self.timed(name, "pulumi", "up", "--yes", "--skip-preview", "--stack", self.stack)
        if setup := os.environ.get("AZURE_SQL_SETUP"):  # the identity may be a new one
            (self.checkout.root / "outputs.json").write_text(json.dumps(self.outputs()))
            self.timed(f"{name}: database user", "sh", "-c", f"({setup}) < outputs.json")
        submit = (str(self.checkout.python), "-m", "jobs", "submit", SAMPLE, "--stack", self.stack)
        ran = self.timed(f"{name}: sample job", *submit, "--yes", "--watch", "--report")
        return Run(ran.code, deployed.out + ran.out, deployed.err + ran.err)

    def preview(self) -> Run:
        return self.timed("preview", "pulumi", "preview", "--stack", self.stack)

    def destroy(self) -> Run:
        return self.timed("destroy", "pulumi", "destroy", "--yes", "--skip-preview", "--stack", self.stack)

    def outputs(self) -> dict[str, Any]:
        return json.loads(self.timed("outputs", "pulumi", "stack", "output", "--json", "--stack", self.stack).out)

    @cached_property
    def clients(self) -> Clients:
        credential = DefaultAzureCredential()
        arm = ResourceManagementClient(credential, os.environ["ARM_SUBSCRIPTION_ID"])
        return Clients(self.outputs(), credential, arm)

    def clean_up(self) -> None:
        self.checkout.run(
            "pulumi", "destroy", "--yes", "--skip-preview", "--stack", self.stack, seconds=60 * self.minutes
        )
