"""`exit_codes`: no two rules of a task are about the same end. Which of them would win is documented nowhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..document import Place
from ..model.exit_codes import ExitRule
from ..model.job import JobFile, Task


def overlaps(rules: Sequence[ExitRule]) -> Iterator[tuple[int, str]]:
    """(place of a rule, what it has in common with an earlier one)."""
    named: dict[str, int] = {}
    taken: list[tuple[int, int, int]] = []
    for place, rule in enumerate(rules):
        if rule.when is not None and (other := named.setdefault(rule.when, place)) != place:
            yield place, f"`when: {rule.when}` is in exit_codes.{other} already; make one rule of the two"
        for first, last in rule.codes or ():
            for low, high, other in taken:
                if first <= high and low <= last:
                    yield (
                        place,
                        f"exit code {max(first, low)} is in exit_codes.{other} already; leave it in one of the two",
                    )
            taken.append((first, last, place))


def problems(file: JobFile) -> Iterator[tuple[Place, str]]:
    """Rules of a task that are about the same end."""
    tasks: list[tuple[Place, Task | None]] = [(("tasks", "template"), file.tasks.template)]
    tasks += [(("tasks", "list", index), task) for index, task in enumerate(file.tasks.tasks or ())]
    for place, task in tasks:
        for rule, what in overlaps(task.exit_codes if task else ()):
            yield (*place, "exit_codes", rule), what
