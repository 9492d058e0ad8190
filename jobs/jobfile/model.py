"""The job file's shape and every rule that needs no service: design 3.6. Unknown keys are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from math import prod
from typing import Annotated, Any, Final, Literal, Self, overload

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from .container import Container
from .document import Plain
from .exit_codes import ExitRule
from .fields import ENVIRONMENT_NAME, Duration, Environment, Flag, Positive, Retries, Section, Text, Whole
from .lines import Lines, Place

SHELL_WORDS: Final = {"&&", "||", "|", ";", ">", ">>", "<", "&"}
SOURCES: Final = ("list", "sweep", "rows", "blobs", "python")
ZIP: Final = "zip"  # in a sweep: not a placeholder, but values that go together
RELEASE_LIMIT: Final = timedelta(minutes=15)  # azure-batch 15.1, `BatchJobReleaseTask.max_wall_clock_time`
LAST_NUMBER: Final = 2**31 - 1  # of a range of ids: int32 in the REST reference
MOST_SWEPT: Final = 10_000_000  # tasks of a sweep: more are a typing error
_ID_NUMBER: Final = re.compile(r"[0-9]{1,64}")
_RANGE_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
CONTAINER: Final = r"^[a-z0-9](?:-?[a-z0-9])+$"
ROWS_FILE: Final = r"(?i:\.(jsonl|ndjson|csv))$"
FUNCTION: Final = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$"
FORMS: Final = {  # patterns in words
    ENVIRONMENT_NAME: "a variable's name of letters, digits and '_'",
    CONTAINER: "a container's name of lower case letters, digits and single '-'",
    ROWS_FILE: "a file that ends with .jsonl or .csv",
    FUNCTION: "module:function, like items:rows for the function rows in items.py",
}
# What Batch has and this file does not (or by another name): nobody shall believe that it was taken.
NOT_YET: Final = {
    "dependencies": "did you mean 'depends_on'? It is a list of task ids",
    "exit_conditions": "did you mean 'exit_codes'? It is a list like [{codes: [65], dependency_action: satisfy}]",
    "resource_files": "input files are not there yet; the task reads blobs with its node's identity",
    "multi_instance": "multi-instance tasks are not there yet; a task runs on one node; `slots` is how much of it",
}


class Output(Section):
    """Files to keep: a pattern relative to the task's working directory, and when."""

    files: Text
    when: Literal["success", "failure", "always"] = "always"


class Program(Section):
    """What runs in a container: an image and a command line."""

    image: Text = "worker"
    command: list[Text] | Text = Field(default_factory=list)
    shell: Flag = False
    entrypoint: Text | None = None
    environment: Environment = Field(default_factory=dict)
    container: Container = Container()

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


class IdRange(Section):
    """`{range: [first, last]}`: all tasks whose ids are the whole numbers from first to last, both included.

    Placeholders may stand for the numbers; when they give two empty texts, there is no range.
    """

    range: list[Text] = Field(min_length=2, max_length=2)

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        if not any("{" in number for number in self.range):
            self.numbers()
        return self

    def numbers(self) -> tuple[int, int] | None:
        """First and last; None for no range. Raises `ValueError` when they are no numbers that go up."""
        if not any(number.strip() for number in self.range):
            return None
        first, last = (int(number) if _ID_NUMBER.fullmatch(number.strip()) else -1 for number in self.range)
        if not 0 <= first <= last <= LAST_NUMBER:
            raise ValueError(f"expected {{range: [first, last]}} of whole numbers going up, got {self.range}")
        return first, last


def _reference(value: Any) -> str | None:
    """Whether an entry of `depends_on` is an id or a range; None is told as an error."""
    if isinstance(value, dict | IdRange):
        return "range"
    return None if isinstance(value, list | bool) or value is None else "id"


Reference = Annotated[
    Annotated[Text, Tag("id")] | Annotated[IdRange, Tag("range")],
    Discriminator(
        _reference,
        custom_error_type="reference",
        custom_error_message="expected the id of a task, or {range: [1, 10]} for tasks with numbers as ids",
    ),
]


