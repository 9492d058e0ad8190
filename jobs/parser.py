"""The command line's parser. Only the verb that is asked for is loaded; the manual and the completion load all."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NoReturn

from .errors import UsageError
from .exits import MEANING, Exit
from .terminal.render import Render
from .terminal.streams import lost_data
from .verbs import VERBS, module, verb_of

ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # of jobs and tasks, as Batch takes them


class Parser(argparse.ArgumentParser):
    """argparse's own way of leaving would hide the exit code in it."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See: {self.prog} --help")

    def print_help(self, file: Any = None) -> None:
        """argparse says nothing when the help cannot be written."""
        render = Render()
        render.data(self.format_help().rstrip("\n"))
        if error := lost_data(render):
            raise error

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """Every value of every verb comes through here: none may be empty, and only paths may be no text."""
        if isinstance(action, argparse._SubParsersAction):
            return super()._get_value(action, arg_string)  # the verb's own parser looks at them
        name = "/".join(action.option_strings) or action.metavar or action.dest
        if not arg_string.strip() and action.default != "":
            self.error(f"argument {name}: it is empty")
        if action.type is not Path and not _is_text(arg_string):
            self.error(f"argument {name}: {arg_string!r} is not text in the encoding of this terminal")
        return super()._get_value(action, arg_string)


def batch_id(text: str) -> str:
    """The type of arguments that name a job or a task: nothing else is asked of the service."""
    if not ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no id; ids have 1 to 64 letters, digits, - and _")
    return text


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def build_parser(wanted: Iterable[str] = VERBS) -> Parser:
    """All verbs by name and help; the wanted ones with their arguments."""
    parser = Parser(
        prog="python -m jobs",
        description="Submit work to Azure Batch and look at it.",
        epilog="exit codes: " + "; ".join(f"{code.value} {MEANING[code]}" for code in Exit),
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    loaded = set(wanted)
    for name, sentence in VERBS.items():
        verb = verbs.add_parser(name, help=sentence, description=f"{sentence[0].upper()}{sentence[1:]}.")
        if name in loaded:
            _common(verb)
            module(name).options(verb)
    return parser


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments. Raises `UsageError`."""
    verb = verb_of(argv)
    rest = argv[len(verb.split()) :]
    return build_parser([verb] if verb else []).parse_args([verb, *rest] if verb else argv)


def _common(parser: argparse.ArgumentParser) -> None:
    """What every verb takes."""
    parser.add_argument(
        "--stack", help="the stack whose outputs say where to go (default: local, where .local/cloud.json exists)"
    )
    parser.add_argument("--outputs", type=Path, metavar="FILE", help="read the stack's outputs from a JSON file")
    parser.add_argument("--json", action="store_true", help="data as JSON lines on stdout")
