"""The plans of several stacks, made as the job's identity: what a preview and a drift check share.

`python -m ci.promote` gives a stack the digest that proved itself in the one before. The pipeline does not commit it,
so the file in the main branch may name an older one, and a plan of that file would show a change that nobody made: with
`deployed_image` it is made for the image that is deployed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import yaml

from ci import federation, pulumi
from ci.plans import comment
from ci.plans.plan import Plan
from ci.program import PipelineError, words

KEY: Final = "azure-batch-platform:worker"
OUTPUT: Final = "worker_image"

_IMAGE_HELP: Final = "where a stack takes an image by digest: the one that is deployed (changes Pulumi.STACK.yaml here)"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Which stacks, and which image they are compared with."""
    parser.add_argument("stacks", nargs="+", metavar="STACK")
    parser.add_argument("--deployed-image", action="store_true", help=_IMAGE_HELP)


def make(
    stacks: Sequence[str],
    environment: Mapping[str, str],
    *options: str,
    promoted: bool,
    settled: bool = False,
    golden: Callable[[str], Sequence[str]] = lambda stack: (),
) -> list[Plan]:
    """A preview of each stack with these options of Pulumi's.

    `promoted`: with the image that is deployed. `golden` gives the difference of a stack's golden preview. `settled`:
    raises `PipelineError` where something would change and a deployment is under way, of which half would be told.
    """
    plans = []
    with federation.signed_in(environment) as signed_in:
        environment = {**environment, **signed_in}
        for stack in stacks:
            if promoted:
                deployed_image(stack, environment)
            plan = pulumi.preview(stack, environment, *options, golden=golden(stack))
            if settled and plan.exit_code and (names := pulumi.unfinished(stack, environment)):
                raise PipelineError(
                    f"stack {stack} is being changed: {', '.join(names)}",
                    cause="a deployment runs, or one was killed; what differs is not told",
                    next_step="run this again when it is over; the next deployment settles what a killed one left",
                )
            plans.append(plan)
    return plans


def say(plans: Sequence[Plan]) -> None:
    """One line for each stack, on stderr, and its errors; of a traceback only the last line, where the reason is."""
    for plan in plans:
        verdict = "" if plan.ok else f" ({pulumi.meaning(plan.exit_code)})"
        words(f"{plan.stack}: {comment.headline(plan).replace('*', '')}{verdict}")
        for error in plan.errors:
            lines = error.strip().splitlines()
            for line in lines[-1:] if "Traceback (most recent call last):" in error else lines:
                # Behind the stack's name, so that it is never read as a workflow command.
                words(f"{plan.stack}: {line}")


def names_an_image(settings: Mapping[str, Any]) -> bool:
    """Whether a stack's file takes an image that exists instead of building one."""
    worker = (settings.get("config") or {}).get(KEY)
    return isinstance(worker, Mapping) and bool(worker.get("image"))


def deployed_image(stack: str, environment: Mapping[str, str]) -> str | None:
    """Write the image that is deployed into the stack's file of this checkout; what was written, None if nothing.

    Raises `PipelineError` if the stack takes an image and its outputs cannot be read.
    """
    file = pulumi.ROOT / f"Pulumi.{pulumi.check_name(stack)}.yaml"
    settings: dict[str, Any] = yaml.safe_load(file.read_text()) if file.exists() else {}
    if not names_an_image(settings or {}):
        return None
    image = pulumi.outputs(stack, environment).get(OUTPUT)
    if not image:
        return None
    settings["config"][KEY] = {**settings["config"][KEY], "image": image}
    file.write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    return str(image)