class Task(Program):
    """One task, or the template for many."""

    id: Text
    outputs: list[Output] = Field(default_factory=list)
    depends_on: list[Reference] = Field(default_factory=list)
    exit_codes: list[ExitRule] = Field(default_factory=list)
    max_retries: Retries | None = None
    max_wall_clock: Duration | None = None
    slots: Positive = 1
    retention: Duration | None = None


class Preparation(Program):
    """Run on a node before the first task of the job there: a warm-up. Its limits are its own, or the job's."""

    max_retries: Retries | None = None
    max_wall_clock: Duration | None = None
    wait_for_success: Flag = True


class Release(Program):
    """Run when the job ends on every node that was prepared: to undo what the preparation did."""

    max_wall_clock: Duration | None = None

    @field_validator("max_wall_clock")
    @classmethod
    def _ends_in_time(cls, limit: Duration | None) -> Duration | None:
        if limit is not None and limit > RELEASE_LIMIT:
            raise ValueError("Batch gives a release 15m at most; write 15m or less")
        return limit


class Listing(Sequence[str]):
    """The values of a range, made when they are asked for: a million of them take no memory."""

    def __init__(self, count: int, value: Callable[[int], str]) -> None:
        self._count = count
        self._value = value

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        if isinstance(place, slice):
            return [self._value(one) for one in range(self._count)[place]]
        return self._value(range(self._count)[place])


def _range_number(value: str) -> str:
    if not _RANGE_NUMBER.fullmatch(value):
        raise ValueError(f"expected a whole number, got {Plain(value)!r}")
    return value


