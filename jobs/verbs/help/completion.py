"""`completion SHELL`: a script after which the shell completes verbs, options, jobs, tasks, pools and nodes."""

from __future__ import annotations

import argparse
from typing import Final

from ...exits import Exit
from ...session import Session
from ...terminal.wording import NAME

EXAMPLES: Final = ("completion bash", "completion zsh", "completion fish")
SHELLS: Final = ("bash", "zsh", "fish", "tcsh")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="the shell that reads the script")
    parser.add_argument(
        "--command", default=NAME, metavar="NAME", help=f"the command or alias to complete (default: {NAME})"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    from argcomplete.shell_integration import shellcode

    session.render.data(shellcode([arguments.command], shell=arguments.shell).rstrip("\n"))
    if session.render.on_terminal:  # somebody looks at it; a shell that reads it wants no words
        session.render.words(
            f'use it: eval "$({NAME} completion {arguments.shell})" in the start-up file of {arguments.shell}'
        )
    return Exit.OK
