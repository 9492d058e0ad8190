"""docs/jobs.md, made from the parser: `python -m jobs.manual > docs/jobs.md`. A test compares the two."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from .exits import MEANING, Exit
from .parser import build_parser

HEAD = """# python -m jobs

Submit work to Azure Batch and look at it. Made from the parser by `python -m jobs.manual`; do not edit.

Where to go: `--stack NAME` (outputs by the Pulumi CLI; the stack `local` is the
default where `.local/cloud.json` exists) or `--outputs FILE`. If `AZURE_BATCH_ACCOUNT`, `AZURE_BATCH_ACCESS_KEY` and
`AZURE_BATCH_ENDPOINT` are set, they win. Who you are: whatever azure-identity finds (Azure CLI, workload identity,
environment, managed identity); for the stack `local` what `.local/cloud.json` says.

Data goes to stdout, words to stderr; with `--json` stdout has one JSON value a line. Job files: `docs/jobfile.md`,
`docs/jobfile.schema.json` (for editors) and `jobs/samples/`. Completion: `eval "$(python -m jobs completion bash)"`.
"""


def manual() -> str:
    """The whole text."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    parser = build_parser()
    verbs = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    yield HEAD
    yield "## Exit codes\n"
    yield "| code | name | meaning |\n|---|---|---|"
    for code in Exit:
        yield f"| {code.value} | {code.name} | {MEANING[code]} |"
    yield ""
    for name, verb in verbs.choices.items():
        yield f"## {name}\n"
        yield f"{verb.description}\n"
        yield f"    {_usage(verb)}\n"
        for action in verb._actions:
            if not isinstance(action, argparse._HelpAction):
                yield f"- `{_form(action)}`" + (f": {action.help}" if action.help else "")
        yield ""


def _usage(verb: argparse.ArgumentParser) -> str:
    """One line, whatever the terminal's width."""
    parts = []
    for action in verb._actions:
        if isinstance(action, argparse._HelpAction):
            continue
        form = _form(action).split(", ")[-1]
        parts.append(f"[{form}]" if action.option_strings and not action.required else form)
    return f"{verb.prog} {' '.join(parts)}"


def _form(action: argparse.Action) -> str:
    choices = "{" + ",".join(map(str, action.choices)) + "}" if action.choices else ""
    value = str(action.metavar or choices or action.dest.upper())
    if not action.option_strings:
        return {"?": f"[{value}]", "+": f"{value} ...", "*": f"[{value} ...]", "...": f"[{value} ...]"}.get(
            str(action.nargs), value
        )
    return ", ".join(option if action.nargs == 0 else f"{option} {value}" for option in action.option_strings)


if __name__ == "__main__":
    sys.stdout.write(manual())