class Range(Section):
    """`{range: [first, last]}`, both included; a third number is the step.

    With zeros before the first number all have its width: `[01, 12]` gives 01, 02, ... 12.
    """

    range: list[Annotated[Text, AfterValidator(_range_number)]] = Field(min_length=2, max_length=3)

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        first, last, step = self._numbers
        written = f"[{', '.join(self.range)}]"
        if step < 1 or last < first:
            raise ValueError(f"expected [first, last] or [first, last, step] going up, got {written}")
        if self._width and len(self.range[1]) != self._width:
            raise ValueError(
                f"with zeros before the first number, expected both equally wide, like [001, 100], got {written}"
            )
        return self

    @property
    def _numbers(self) -> tuple[int, int, int]:
        first, last, *step = map(int, self.range)
        return first, last, step[0] if step else 1

    @property
    def _width(self) -> int:
        """Digits of each value; 0 for as many as it needs."""
        return next((len(end) for end in self.range[:2] if len(end) > 1 and end.lstrip("-").startswith("0")), 0)

    def values(self) -> Sequence[str]:
        first, last, step = self._numbers
        width = self._width
        return Listing((last - first) // step + 1, lambda place: f"{first + place * step:0{width}d}")


def _day(value: Any) -> date:
    """A date as 2026-01-31 only: other forms, and numbers that are times of a clock, are no dates of a sweep."""
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    if isinstance(value, date):
        return value
    raise ValueError(f"expected a date like 2026-01-31, got {value!r}")


Day = Annotated[date, BeforeValidator(_day)]


class Dates(Section):
    """`{dates: [2026-01-01, 2026-01-31]}`, both included; a third number is the step in days."""

    dates: list[Day | Whole] = Field(min_length=2, max_length=3)

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        first, last, step = *self.dates[:2], [*self.dates, 1][2]
        good = isinstance(first, date) and isinstance(last, date) and first <= last
        if not good or not isinstance(step, int) or step < 1:
            raise ValueError("expected [first, last] or [first, last, days] going up, like [2026-01-01, 2026-01-31]")
        return self

    def values(self) -> Sequence[str]:
        first, last, step = *self.dates[:2], [*self.dates, 1][2]
        assert isinstance(first, date)
        assert isinstance(last, date)
        assert isinstance(step, int)
        return Listing(
            (last - first).days // step + 1, lambda place: (first + timedelta(days=place * step)).isoformat()
        )


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

    container: str = Field(pattern=CONTAINER, min_length=3, max_length=63)
    prefix: str = ""


class Rows(Section):
    """One task a row: a .jsonl file of objects, or a .csv file with a header. Relative to the job file."""

    file: str = Field(pattern=ROWS_FILE)


class Tasks(Section):
    """Where tasks come from: `list`, or `template` with exactly one of the other sources."""

    template: Task | None = None
    tasks: Annotated[list[Task] | None, Field(alias="list", min_length=1)] = None
    sweep: dict[str, SweepValues] | None = Field(default=None, min_length=1)
    rows: Rows | None = None
    blobs: Blobs | None = None
    python: str | None = Field(default=None, pattern=FUNCTION)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = (self.tasks, self.sweep, self.rows, self.blobs, self.python)
        given = [name for name, value in zip(SOURCES, sources, strict=True) if value is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(SOURCES)}; got {', '.join(given) or 'none'}")
        if (self.template is None) != (given == ["list"]):
            raise ValueError(
                "`list` has whole tasks: leave `template` out"
                if given == ["list"]
                else f"`{given[0]}` needs a `template`"
            )
        for name, values in (self.sweep or {}).items():
            if values == [] or values == {}:
                raise ValueError(f"sweep.{name} has no values; give it one or more")
            if isinstance(values, dict):
                _check_zip(name, values)
        count = prod(len(listed(values)) for values in swept(self.sweep or {}))
        if count > MOST_SWEPT:
            raise ValueError(f"sweep: {count} tasks; a sweep gives at most {MOST_SWEPT}. Write rows into a file")
        return self

    @property
    def definitions(self) -> list[Task]:
        """The template, or the tasks of the list."""
        return [self.template] if self.template is not None else list(self.tasks or ())


def _check_zip(name: str, columns: dict[str, Any]) -> None:
    """A mapping in a sweep is only `zip`, and its columns are equally long."""
    if name != ZIP:
        raise ValueError(f"sweep.{name}: {_FORMS}; values that go together are under `zip`")
    lengths = {column: len(listed(values)) for column, values in columns.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        told = ", ".join(f"{column} has {length}" for column, length in lengths.items())
        raise ValueError(f"sweep.zip: values that go together are equally many and not none; {told}")


def listed(values: Any) -> Sequence[str]:
    """The values of one sweep entry."""
    return values if isinstance(values, list) else values.values()


def swept(sweep: dict[str, Any]) -> list[Any]:
    """The values of every axis of the product: of those that go together the first, for all are equally many."""
    return [next(iter(values.values())) if isinstance(values, dict) else values for values in sweep.values()]


class Job(Section):
    """The job: its family (and so its container), id, pool, and what all tasks share."""

    family: Text
    id: Text = "{family}-{time}"
    pool: Text = "default"
    environment: Environment = Field(default_factory=dict)
    max_retries: Retries = 0
    max_wall_clock: Duration | None = None
    retention: Duration | None = None
    priority: Annotated[Whole, Field(ge=-1000, le=1000)] = 0
    max_parallel: Positive | None = None
    preparation: Preparation | None = None
    release: Release | None = None

    @field_validator("release")
    @classmethod
    def _needs_preparation(cls, release: Release | None, info: ValidationInfo) -> Release | None:
        if release is not None and info.data.get("preparation", ...) is None:
            raise ValueError("Batch releases only nodes that it prepared; add `preparation`, or leave `release` out")
        return release


class JobFile(Section):
    """A whole file."""

    job: Job
    tasks: Tasks
    _lines: Lines | None = PrivateAttr(None)

    def read_from(self, lines: Lines) -> Self:
        """Remember where each key was written, for problems that show later."""
        self._lines = lines
        return self

    def where(self, place: Place) -> str:
        """`FILE:LINE` of a place; without a file the place itself."""
        return self._lines.where(place) if self._lines else ".".join(map(str, place))

    @property
    def uses_dependencies(self) -> bool:
        return any(task.depends_on for task in self.tasks.definitions)

    @property
    def acts_on_job(self) -> bool:
        """Whether the way in which a task ends may disable or terminate the job."""
        return any(rule.acts_on_job for task in self.tasks.definitions for rule in task.exit_codes)
