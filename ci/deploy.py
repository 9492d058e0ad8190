"""`python -m ci.deploy STACK`: the promoted image, `up` with the policy pack, nodes, a job that reaches SQL Server.

Each step must succeed before the next; the exit code is that of the step that failed, else 0.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from ci import federation, program, pulumi
from ci.program import Exit, words

SMOKE: Final = "jobs/samples/sql-check.yaml"
"""Four tasks, each of which writes and reads its own row as the nodes' identity."""


def run(stack: str, *, recover_lock: bool, smoke: str, promote_from: str | None = None) -> int:
    """Deploy, wait, prove."""
    environment = dict(os.environ)
    with federation.signed_in(environment) as signed_in:
        environment = {**pulumi.for_stack(stack, environment), **signed_in}
        if promote_from is not None:
            _say(f"promote the image of stack {promote_from} to {stack}")
            code = promote(promote_from, stack, environment)
            if code:
                words(f"error: the image was not promoted: exit code {code}")
                return code
        _say(f"pulumi up of stack {stack}")
        arguments = ("up", "--yes", "--policy-pack", str(pulumi.POLICY))
        code = pulumi.change(stack, environment, *arguments, recover_lock=recover_lock)
        if code:
            words(f"error: pulumi up of stack {stack}: {pulumi.meaning(code)}")
            return code
        for what, arguments in (
            (f"wait for the nodes of stack {stack}", ("pools", "wait")),
            (f"smoke job {smoke}", ("submit", smoke, "--yes", "--watch", "--report")),
        ):
            _say(what)
            code = jobs(stack, environment, *arguments)
            if code:
                words(f"error: {what}: exit code {code}")
                return code
    return Exit.DONE


def promote(source: str, stack: str, environment: Mapping[str, str]) -> int:
    """Give the stack the image that another one runs, by digest: the same bytes, copied between the registries."""
    command = [
        sys.executable,
        "-m",
        "ci.promote",
        "--from",
        pulumi.check_name(source),
        "--to",
        pulumi.check_name(stack),
    ]
    return subprocess.run(command, cwd=pulumi.ROOT, env=dict(environment), check=False).returncode


def jobs(stack: str, environment: Mapping[str, str], *arguments: str) -> int:
    """`python -m jobs`, as a user of the stack would type it."""
    command = [sys.executable, "-m", "jobs", *arguments, "--stack", stack]
    return subprocess.run(command, cwd=pulumi.ROOT, env=dict(environment), check=False).returncode


def _say(step: str) -> None:
    words(f"==> {step}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.deploy", description="Deploy a stack and prove that it works.")
    parser.add_argument("stack", metavar="STACK")
    parser.add_argument(
        "--recover-lock",
        action="store_true",
        help="remove a lock that a cancelled run left; only where no other run of this stack can be alive",
    )
    parser.add_argument("--smoke", default=SMOKE, metavar="FILE", help=f"the job that proves it ({SMOKE})")
    parser.add_argument(
        "--promote-from", metavar="STACK", help="first give it the image that this stack runs, by digest"
    )
    options = parser.parse_args(arguments)
    return program.run(
        lambda: run(
            options.stack,
            recover_lock=options.recover_lock,
            smoke=options.smoke,
            promote_from=options.promote_from,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
