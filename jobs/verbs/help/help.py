"""`help [VERB]`: what `VERB --help` shows."""

from __future__ import annotations

import argparse
from typing import Final

from ...errors import UsageError
from ...exits import Exit
from ...session import Session
from ...terminal.wording import did_you_mean
from .. import VERBS

EXAMPLES: Final = ("help", "help submit")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="VERB", nargs="?", help="the verb; without one, the list of all")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    from ...command.parser import build_parser, verb_parsers

    verb = arguments.topic
    if verb is not None and verb not in VERBS:
        near = did_you_mean(verb, VERBS) or f"; there are: {', '.join(VERBS)}"
        raise UsageError(f"there is no verb {verb!r}{near}", next_step="python -m jobs --help")
    parser = build_parser([verb] if verb else [])
    text = (verb_parsers(parser)[verb] if verb else parser).format_help()
    session.render.data(text.rstrip("\n"))
    return Exit.OK
