"""`completion SHELL`: a script that completes verbs, options and files, made from the parser. It asks no service."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from typing import Final

from ..exits import Exit
from ..session import Session

SHELLS: Final = ("bash", "zsh")
FUNCTION: Final = "_python_m_jobs"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)
    parser.add_argument(
        "--command",
        default="jobs",
        metavar="NAME",
        help="the alias or function that runs `python -m jobs` (default: jobs)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    from ..parser import build_parser

    session.render.data(script(words_of(build_parser()), arguments.shell, arguments.command))
    return Exit.OK


def words_of(parser: argparse.ArgumentParser) -> dict[str, list[str]]:
    """Verb -> its options and choices, and the second words of verbs that have two; "" -> the verbs."""
    verbs = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    found: dict[str, list[str]] = {}
    for name, verb in verbs.choices.items():
        words = [option for action in verb._actions for option in action.option_strings if option.startswith("--")]
        words += [
            str(choice) for action in verb._actions if not action.option_strings for choice in action.choices or ()
        ]
        first, _, second = name.partition(" ")
        found.setdefault(first, []).extend([second, *words] if second else words)
    found[""] = [name for name in found if name]
    return found


def script(words: Mapping[str, list[str]], shell: str, command: str) -> str:
    """bash's own form; zsh reads it through bashcompinit."""
    cases = "\n".join(f"    {name}) words={shlex.quote(' '.join(found))} ;;" for name, found in words.items() if name)
    head = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return f"""{head}# Completion of `{command}` for {shell}: eval "$(python -m jobs completion {shell})"
# `{command}` is yours to make: alias {command}='python -m jobs'
{FUNCTION}() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" verb="" word words
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in -*) ;; *) verb="$word"; break ;; esac
  done
  case "$verb" in
    "") words={shlex.quote(" ".join(words[""]))} ;;
{cases}
    *) words="" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [ -n "$verb" ] && [ "${{current#-}}" = "$current" ]; then
    COMPREPLY+=($(compgen -f -- "$current"))
  fi
}}
complete -o filenames -F {FUNCTION} {shlex.quote(command)}"""
