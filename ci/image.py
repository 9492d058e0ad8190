"""`python -m ci.image --tag NAME:TAG`: build the worker image as `up` of a stack would, without pushing it.

For pull requests: the image must build, and its SBOM is made from it. What is deployed is built and pushed once, by
`up` of the first stack, and goes on by digest (`python -m ci.promote`).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from ci import program
from ci.program import PipelineError

ROOT: Final = Path(__file__).resolve().parent.parent
SOURCE: Final = ROOT / "worker"
PLATFORM: Final = "linux/amd64"
"""Of the nodes; a test compares it with the program's."""


def base_image(settings: Mapping[str, Any], file: str) -> str:
    """The base image that a stack's file names. Raises `PipelineError` if it names none."""
    config: Mapping[str, Any] = settings.get("config") or {}
    for key, section in config.items():
        if key.endswith(":worker") and isinstance(section, Mapping) and section.get("base_image"):
            return str(section["base_image"])
    raise PipelineError(
        f"{file} names no worker.base_image",
        cause="the stack takes an image that exists",
        next_step="name a stack that builds its image (--stack dev)",
    )


def command(base: str, tag: str) -> list[str]:
    """`docker build`, with the arguments that the program gives."""
    return ["docker", "build", "--platform", PLATFORM, "--build-arg", f"BASE_IMAGE={base}", "--tag", tag, str(SOURCE)]


def build(stack: str, tag: str) -> int:
    """Run it; its exit code. Raises `PipelineError`."""
    file = ROOT / f"Pulumi.{stack}.yaml"
    try:
        settings = yaml.safe_load(file.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise PipelineError(
            f"{file.name} cannot be read", cause=str(error), next_step="name a stack that has a file"
        ) from None
    try:
        return subprocess.run(command(base_image(settings, file.name), tag), check=False).returncode
    except FileNotFoundError:
        raise PipelineError("there is no `docker` on PATH", next_step="run this where a Docker engine is") from None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.image", description="Build the worker image, for a check.")
    parser.add_argument("--stack", default="dev", help="whose base image is taken (dev)")
    parser.add_argument("--tag", required=True, metavar="NAME:TAG")
    options = parser.parse_args(arguments)
    return program.run(lambda: build(options.stack, options.tag))


if __name__ == "__main__":
    sys.exit(main())
