"""The worker image: built from `worker/` and pushed to the registry; everybody else names it by digest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi
import pulumi_docker as docker

from infra.naming import IMAGE_REPOSITORY, TYPE_PREFIX
from infra.registry import Registry
from infra.registry_login import USERNAME, registry_password
from infra.settings import WorkerSettings
from infra.worker_source import make_build_context, revision, version

SOURCE: Final = "worker"
BUILD_CONTEXT: Final = ".build/copy-of-worker"
"""The copy that is built. Both are relative to the program's folder, where Pulumi runs the program and its plugins: the
path is part of the plan, and must be the same in every checkout."""

PLATFORM: Final = "linux/amd64"
"""Of the node image (`microsoft-dsvm/ubuntu-hpc`); without it a build on an arm64 machine gives an arm64 image."""


def build_args(context: Path, settings: WorkerSettings) -> dict[str, str]:
    """What the Dockerfile is told: its base, and the values of its OCI labels."""
    labels = {"VERSION": version(context), "REVISION": revision(context)}
    if settings.source is not None:
        labels["SOURCE"] = settings.source
    return {"BASE_IMAGE": settings.base_image, **labels}


@dataclass(frozen=True, kw_only=True)
class WorkerImageArgs:
    """Which registry takes the image, and what it is built on."""

    registry: Registry
    settings: WorkerSettings
    tag: str


class WorkerImage(pulumi.ComponentResource):
    """Builds and pushes `docker-worker`. The tag moves with each push; `reference` (repo@sha256) is what is used."""

    reference: pulumi.Output[str]

    def __init__(self, name: str, args: WorkerImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the image."""
        super().__init__(f"{TYPE_PREFIX}:WorkerImage", name, {}, opts)
        make_build_context(Path(SOURCE), Path(BUILD_CONTEXT))
        image = docker.Image(
            name,
            image_name=args.registry.server.apply(lambda server: f"{server}/{IMAGE_REPOSITORY}:{args.tag}"),
            build=docker.DockerBuildArgs(
                context=BUILD_CONTEXT,
                dockerfile=f"{BUILD_CONTEXT}/Dockerfile",
                platform=PLATFORM,
                args=build_args(Path(SOURCE), args.settings),
            ),
            # Three separate fields, so that the plugin's own diff ignores a new token; with `ignore_changes` the
            # engine would send the previous, expired one.
            registry=docker.RegistryArgs(
                server=args.registry.server, username=USERNAME, password=registry_password(args.registry.server)
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.reference = image.repo_digest
        self.register_outputs({"reference": self.reference})
