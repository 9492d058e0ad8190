"""The job file's shape and every rule that needs no service: design 3.6. Unknown keys are refused."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PositiveInt,
    Tag,
    WithJsonSchema,
    model_validator,
)

from ..durations import duration

ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # Batch: up to 64 letters, digits, '-' and '_'
SHELL_WORDS: Final = {"&&", "||", "|", ";", ">", ">>", "<", "&"}
SOURCES: Final = ("list", "sweep", "rows", "blobs", "python")
ZIP: Final = "zip"  # in a sweep: not a placeholder, but values that go together
# What Batch has and this file does not, by name: nobody shall believe that it was taken.
NOT_YET: Final = {
    "depends_on": "dependencies between tasks are not there yet; submit the second step when the first one ended",
    "dependencies": "dependencies between tasks are not there yet; submit the second step when the first one ended",
    "exit_codes": "rules for exit codes are not there yet; a task fails with every exit code but 0",
    "exit_conditions": "rules for exit codes are not there yet; a task fails with every exit code but 0",
    "preparation": "job preparation is not there yet; the pool's start task prepares nodes",
    "release": "job release is not there yet",
    "resource_files": "input files are not there yet; the task reads blobs with its node's identity",
    "multi_instance": "multi-instance tasks are not there yet",
}


def text(value: Any) -> Any:
    """A number is taken as the text it was most likely meant to be; yes and no are not: YAML changes their spelling."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"expected a text, got {value!r}; put it in quotes")
    return str(value) if isinstance(value, int | float) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?$", "examples": ["90s", "1d12h"]}),
]
Text = Annotated[str, BeforeValidator(text), WithJsonSchema({"type": ["string", "number"]})]
EnvironmentName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Environment = dict[EnvironmentName, Text]
Retries = Annotated[int, Field(ge=-1, le=100, strict=True)]


class Section(BaseModel):
    """A mapping of the file. Frozen; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Output(Section):
    """Files to keep: a pattern relative to the task's working directory, and when."""

    files: Text
    when: Literal["success", "failure", "always"] = "always"


class Task(Section):
    """One task, or the template for many."""

    id: Text
    image: Text = "worker"
    command: list[Text] | str = Field(default_factory=list)
    shell: bool = False
    entrypoint: Text | None = None
    environment: Environment = {}
    outputs: list[Output] = []
    max_retries: Retries | None = None
    max_wall_clock: Duration | None = None
    slots: PositiveInt = 1
    retention: Duration | None = None

    @model_validator(mode="after")
    def _command_fits_shell(self) -> Self:
        if self.shell and (not isinstance(self.command, str) or not self.command.strip()):
            raise ValueError("with `shell: true`, `command` is one text, for example `command: date && hostname`")
        if self.shell and self.entrypoint is not None:
            raise ValueError("`shell: true` is its own entrypoint (/bin/sh); leave one of the two out")
        if not self.shell and isinstance(self.command, str):
            raise ValueError(
                "`command` is one text and no shell is asked for; write a list of words, or add `shell: true`"
            )
        if not self.shell and (words := SHELL_WORDS.intersection(self.command)):
            raise ValueError(
                f"{sorted(words)[0]!r} is for a shell, and Batch uses none; write one text and `shell: true`"
            )
        return self


class Range(Section):
    """`{range: [first, last]}`, both included; a third number is the step."""

    range: list[Annotated[int, Field(strict=True)]] = Field(min_length=2, max_length=3)

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        first, last, step = *self.range[:2], [*self.range, 1][2]
        if step < 1 or last < first:
            raise ValueError(f"expected [first, last] or [first, last, step] going up, got {self.range}")
        return self

    def values(self) -> list[str]:
        first, last, step = *self.range[:2], [*self.range, 1][2]
        return [str(number) for number in range(first, last + 1, step)]


