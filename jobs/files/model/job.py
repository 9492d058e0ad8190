"""The job file's shape and every rule that needs no service (docs/jobfile.md). Unknown keys are refused."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ..document import Lines, Place
from .container import Container
from .exit_codes import ExitRule
from .fields import ENVIRONMENT_NAME, Duration, Environment, Flag, Positive, Retries, Section, Text, Whole
from .inputs import CONTAINER, Input
from .schedule import Schedule
from .sweep import SweepValues, check

SHELL_WORDS: Final = {"&&", "||", "|", ";", ">", ">>", "<", "&"}
SOURCES: Final = ("list", "sweep", "rows", "blobs", "python")
RELEASE_LIMIT: Final = timedelta(minutes=15)  # azure-batch 15.1, `BatchJobReleaseTask.max_wall_clock_time`
LAST_NUMBER: Final = 2**31 - 1  # of a range of ids: int32 in the REST reference
_ID_NUMBER: Final = re.compile(r"[0-9]{1,64}")
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
    "resource_files": "did you mean 'inputs'? It is a list like [{file: data.csv}, {url: \"https://...\"}]",
    "outputs": "only tasks have outputs; Batch keeps nothing that a preparation or release writes",
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
    inputs: list[Input] = Field(default_factory=list)
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
        check(self.sweep or {})
        return self

    @property
    def definitions(self) -> list[Task]:
        """The template, or the tasks of the list."""
        return [self.template] if self.template is not None else list(self.tasks or ())


class Job(Section):
    """The job: its family (and so its container), id, pool, and what all tasks share."""

    family: Text
    id: Text = "{family}-{time}"
    pool: Text = "default"
    environment: Environment = Field(default_factory=dict)
    inputs: list[Input] = Field(default_factory=list)
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
    schedule: Schedule | None = None
    _lines: Lines | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _fits_a_schedule(self) -> Self:
        """Nobody is there to add tasks to a job that Batch makes: it has its job manager task, which is this file's."""
        if self.schedule is None:
            return self
        task = self.tasks.tasks[0] if self.tasks.tasks is not None and len(self.tasks.tasks) == 1 else None
        if task is None:
            raise ValueError(
                "with `schedule`, `tasks` is a `list` of one task: Batch makes the jobs, and each has this one, its "
                "job manager. Work that is many tasks: `batch-jobs submit` from a scheduler of your own"
            )
        if task.exit_codes or task.depends_on:
            name = "exit_codes" if task.exit_codes else "depends_on"
            raise ValueError(f"with `schedule`, the task takes no `{name}`: Batch's job manager task has none")
        return self

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
