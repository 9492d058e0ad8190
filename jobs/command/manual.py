"""docs/jobs.md and the manual pages, made from the parser: `python -m jobs.command.manual > docs/jobs.md`.

A test compares the file with what this prints.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..exits import MEANING, Exit
from ..terminal.wording import NAME
from ..verbs import VERBS
from .parser import build_parser, examples, verb_parsers

HEAD = """# batch-jobs

Submit work to Azure Batch and look at it. Made from the parser by `python -m jobs.command.manual`; do not edit.

The set-up installs the command as `.venv/bin/batch-jobs`; it works from any folder. `. .venv/bin/activate` puts it on
PATH, with its manual pages (`man batch-jobs`, `man batch-jobs-submit`). `.venv/bin/python -m jobs` in the checkout is
the same. Messages print commands as they can be pasted where you are.

Where to go: `--stack NAME` (outputs by the Pulumi CLI; the stack `local` is the
default where `.local/cloud.json` exists) or `--outputs FILE`. If `AZURE_BATCH_ACCOUNT`, `AZURE_BATCH_ACCESS_KEY` and
`AZURE_BATCH_ENDPOINT` are set, they win. Who you are: whatever azure-identity finds (Azure CLI, workload identity,
environment, managed identity); for the stack `local` what `.local/cloud.json` says.

Data goes to stdout, words to stderr; with `--json` stdout has one JSON value a line. Verbs that list things take
`-o table|wide|json|yaml|name`, `--columns` and `--sort`; tables fit the terminal, and are whole in a file or pipe.
Times have a unit (`90s`, `30m`, `1d12h`) or are seconds. `NO_COLOR` and `TERM=dumb` are obeyed. Job files:
`docs/jobfile.md`, `docs/jobfile.schema.json` (for editors) and `jobs/samples/`. Completion of verbs, options, jobs,
tasks, pools and nodes: `eval "$(batch-jobs completion bash)"` in `.bashrc` (zsh, fish and tcsh likewise).

An image of your own, built, pushed to the stack's registry and named in a job file:

    docker build -t my-simulation:1 .
    batch-jobs images push my-simulation:1
    # in the job file, what `push` printed: image: REGISTRY/my-simulation@sha256:...
"""


def manual() -> str:
    """The whole text."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield HEAD
    yield "## Exit codes\n"
    yield "| code | name | meaning |\n|---|---|---|"
    for code in Exit:
        yield f"| {code.value} | {code.name} | {MEANING[code]} |"
    yield ""
    for name, verb in verb_parsers(build_parser(program=NAME)).items():
        yield f"## {name}\n"
        yield f"{verb.description}\n"
        yield f"    {_usage(verb)}\n"
        for action in verb._actions:
            if not isinstance(action, argparse._HelpAction):
                yield f"- `{_form(action)}`" + (f": {action.help}" if action.help else "")
        yield ""
        yield "\n".join(f"    {NAME} {example}" for example in examples(name))
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


def pages() -> Iterator[tuple[str, str]]:
    """Manual pages in man(7)'s macros: the file's name and its text, one for the program and one for each verb."""
    parser = build_parser(program=NAME)
    verbs = verb_parsers(parser)
    listed = [f".TP\n.B {_roff(verb)}\n{_roff(VERBS[verb])}" for verb in verbs]
    codes = [f".TP\n.B {code.value}\n{_roff(MEANING[code])}" for code in Exit]
    yield (
        f"{NAME}.1",
        _page(NAME, parser.description or "", f"{NAME} VERB ...", [("VERBS", listed), ("EXIT STATUS", codes)]),
    )
    for name, verb in verbs.items():
        arguments = [
            f".TP\n.B {_roff(_form(action))}\n{_roff(action.help or '')}"
            for action in verb._actions
            if not isinstance(action, argparse._HelpAction)
        ]
        shown = [f".PP\n.EX\n{_roff(f'{NAME} {example}')}\n.EE" for example in examples(name)]
        sections = [("OPTIONS", arguments), ("EXAMPLES", shown), ("SEE ALSO", [f"{NAME}(1)"])]
        title = f"{NAME}-{name.replace(' ', '-')}"
        yield f"{title}.1", _page(title, VERBS[name], _usage(verb), sections)


def _page(title: str, sentence: str, usage: str, sections: Sequence[tuple[str, Sequence[str]]]) -> str:
    parts = [
        f".TH {title.upper()} 1",
        f".SH NAME\n{_roff(title)} \\- {_roff(sentence)}",
        f".SH SYNOPSIS\n.B {_roff(usage)}",
        *(f".SH {heading}\n" + "\n".join(items) for heading, items in sections),
    ]
    return "\n".join(parts) + "\n"


def _roff(text: str) -> str:
    """Text that troff shows as it is: no escape, no macro, no typographic quote or hyphen."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return "\n".join(f"\\&{line}" if line.startswith(".") else line for line in escaped.splitlines())


def main(argv: list[str]) -> int:
    """`python -m jobs.command.manual` prints docs/jobs.md; with `--man FOLDER` it writes the manual pages there."""
    parser = argparse.ArgumentParser(prog="python -m jobs.command.manual")
    parser.add_argument("--man", type=Path, metavar="FOLDER", help="write manual pages there instead")
    folder = parser.parse_args(argv).man
    if folder is None:
        sys.stdout.write(manual())
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages():
        (folder / name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