class Dates(Section):
    """`{dates: [2026-01-01, 2026-01-31]}`, both included; a third number is the step in days."""

    dates: list[date | Annotated[int, Field(strict=True)]] = Field(min_length=2, max_length=3)

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        first, last, step = *self.dates[:2], [*self.dates, 1][2]
        good = isinstance(first, date) and isinstance(last, date) and first <= last
        if not good or not isinstance(step, int) or step < 1:
            raise ValueError("expected [first, last] or [first, last, days] going up, like [2026-01-01, 2026-01-31]")
        return self

    def values(self) -> list[str]:
        first, last, step = *self.dates[:2], [*self.dates, 1][2]
        assert isinstance(first, date)
        assert isinstance(last, date)
        assert isinstance(step, int)
        return [(first + timedelta(days=day)).isoformat() for day in range(0, (last - first).days + 1, step)]


def _kind(value: Any) -> str | None:
    """Which of the forms of a sweep's values this is; None is told as an error."""
    if isinstance(value, list | Range | Dates):
        return {list: "list", Range: "range", Dates: "dates"}[type(value)]
    if isinstance(value, dict):
        return next((name for name in ("range", "dates") if name in value), "zip")
    return None


_FORMS: Final = "expected a list of values, {range: [1, 31]} or {dates: [2026-01-01, 2026-01-31]}"
Listed = Annotated[list[Text], Tag("list")]
Ranged = Annotated[Range, Tag("range")]
Dated = Annotated[Dates, Tag("dates")]
_Told = Discriminator(_kind, custom_error_type="sweep_values", custom_error_message=_FORMS)
Values = Annotated[Listed | Ranged | Dated, _Told]
SweepValues = Annotated[Listed | Ranged | Dated | Annotated[dict[str, Values], Tag("zip")], _Told]


class Blobs(Section):
    """One task for each blob. Placeholders: `{name}`, `{file}`, `{stem}`, `{slug}` (for ids), `{url}`, `{size}`."""

    container: str = Field(pattern=r"^[a-z0-9](?:-?[a-z0-9])+$", min_length=3, max_length=63)
    prefix: str = ""


class Rows(Section):
    """One task a row: a .jsonl file of objects, or a .csv file with a header. Relative to the job file."""

    file: str = Field(pattern=r"\.(jsonl|csv)$")


class Tasks(Section):
    """Where tasks come from: `list`, or `template` with exactly one of the other sources."""

    template: Task | None = None
    tasks: Annotated[list[Task] | None, Field(alias="list", min_length=1)] = None
    sweep: dict[str, SweepValues] | None = Field(default=None, min_length=1)
    rows: Rows | None = None
    blobs: Blobs | None = None
    python: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = (self.tasks, self.sweep, self.rows, self.blobs, self.python)
        given = [name for name, value in zip(SOURCES, sources, strict=True) if value is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(SOURCES)}, got {', '.join(given) or 'none'}")
        if (self.template is None) != (given == ["list"]):
            raise ValueError(
                "`list` has whole tasks: leave `template` out"
                if given == ["list"]
                else f"`{given[0]}` needs a `template`"
            )
        for name, values in (self.sweep or {}).items():
            if values == [] or values == {}:
                raise ValueError(f"sweep.{name} has no values")
            if isinstance(values, dict):
                _check_zip(name, values)
        return self


def _check_zip(name: str, columns: dict[str, Any]) -> None:
    """A mapping in a sweep is only `zip`, and its columns are equally long."""
    if name != ZIP:
        raise ValueError(f"sweep.{name}: {_FORMS}; values that go together are under `zip`")
    lengths = {column: len(listed(values)) for column, values in columns.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        told = ", ".join(f"{column} has {length}" for column, length in lengths.items())
        raise ValueError(f"sweep.zip: values that go together are equally many and not none; {told}")


def listed(values: Any) -> list[str]:
    """The values of one sweep entry."""
    return values if isinstance(values, list) else values.values()


class Job(Section):
    """The job: its family (and so its container), id, pool, and what all tasks share."""

    family: Text
    id: Text = "{family}-{time}"
    pool: Text = "default"
    environment: Environment = {}
    max_retries: Retries = 0
    max_wall_clock: Duration | None = None
    retention: Duration | None = None
    priority: Annotated[int, Field(ge=-1000, le=1000, strict=True)] = 0
    max_parallel: PositiveInt | None = None


class JobFile(Section):
    """A whole file."""

    job: Job
    tasks: Tasks
