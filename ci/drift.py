"""`python -m ci.drift STACK...`: whether Azure is still what the program says; one issue tells what differs.

The exit code: 0 if nothing differs or `--issue` told it, 7 (as Pulumi's) if something differs and no issue tells it,
1 if a preview failed, 2 if it could not be run or told.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Final

from ci import github, program
from ci.plans import comment, making
from ci.program import Exit, words

MARKER: Final = "<!-- azure-batch-platform: drift -->"
TITLE: Final = "Azure is not what the program says"
OVER: Final = "The last check found no difference any more."


def run(stacks: list[str], *, told: bool, promoted: bool) -> int:
    """Compare each stack with Azure; open, edit or close the issue."""
    environment = dict(os.environ)
    made = making.make(stacks, environment, "--refresh", "--expect-no-changes", promoted=promoted, settled=True)
    failed = [plan for plan in made if not plan.ok]
    differing = [plan for plan in made if plan.ok and plan.would_change]
    making.say(made)
    if failed or differing:
        github.write_summary(comment.drift([*failed, *differing], comment.SUMMARY_LIMIT), environment)
    if told:
        api = github.GitHub.of(environment)
        if failed or differing:
            done = api.issue(TITLE, MARKER, comment.drift([*failed, *differing]))
        else:
            done = api.close_issue(MARKER, OVER)
        words(f"issue: {done}")
    if failed:
        return Exit.FAILED
    return Exit.DIFFERS if differing and not told else Exit.DONE


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.drift", description="Compare stacks with what is in Azure.")
    making.arguments(parser)
    parser.add_argument("--issue", action="store_true", help="open, edit or close the issue that tells it")
    options = parser.parse_args(arguments)
    return program.run(lambda: run(options.stacks, told=options.issue, promoted=options.deployed_image))


if __name__ == "__main__":
    sys.exit(main())
