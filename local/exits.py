"""Exit codes of `python -m local`, Pulumi's among them: the pipelines' scripts (`ci/`) know Pulumi's from here, too."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """What the process ends with; `up`, `preview`, `destroy` and `pulumi` end with Pulumi's own code."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INTERRUPTED = 130
    # sdk/go/common/util/cmdutil/exit.go of Pulumi 3.274
    PULUMI_NOT_SIGNED_IN = 3
    PULUMI_RESOURCE_FAILED = 4
    PULUMI_POLICY = 5
    PULUMI_NO_STACK = 6
    PULUMI_WOULD_CHANGE = 7
    PULUMI_CANCELLED = 8
    PULUMI_TIMED_OUT = 9
    PULUMI_DEFECT = 255


PULUMI: Final[dict[int, str]] = {
    0: "done",
    1: "failed",
    2: "wrong options or settings",
    Exit.PULUMI_NOT_SIGNED_IN: "not signed in",
    Exit.PULUMI_RESOURCE_FAILED: "a resource failed",
    Exit.PULUMI_POLICY: "refused by a policy",
    Exit.PULUMI_NO_STACK: "there is no such stack",
    Exit.PULUMI_WOULD_CHANGE: "something would change, and --expect-no-changes was given",
    Exit.PULUMI_CANCELLED: "cancelled",
    Exit.PULUMI_TIMED_OUT: "timed out",
    Exit.PULUMI_DEFECT: "an error of its own; releases before 3.274 use it for every failure",
}
"""What Pulumi's own codes mean."""

MEANING: Final[dict[Exit, str]] = {
    Exit.DONE: "done",
    Exit.FAILED: "it could not be done, a deployment failed, or (status) the local Azure does not run; "
    "the message says why",
    Exit.USAGE: "the command line is wrong; nothing was done",
    Exit.INTERRUPTED: "Ctrl-C; the same command goes on where it stopped",
    **{code: f"Pulumi: {PULUMI[code]}" for code in Exit if code in PULUMI and code.name.startswith("PULUMI_")},
}
