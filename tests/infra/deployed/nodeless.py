"""A local Azure of its own without nodes, and stacks of the program on it, by the real Pulumi CLI.

Everything but nodes is as in `make up`: the supervisor and its children, ARM, the plugins, the CLI. The executor is
`noop`: a node is a record. Where the engine and its sockets are is hidden from all of it, so that what runs here is
shown to need none.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from azure.mgmt.resource.resources import ResourceManagementClient

from local.deployment import offline, project, resources, settings
from local.paths import CHECKOUT, Paths
from local.processes.running import read_cloud
from tests.infra.recording import PASSWORDS, PROJECT

SECONDS = 300
NO_ENGINE = "unix:///nowhere/docker.sock"


class NodelessAzure:
    """One running local Azure in a folder of its own."""

    def __init__(self, home: Path) -> None:
        self.paths = Paths(home)
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("LOCAL_AZURE", "DOCKER_"))},
            "LOCAL_AZURE_HOME": str(home),
            "LOCAL_AZURE_EXECUTOR": "noop",
            "DOCKER_HOST": NO_ENGINE,
        }
        self._local("start")
        self.path = _without_docker(home / "bin", os.environ["PATH"])
        self.cloud: dict[str, Any] = read_cloud(self.paths)
        self.scope = f"/subscriptions/{self.cloud['subscription_id']}"

    def stop(self) -> None:
        self._local("stop")

    def _local(self, verb: str) -> None:
        command = [sys.executable, "-m", "local", verb]
        done = subprocess.run(
            command, cwd=CHECKOUT, env=self._environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, f"python -m local {verb}: {done.stdout}{done.stderr}"

    @cached_property
    def arm(self) -> ResourceManagementClient:
        return resources.client(self.cloud)

    def put(self, resource_id: str, version: str, body: dict[str, Any]) -> None:
        """Make a resource by hand, as the portal does."""
        self.arm.resources.begin_create_or_update_by_id(resource_id, body, api_version=version).result()  # pyright: ignore[reportArgumentType]

    def get(self, resource_id: str, version: str) -> dict[str, Any]:
        return self.arm.resources.get_by_id(resource_id, api_version=version).as_dict()

    def groups(self) -> set[str]:
        return {str(group.name) for group in self.arm.resource_groups.list()}

    def listed(self, group: str) -> list[str]:
        """Types of the top-level resources in a group, with their number."""
        found = [str(one.type) for one in self.arm.resources.list_by_resource_group(group)]
        return [f"{kind} {found.count(kind)}" for kind in sorted(set(found))]


class Deployed:
    """One stack of the program: its settings, and commands of the CLI on it."""

    def __init__(self, azure: NodelessAzure, name: str, folder: Path) -> None:
        self.azure = azure
        self.name = name
        self.stack = project.Stack(name, folder, settings.cloud_environment(azure.paths) | {"DOCKER_HOST": NO_ENGINE})

    def configure(self, config: Mapping[str, Any]) -> None:
        """Write the stack file; ids of the tests' subscription and tenant become those of the cloud."""
        secrets = {f"{PROJECT}:{key}": value for key, value in config.items() if key in PASSWORDS}
        plain = {f"{PROJECT}:{key}": value for key, value in config.items() if key not in PASSWORDS}
        text = yaml.safe_dump({"config": plain}, sort_keys=False)
        for ours, theirs in (
            ("00000000-0000-4000-8000-00000000aaaa", self.azure.cloud["subscription_id"]),
            ("00000000-0000-4000-8000-00000000cccc", self.azure.cloud["tenant_id"]),
        ):
            text = text.replace(ours, theirs)
        offline.prepare_stack(self.stack, yaml.safe_load(text), secrets)

    def pulumi(self, *words: str, fails: bool = False) -> str:
        """Run the CLI where no `docker` is on PATH and no engine answers; what it said."""
        cli = project.installation()
        project.write_project_file(self.stack, cli)
        environment = project.environment(self.stack, cli)
        environment["PATH"] = os.pathsep.join([str(cli.pulumi.parent), self.azure.path])
        began = time.monotonic()
        process = subprocess.Popen(
            [str(cli.pulumi), *words, "--non-interactive", "--color=never"],
            cwd=self.stack.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0,
        )
        try:
            said, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            raise AssertionError(f"pulumi {' '.join(words)} took over {SECONDS} s:\n{said}") from None
        assert (process.returncode != 0) is fails, f"pulumi {' '.join(words)}: {process.returncode}\n{said}"
        print(f"pulumi {words[0]}: {time.monotonic() - began:.1f} s")
        return said

    def up(self, *words: str) -> str:
        return self.pulumi("up", "--yes", "--skip-preview", *words)

    def destroy(self, *, fails: bool = False) -> str:
        """With its preview: what is protected is refused there, before anything goes."""
        return self.pulumi("destroy", "--yes", fails=fails)

    def unchanged(self) -> None:
        """A preview and a refresh find nothing to do."""
        self.pulumi("preview", "--expect-no-changes", "--diff")
        self.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes", "--diff")

    def resources(self) -> dict[str, dict[str, Any]]:
        """The state by the resources' names in the program (custom resources only)."""
        state = json.loads(self.pulumi("stack", "export"))
        found = state["deployment"].get("resources") or []
        return {one["urn"].rpartition("::")[2]: one for one in found if one.get("id")}

    def urns(self) -> list[str]:
        state = json.loads(self.pulumi("stack", "export"))
        return [one["urn"] for one in state["deployment"].get("resources") or []]

    def outputs(self) -> dict[str, Any]:
        return json.loads(self.pulumi("stack", "output", "--json"))


def _without_docker(place: Path, path: str) -> str:
    """PATH with every program but `docker`: a folder that has it is replaced by links to everything else in it."""
    folders = []
    for number, folder in enumerate(one for one in path.split(os.pathsep) if one):
        if shutil.which("docker", path=folder):
            links = place / str(number)
            links.mkdir(parents=True)
            for program in Path(folder).iterdir():
                if program.name != "docker":
                    (links / program.name).symlink_to(program)
            folder = str(links)
        folders.append(folder)
    assert shutil.which("docker", path=os.pathsep.join(folders)) is None
    return os.pathsep.join(folders)
