"""`python -m tests.jobs.command.at_a_terminal VERB ...`: the command line on the stack of a busy day, in memory.

For tests in a terminal, and for looking at what a verb draws there.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from jobs.clock import SystemClock
from jobs.command import cli
from jobs.service import registry
from jobs.session import Session
from jobs.terminal import streams
from jobs.terminal.render import Render
from tests.jobs.dashboard.exhibit import OneRegistry, busy_day


def main() -> int:
    scene = busy_day()

    def session(arguments: argparse.Namespace, render: Render | None = None) -> Session:
        clock = SystemClock() if "--watch" in sys.argv else scene.clock
        made = replace(scene.session, render=render or Render(), clock=clock)
        made.__dict__["connection"] = scene.session.connection
        return made

    cli._session = session
    registry.Registry = OneRegistry  # type: ignore[assignment, misc]
    streams.prepare()
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
