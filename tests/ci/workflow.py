"""A workflow file as a runner of GitHub's reads it: jobs in the order of their needs, and the `run:` lines of each.

Only what our workflows use is known; an expression, an action or a key that is not known here is an error, so that a
workflow cannot come to do something which the rehearsal does not do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[2] / ".github" / "workflows"
PREPARED = {
    "actions/checkout": "a fresh clone of the commit",
    "./.github/actions/setup": "the packages of this checkout, and the CLI on PATH",
    "azure/login": "the `az` that plays is signed in",
}
"""Actions whose work the rehearsal does before the first command, and how."""
KEYS = {"run", "env", "uses", "with", "name"}
EXPRESSION = re.compile(r"\$\{\{ *([\w.]+) *\}\}")
CONDITION = re.compile(r"(\S+) == (\S+)")


@dataclass(frozen=True)
class Command:
    """A `run:` line, and the variables that the file gives it."""

    line: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Job:
    """A job that runs: the GitHub environment it is in, and its commands in order."""

    name: str
    environment: str
    commands: tuple[Command, ...]


class Workflow:
    """One workflow in one run. `context` has what expressions may name: {"vars.X": ..., "github.token": ...}."""

    def __init__(self, name: str, context: Mapping[str, str]) -> None:
        self._body: dict[Any, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
        self._context = context

    def jobs(self) -> Iterator[tuple[str, bool]]:
        """Names of the jobs with steps of their own, after all that they need; whether the job's `if` lets it run."""
        left: dict[str, Any] = dict(self._body["jobs"])
        while left:
            name = next(name for name, body in left.items() if body.get("needs") not in left)
            body = left.pop(name)
            if "uses" not in body:
                yield name, self._holds(body.get("if", ""))

    def environment_of(self, job: str) -> str:
        return self._body["jobs"][job]["environment"]

    def job(self, name: str, variables: Mapping[str, str]) -> Job:
        """The job with the `vars` of its environment put in."""
        body, known = self._body["jobs"][name], {**self._context, **variables}
        commands = []
        for step in body["steps"]:
            assert set(step) <= KEYS, f"the rehearsal does not know {set(step) - KEYS} of a step"
            if "uses" in step:
                action = step["uses"].partition("@")[0]
                assert action in PREPARED, f"the rehearsal does not know what {action} does"
                continue
            given = {**self._body.get("env", {}), **body.get("env", {}), **step.get("env", {})}
            commands.append(Command(step["run"], {key: _filled(str(text), known) for key, text in given.items()}))
        return Job(name, body["environment"], tuple(commands))

    def _holds(self, condition: str) -> bool:
        if not condition:
            return True
        found = CONDITION.fullmatch(condition)
        assert found, f"the rehearsal does not know the condition {condition!r}"
        left, right = (word.strip("'") if word.startswith("'") else self._context[word] for word in found.groups())
        return left == right


def _filled(text: str, known: Mapping[str, str]) -> str:
    filled = EXPRESSION.sub(lambda found: known[found[1]], text)
    assert "${{" not in filled, f"the rehearsal does not know the expression {filled!r}"
    return filled
