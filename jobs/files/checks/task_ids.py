"""The ids of a file's tasks, checked while the tasks go by: their form, none twice, and `depends_on` names others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic

from ...ids import IdSet
from ..model.fields import ID
from ..model.job import Job, JobFile, Task
from .dependencies import Dependencies, Where

Problem = tuple[str, str]  # the key of the task that is wrong, and what is
_FORM: Final = "expected 1 to 64 letters, digits, '-' and '_'"


class TaskIds(Generic[Where]):
    """`where` is what the caller needs to tell a problem that shows only when all tasks are known."""

    def __init__(self, job: Job) -> None:
        self._seen = IdSet()
        self._dependencies = Dependencies[Where]()
        self._taken = reserved(job)

    @property
    def count(self) -> int:
        return self._seen.count

    def note(self, where: Where, task: Task) -> Problem | None:
        """What is wrong with a task and those before it."""
        if not ID.fullmatch(task.id):
            return "id", f"{task.id!r}: {_FORM}"
        if self._taken and task.id.lower() in self._taken:
            return "id", f"{task.id!r} is what Batch calls the job's {self._taken[task.id.lower()]}; take another"
        # Batch compares ids without case, and silently skips a second one.
        if doubled := self._seen.add_all([task.id]):
            return "id", f"{task.id!r} is also the id of task {doubled[1]} (case does not count); make ids differ"
        if task.depends_on and (what := self._dependencies.note(where, task)):
            return "depends_on", what
        return None

    def problems(self) -> Iterator[tuple[Where, str, str]]:
        """(where, task id, what is wrong with its `depends_on`), now that all tasks went by."""
        return self._dependencies.problems(self._seen)


def reserved(job: Job) -> dict[str, str]:
    """Ids that Batch gives to tasks of its own (azure-batch 15.1, `BatchJobPreparationTask.id`)."""
    found = {"jobpreparation": "preparation"} if job.preparation is not None else {}
    return found | ({"jobrelease": "release"} if job.release is not None else {})


def problems(file: JobFile) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What is wrong with the ids of a `list`, with their places; the other sources are checked when they are read."""
    ids = TaskIds[int](file.job)
    for index, task in enumerate(file.tasks.tasks or ()):
        if wrong := ids.note(index, task):
            yield ("tasks", "list", index, wrong[0]), wrong[1]
    for index, _, what in ids.problems():
        yield ("tasks", "list", index, "depends_on"), what
