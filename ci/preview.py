"""`python -m ci.preview STACK...`: what `up` of each stack would do, as the job's summary and a pull request's comment.

The exit code: 0 if every preview succeeded and keeps the policies, 1 if not, 2 if it could not be run or told.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import Final

from ci import github, golden, program, pulumi
from ci.plans import comment, making
from ci.program import Exit, PipelineError, words

MARKER: Final = "<!-- azure-batch-platform: plan -->"


def golden_difference(stack: str, base: str | None) -> list[str]:
    """How the golden preview of a stack differs from that of another revision; empty without one."""
    if base is None:
        return []
    path = f"ci/golden/{stack}.txt"
    shown = subprocess.run(
        ["git", "show", f"{base}:{path}"], cwd=pulumi.ROOT, capture_output=True, text=True, check=False
    )
    if shown.returncode and "does not exist" not in shown.stderr and "exists on disk" not in shown.stderr:
        raise PipelineError(
            f"{path} of {base} cannot be read",
            cause=shown.stderr.strip(),
            next_step="check out with enough history: fetch-depth 2 for a pull request",
        )
    before = shown.stdout if shown.returncode == 0 else ""
    return golden.difference(stack, before, golden.accepted(stack)).splitlines()


def run(stacks: list[str], *, base: str | None, commented: bool, promoted: bool) -> int:
    """Preview the stacks, write the summary, edit the comment."""
    environment = dict(os.environ)
    # Before any code of the pull request's program runs.
    request = None
    if commented or environment.get("GITHUB_EVENT_NAME", "").startswith("pull_request"):
        request = github.pull_request(environment)
    made = making.make(stacks, environment, promoted=promoted, golden=lambda stack: golden_difference(stack, base))
    github.write_summary(comment.pull_request(made, comment.SUMMARY_LIMIT), environment)
    if commented and request is not None:
        done = github.GitHub.of(environment).comment(request.number, MARKER, comment.pull_request(made))
        words(f"comment on pull request {request.number}: {done}")
    making.say(made)
    return Exit.DONE if all(plan.ok for plan in made) else Exit.FAILED


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.preview", description="Preview stacks and tell what changes.")
    making.arguments(parser)
    parser.add_argument("--base", metavar="REVISION", help="show how the golden previews differ from this revision's")
    parser.add_argument("--comment", action="store_true", help="make or edit the pull request's comment")
    options = parser.parse_args(arguments)
    return program.run(
        lambda: run(options.stacks, base=options.base, commented=options.comment, promoted=options.deployed_image)
    )


if __name__ == "__main__":
    sys.exit(main())
