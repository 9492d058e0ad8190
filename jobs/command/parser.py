"""The command line's parser. Only the verb that is asked for is loaded; the manual and the completion load all."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from ..errors import UsageError
from ..exits import MEANING, Exit
from ..terminal import wording
from ..terminal.render import Render
from ..terminal.streams import lost_data
from ..verbs import VERBS, module, verb_of


class Parser(argparse.ArgumentParser):
    """argparse's own way of leaving would hide the exit code in it."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, next_step=f"{self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """A name that is not among the choices: the nearest is told, or all."""
        if action.choices is None or value in action.choices:
            return
        known = [str(choice) for choice in action.choices]
        near = wording.did_you_mean(str(value), known) or f" (choose from {', '.join(known)})"
        raise argparse.ArgumentError(action, f"invalid choice: {value!r}{near}")

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


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of examples and exit codes, and has room for the longest verb beside its help."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=max(map(len, VERBS)) + 6)


def _exit_line(code: Exit) -> str:
    indent = " " * 6
    return textwrap.fill(MEANING[code], 78, initial_indent=f"  {code.value:<4}", subsequent_indent=indent)


class _Version(argparse.Action):
    """What runs here is found out only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from .version import version

        Render().data(version())
        parser.exit()


def build_parser(wanted: Iterable[str] = VERBS, *, program: str | None = None) -> Parser:
    """All verbs by name and help; the wanted ones with their arguments. `program`: as what messages name it."""
    program = program or wording.invocation()
    parser = Parser(
        prog=program,
        description="Submit work to Azure Batch and look at it.",
        epilog="\n".join(["exit codes:", *map(_exit_line, Exit)]),
        formatter_class=_Formatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="which version this is, and of what")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=Parser)
    loaded = set(wanted)
    for name, sentence in VERBS.items():
        verb = verbs.add_parser(
            name,
            help=sentence,
            description=f"{sentence[0].upper()}{sentence[1:]}.",
            formatter_class=_Formatter,
        )
        if name in loaded:
            _common(verb)
            chosen = module(name)
            chosen.options(verb)
            verb.epilog = "\n".join(["examples:", *(f"  {program} {example}" for example in examples(name))])
    return parser


def examples(verb: str) -> tuple[str, ...]:
    """Command lines that show a verb, without the program's name."""
    return getattr(module(verb), "EXAMPLES", ())


def verb_parsers(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Verb -> its parser."""
    verbs = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(verbs.choices)


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments. Raises `UsageError`."""
    verb = verb_of(argv)
    parser = build_parser([verb] if verb else [])
    arguments, rest = parser.parse_known_args([verb, *argv[len(verb.split()) :]] if verb else argv)
    if rest:
        chosen = verb_parsers(parser)[arguments.verb]
        known = [option for action in chosen._actions for option in action.option_strings if option.startswith("--")]
        near = wording.did_you_mean(rest[0].partition("=")[0], known) if rest[0].startswith("-") else ""
        raise UsageError(f"unrecognized arguments: {' '.join(rest)}{near}", next_step=f"{chosen.prog} --help")
    return arguments


def _common(parser: argparse.ArgumentParser) -> None:
    """What every verb takes."""
    parser.add_argument(
        "--stack", help="the stack whose outputs say where to go (default: local, where .local/cloud.json exists)"
    )
    parser.add_argument("--outputs", type=Path, metavar="FILE", help="read the stack's outputs from a JSON file")
    parser.add_argument("--json", action="store_true", help="data as JSON lines on stdout")
