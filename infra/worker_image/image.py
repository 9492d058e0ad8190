"""The worker image: built from `worker/` and pushed to the registry, or one that exists; all name it by digest."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi

from infra.access.people import PusherAccess
from infra.naming import IMAGE_REPOSITORY, TYPE_PREFIX
from infra.registry import Registry
from infra.settings.cloud import WorkerSettings
from infra.worker_image.login import USERNAME, registry_password
from infra.worker_image.source import make_build_context, revision, tree_id, version

SOURCE: Final = "worker"
BUILD_CONTEXT: Final = ".build/copy-of-worker"
"""The copy that is built. Both are relative to the program's folder, where Pulumi runs the program and its plugins: the
path is part of the plan, and must be the same in every checkout."""

PLATFORM: Final = "linux/amd64"
"""Of the node image (`microsoft-dsvm/ubuntu-hpc`); without it a build on an arm64 machine gives an arm64 image."""


def build_args(context: Path, settings: WorkerSettings) -> dict[str, str]:
    """The build arguments of the Dockerfile: its base image, and the values of its OCI labels."""
    labels = {"VERSION": version(context), "REVISION": revision(context)}
    if settings.source is not None:
        labels["SOURCE"] = settings.source
    return {"BASE_IMAGE": settings.base_image or "", **labels}


def stand_in(settings: WorkerSettings) -> str:
    """What stands for the image before it is there: its own name, or what it would be built from.

    The engine builds it again exactly when this changes: pulumi-docker compares the files of the context and these
    arguments.
    """
    if settings.image is not None:
        return settings.image
    return f"{tree_id(Path(SOURCE))} {json.dumps(build_args(Path(SOURCE), settings), sort_keys=True)}"


@dataclass(frozen=True, kw_only=True)
class WorkerImageArgs:
    """Which registry takes the image, who may push to it, and what it is built on."""

    registry: Registry
    access: PusherAccess
    settings: WorkerSettings
    tag: str


class WorkerImage(pulumi.ComponentResource):
    """The image `docker-worker`, built and pushed, or one that exists. `reference` (repo@sha256) is what is used."""

    reference: pulumi.Output[str]

    def __init__(self, name: str, args: WorkerImageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare the image, unless it exists already: then no engine is asked for anything."""
        super().__init__(f"{TYPE_PREFIX}:WorkerImage", name, {}, opts)
        if args.settings.image is not None:
            self.reference = _full_reference(args.settings.image, args.registry.server)
        else:
            self.reference = self._built(name, args)
        self.register_outputs({"reference": self.reference})

    def _built(self, name: str, args: WorkerImageArgs) -> pulumi.Output[str]:
        import pulumi_docker as docker  # a stack with an image of its own does not pay for it (`deployer.py`)

        make_build_context(Path(SOURCE), Path(BUILD_CONTEXT))
        # The tag moves with each push.
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
            opts=pulumi.ResourceOptions(parent=self, depends_on=[args.access]),
        )
        return image.repo_digest


def _full_reference(image: str, server: pulumi.Output[str]) -> pulumi.Output[str]:
    """With the stack's registry before a name that has no server. A first part with a dot or a port is one."""
    first, slash, _ = image.partition("/")
    if slash and ("." in first or ":" in first):
        return pulumi.Output.from_input(image)
    return server.apply(lambda known: f"{known}/{image}")
