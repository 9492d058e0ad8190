"""The job file's shape and every rule that needs no service: design 3.6. Unknown keys are refused."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveInt, model_validator

from ..durations import duration

ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # Batch: up to 64 letters, digits, '-' and '_'
SHELL_WORDS: Final = {"&&", "||", "|", ";", ">", ">>", "<", "&"}
NOT_YET: Final = ("blobs", "python")
SOURCES: Final = ("list", "sweep", "rows")


def text(value: Any) -> Any:
    """A number is taken as the text it was most likely meant to be; yes and no are not: YAML changes their spelling."""
    if isinstance(value, bool) or value is None:
        raise ValueError(f"expected a text, got {value!r}; put it in quotes")
    return str(value) if isinstance(value, int | float) else value


Duration = Annotated[timedelta, BeforeValidator(duration)]
Text = Annotated[str, BeforeValidator(text)]
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


class Rows(Section):
    """One task a row: a .jsonl file of objects, or a .csv file with a header. Relative to the job file."""

    file: str = Field(pattern=r"\.(jsonl|csv)$")


class Tasks(Section):
    """Where tasks come from: `list`, or `template` with exactly one of the other sources."""

    template: Task | None = None
    tasks: Annotated[list[Task] | None, Field(alias="list", min_length=1)] = None
    sweep: dict[str, Range | list[Text]] | None = Field(default=None, min_length=1)
    rows: Rows | None = None

    @model_validator(mode="before")
    @classmethod
    def _known_sources(cls, value: Any) -> Any:
        for name in NOT_YET:
            if isinstance(value, dict) and name in value:
                raise ValueError(f"`{name}` is not there yet; use one of {', '.join(SOURCES)}")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [
            name for name, value in zip(SOURCES, (self.tasks, self.sweep, self.rows), strict=True) if value is not None
        ]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(SOURCES)}, got {', '.join(given) or 'none'}")
        if (self.template is None) != (given == ["list"]):
            raise ValueError(
                "`list` has whole tasks: leave `template` out"
                if given == ["list"]
                else f"`{given[0]}` needs a `template`"
            )
        if self.sweep is not None and (empty := [name for name, values in self.sweep.items() if values == []]):
            raise ValueError(f"sweep.{empty[0]} has no values")
        return self


class Job(Section):
    """The job: its family (and so its container), id, pool, and what all tasks share."""

    family: Text
    id: Text = "{family}-{time}"
    pool: Text = "default"
    environment: Environment = {}
    max_retries: Retries = 0
    max_wall_clock: Duration | None = None


class JobFile(Section):
    """A whole file."""

    job: Job
    tasks: Tasks
