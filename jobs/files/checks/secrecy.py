"""Values that look like secrets: refused, because definitions are readable by everybody who may read the job.

A task has its node's identity instead: it gets tokens without any secret in a file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from ..document import Place
from ..model.inputs import Input
from ..model.job import JobFile, Program

# Names of variables whose value is a secret, by their end: TOKEN_LIMIT is none.
NAMES: Final = re.compile(
    r"(?:^|_)(?:PASSWORD|PASSWD|PWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|ACCOUNT_?KEY|PRIVATE_?KEY|CONNECTION_?STRING|SAS)$",
    re.IGNORECASE,
)
VALUES: Final = re.compile(
    r"AccountKey=|SharedAccessKey=|(?:Password|Pwd)\s*=\s*[^;\s]|[?&]sig=[\w%]{20}|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|\bgh[pousr]_\w{30}|\bAKIA[0-9A-Z]{16}\b|(?<![\w+/])[\w+/]{86}==",
    re.IGNORECASE,
)
HIDDEN: Final = "(looks like a secret: not shown)"
HIDDEN_KEYS: Final = ("password", "accountKey", "sasKey")  # of registries and of file shares in a definition
ADVICE: Final = "everybody who may read the job would see it; let the task use its node's identity instead"


def problems(file: JobFile) -> Iterator[tuple[Place, str]]:
    """Places of the file with a value that looks like a secret."""
    yield from _in_environment(("job", "environment"), file.job.environment)
    yield from _in_inputs(("job", "inputs"), file.job.inputs)
    programs: list[tuple[Place, Program | None]] = [
        (("job", "preparation"), file.job.preparation),
        (("job", "release"), file.job.release),
        *((("tasks", "list", index), task) for index, task in enumerate(file.tasks.tasks or ())),
        (("tasks", "template"), file.tasks.template),
    ]
    for place, program in programs:
        if program is not None:
            yield from _in_program(place, program)


def looks_secret(values: Mapping[str, str]) -> str | None:
    """The first column of a row whose value looks like a secret."""
    if VALUES.search("\n".join(values.values())) is None:
        return None
    return next((name for name, value in values.items() if VALUES.search(value)), None)


def _in_program(place: Place, program: Program) -> Iterator[tuple[Place, str]]:
    yield from _in_environment((*place, "environment"), program.environment)
    for index, word in enumerate([program.command] if isinstance(program.command, str) else program.command):
        if VALUES.search(word):
            where = ("command",) if isinstance(program.command, str) else ("command", index)
            yield (*place, *where), f"a word looks like a secret; {ADVICE}"
    yield from _in_inputs((*place, "inputs"), program.inputs)


def _in_inputs(place: Place, inputs: Iterable[Input]) -> Iterator[tuple[Place, str]]:
    for index, one in enumerate(inputs):
        if VALUES.search(one.source):
            yield (*place, index, one.kind), f"looks like a secret; {ADVICE}"


def _in_environment(place: Place, environment: Mapping[str, str]) -> Iterator[tuple[Place, str]]:
    for name, value in environment.items():
        if VALUES.search(value) or (NAMES.search(name) and value.strip()):
            yield (*place, name), f"looks like a secret; {ADVICE}"


def masked(wire: Any) -> Any:
    """A definition from the service for people to look at or to pass on: what looks like a secret is not in it."""
    if isinstance(wire, Mapping):
        named = NAMES.search(str(wire.get("name", ""))) and isinstance(wire.get("value"), str)
        return {
            key: HIDDEN if (named and key == "value") or key in HIDDEN_KEYS else masked(value)
            for key, value in wire.items()
        }
    if isinstance(wire, list | tuple):
        return [masked(item) for item in wire]
    return HIDDEN if isinstance(wire, str) and VALUES.search(wire) else wire
