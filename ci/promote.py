"""Promotion of the worker image: what one stack has tested, another stack runs, byte for byte.

    python -m ci.promote --from dev --to prod               copies the image and writes its digest into Pulumi.prod.yaml
    python -m ci.promote --from dev --to prod --dry-run     says what it would do
    python -m ci.promote --from dev --to prod --name-only   before the first `up` of prod: its registry is not there yet

The image is copied between registries by Azure (`az acr import`), by digest, under a tag that names it. Then one
line of the stack file is changed; `pulumi up -s prod`, or the pull request with that line, does the rest. Who runs this
needs to read the first registry and to write to the second (Contributor, or the roles of `registry.pushers`).

Exit code: 0 done or nothing to do, 1 the copy failed, 2 wrong arguments or a stack that cannot be promoted.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ci import program, pulumi
from ci.program import Exit, PipelineError, data, words

ROOT: Final = Path(__file__).resolve().parent.parent
_REFERENCE: Final = re.compile(r"(?P<server>[^/@]+)/(?P<repository>[^@]+)@(?P<digest>sha256:[0-9a-f]{64})")
_IMAGE_LINE: Final = re.compile(
    r"^(?P<before> +image: +)(?P<quote>[\"']?)(?P<image>\S+?@sha256:[0-9a-f]{64})(?P=quote)(?P<after> *(#.*)?)$",
    re.MULTILINE,
)


class PromotionError(PipelineError):
    """Why nothing was promoted, and what to do."""


@dataclass(frozen=True)
class Promotion:
    """What is to be done: a copy, unless both stacks share a registry, and the stack file's new text."""

    copy: tuple[str, ...] | None
    digest: str
    text: str


def plan(source: str, server: str | None, text: str) -> Promotion:
    """How the image `source` (server/repository@digest) comes to the registry `server`, and into a stack file's `text`.

    Without a server nothing is copied, and only the digest in the text changes.
    Raises PromotionError if the source is no image by digest, or the file has not exactly one image by digest.
    """
    found = _REFERENCE.fullmatch(source)
    if found is None:
        raise PromotionError(
            f"{source!r} is no image by digest", next_step="deploy the stack first (output worker_image)"
        )
    repository, digest = found["repository"], found["digest"]
    lines = list(_IMAGE_LINE.finditer(text))
    if len(lines) != 1:
        raise PromotionError(
            f"the stack file has {len(lines)} lines like `image: {repository}@sha256:...`",
            next_step="write one under `worker`",
        )
    (line,) = lines
    # A name without a server is the stack's own registry, whatever it is called.
    name = line["image"].partition("@")[0]
    if server is not None:
        name = f"{server}/{repository}" if "/" in name else repository
    new = f"{line['before']}{line['quote']}{name}@{digest}{line['quote']}{line['after']}"
    copy = None
    if server is not None and found["server"].lower() != server.lower():
        tag = f"{repository}:{digest.replace(':', '-')[:19]}"
        copy = (
            "az",
            "acr",
            "import",
            "--name",
            server,  # az takes its cloud's suffix off
            "--source",
            source,
            "--image",
            tag,
            "--force",
        )
    return Promotion(copy, digest, f"{text[: line.start()]}{new}{text[line.end() :]}")


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m ci.promote", description="Promote the worker image.")
    parser.add_argument("--from", dest="source", required=True, metavar="STACK", help="the stack that has tested it")
    parser.add_argument("--to", dest="target", required=True, metavar="STACK", help="the stack that shall run it")
    parser.add_argument("--registry", metavar="SERVER", help="the target's registry, if that stack is not deployed yet")
    parser.add_argument(
        "--name-only",
        action="store_true",
        help="write the digest and copy nothing: the target's first `up` makes its registry, then promote again",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done")
    options = parser.parse_args(arguments)
    return program.run(lambda: run(options))


def run(options: argparse.Namespace) -> Exit:
    """Copy the image, then write its digest into the stack file. Raises `PromotionError`."""
    file = ROOT / f"Pulumi.{options.target}.yaml"
    before = file.read_text()
    server = None if options.name_only else options.registry or _output(options.target, "registry_server")
    promotion = plan(_output(options.source, "worker_image"), server, before)
    if promotion.copy is not None:
        words(shlex.join(promotion.copy))
        if not options.dry_run and subprocess.run(promotion.copy, check=False).returncode:
            words("error: the image was not copied, and the stack file is as it was")
            return Exit.FAILED
    changed = promotion.text != before
    if changed and not options.dry_run:
        file.write_text(promotion.text)
    said = "would name" if options.dry_run else "names"
    data(f"{file.name}: {said} {promotion.digest}" if changed else f"{file.name}: names {promotion.digest} already")
    return Exit.DONE


def _output(stack: str, name: str) -> str:
    """One output of a deployed stack."""
    command = ["pulumi", "stack", "output", name, "--stack", stack]
    try:
        environment = pulumi.for_stack(stack, os.environ)  # each stack may have a state of its own
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PromotionError("there is no `pulumi` on PATH", next_step="install the Pulumi CLI") from None
    if done.returncode:
        raise PromotionError(
            f"stack {stack} has no output {name}", cause=done.stderr.strip(), next_step="deploy the stack first"
        )
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
