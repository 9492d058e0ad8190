"""The plans of several stacks, made as the job's identity: what a preview and a drift check share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ci import comment, federation, pulumi, settings
from ci.errors import PipelineError
from ci.plan import Plan

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
                settings.deployed_image(stack, environment)
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
    """One line for each stack, on stderr, and one for each of its errors: the last of the text, where the reason is."""
    for plan in plans:
        verdict = "" if plan.ok else f" ({pulumi.meaning(plan.exit_code)})"
        print(f"{plan.stack}: {comment.headline(plan).replace('*', '')}{verdict}", file=sys.stderr)
        for error in plan.errors:
            # Behind the stack's name, so that it is never read as a workflow command.
            print(f"{plan.stack}: {error.strip().splitlines()[-1]}", file=sys.stderr)
