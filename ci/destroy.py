"""`python -m ci.destroy STACK --typed NAME`: remove a stack, by hand, if its name is typed and nothing is protected.

The exit code: 0 gone, 1 refused or not all gone (what is left is named), 2 it could not be run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from typing import Any

from ci import federation, program, pulumi
from ci.program import Exit, PipelineError, words


def protected(deployment: Mapping[str, Any]) -> list[str]:
    """Names of the resources that Pulumi would refuse to delete."""
    return [_name(one) for one in deployment.get("resources") or () if one.get("protect")]


def left(deployment: Mapping[str, Any]) -> list[str]:
    """Names of the resources that are still in a state."""
    return [_name(one) for one in deployment.get("resources") or () if one.get("custom")]


def used(deployment: Mapping[str, Any]) -> list[str]:
    """Ids of what the stack only uses: scopes of its role assignments that are not, and are in nothing, of its own."""
    resources = [one for one in deployment.get("resources") or () if one.get("custom")]
    own = tuple(f"{one['id']}/".lower() for one in resources if str(one.get("id", "")).startswith("/subscriptions/"))
    scopes = {
        str((one.get("inputs") or {}).get("scope") or "")
        for one in resources
        if one["type"].endswith(":RoleAssignment")
    }
    return sorted(scope for scope in scopes if scope and not f"{scope}/".lower().startswith(own))


def run(stack: str, typed: str, *, recover_lock: bool) -> int:
    """Refuse, or destroy and say what is left."""
    if typed != stack:
        raise PipelineError(
            f"the typed name is {typed!r}, the stack is {stack!r}", next_step="type the stack's name exactly"
        )
    environment = dict(os.environ)
    with federation.signed_in(environment) as signed_in:
        environment |= signed_in
        before = deployment(stack, environment)
        if guarded := protected(before):
            raise PipelineError(
                f"stack {stack} has protected resources: {', '.join(guarded)}",
                cause="nothing was deleted",
                next_step="set protect: false in the stack's file, deploy that, then destroy (docs/policy.md)",
            )
        code = pulumi.change(stack, environment, "destroy", "--yes", recover_lock=recover_lock)
        remaining = left(deployment(stack, environment))
    for name in remaining:
        words(f"left: {name}")
    for resource_id in used(before):
        words(f"kept: {resource_id}, which the stack only used; its rights there are taken away")
    if code:
        words(f"error: pulumi destroy of stack {stack}: {pulumi.meaning(code)}. Run it again: it goes on")
        return Exit.FAILED
    words(f"stack {stack}: {'nothing is left' if not remaining else f'{len(remaining)} resources are left'}")
    return Exit.FAILED if remaining else Exit.DONE


def deployment(stack: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The stack's state. Raises `PipelineError`."""
    done = pulumi.ask(pulumi.for_stack(stack, environment), "stack", "export", "--stack", stack)
    try:
        return json.loads(done.out)["deployment"] if done.code == 0 else _unreadable(stack, done)
    except (ValueError, KeyError, TypeError):
        return _unreadable(stack, done)


def _unreadable(stack: str, done: pulumi.Done) -> dict[str, Any]:
    raise PipelineError(
        f"the state of stack {stack} cannot be read",
        cause=done.err.strip() or pulumi.meaning(done.code),
        next_step="see that the stack exists (`pulumi stack ls`) and that PULUMI_BACKEND_URL is right",
    )


def _name(resource: Mapping[str, Any]) -> str:
    return " ".join(str(resource["urn"]).split("::")[2:]).rpartition("$")[2]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.destroy", description="Remove a stack that is not protected.")
    parser.add_argument("stack", metavar="STACK")
    parser.add_argument(
        "--typed", required=True, metavar="NAME", help="the stack's name once more, as a person typed it"
    )
    parser.add_argument("--recover-lock", action="store_true", help="as for python -m ci.deploy")
    options = parser.parse_args(arguments)
    return program.run(lambda: run(options.stack, options.typed, recover_lock=options.recover_lock))


if __name__ == "__main__":
    sys.exit(main())
