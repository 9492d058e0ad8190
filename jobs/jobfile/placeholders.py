"""`{name}` in a template: which are known, and filling them. `{{` and `}}` stand for braces; no formats."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator, Mapping
from typing import Any, Final

from .lines import Place
from .model import ZIP, IdRange, JobFile, Output, Task, listed

OF_JOB: Final = ("family", "time")  # in job.id
ALWAYS: Final = ("job_id", "index")  # in a template, beside the source's own names; index counts from 0
SOURCE_NAMES: Final = ("name", "file", "stem", "slug", "url", "size")  # of a blob
_BRACES: Final = "write {{ and }} for braces"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with every placeholder replaced; names were checked before."""
    return string.Formatter().vformat(text, (), values)


def fill_task(task: Task, values: Mapping[str, str]) -> Task:
    """The template with every placeholder of one task replaced."""
    command = (
        fill(task.command, values) if isinstance(task.command, str) else [fill(word, values) for word in task.command]
    )
    filled: dict[str, Any] = {
        "id": fill(task.id, values),
        "image": fill(task.image, values),
        "command": command,
        "entrypoint": None if task.entrypoint is None else fill(task.entrypoint, values),
        "environment": {name: fill(value, values) for name, value in task.environment.items()},
        "outputs": [Output(files=fill(output.files, values), when=output.when) for output in task.outputs],
    }
    if task.depends_on:
        filled["depends_on"] = [_fill_reference(entry, values) for entry in task.depends_on]
    return task.model_copy(update=filled)


def _fill_reference(entry: str | IdRange, values: Mapping[str, str]) -> str | IdRange:
    """One entry of `depends_on`. That a range's numbers are numbers is checked with the tasks they name."""
    if isinstance(entry, str):
        return fill(entry, values)
    return entry.model_copy(update={"range": [fill(number, values) for number in entry.range]})


def problems(file: JobFile) -> Iterator[tuple[Place, str]]:
    """What is wrong with the placeholders that can be known without reading rows."""
    yield from ((("job", "id"), what) for what in _wrong(file.job.id, OF_JOB))
    template, sweep = file.tasks.template, columns(file.tasks.sweep)
    known = SOURCE_NAMES if file.tasks.blobs is not None else None
    if template is not None and known is not None:
        for place, text in texts(template):
            yield from ((("tasks", "template", *place), what) for what in _wrong(text, (*known, *ALWAYS)))
    if sweep is not None:
        for name in sweep:
            if not _NAME.fullmatch(name) or name in ALWAYS:
                yield ("tasks", "sweep", name), f"expected a name like region (not {' or '.join(ALWAYS)}), got {name!r}"
    if template is not None and sweep is not None:
        for place, text in texts(template):
            yield from ((("tasks", "template", *place), what) for what in _wrong(text, (*sweep, *ALWAYS)))
        in_id = _safe_names(template.id)
        zipped = set(_zipped(file.tasks.sweep or {}))
        seen = bool(zipped & in_id)
        absent = [
            name
            for name, source in sweep.items()
            if len(listed(source)) > 1 and name not in in_id and not (name in zipped and seen)
        ]
        if absent and "index" not in in_id:
            yield (
                ("tasks", "template", "id"),
                f"two tasks would have the same id: put {{{absent[0]}}} or {{index}} into it",
            )


def texts(task: Task) -> Iterator[tuple[Place, str]]:
    """Every text of a template that may have placeholders, with its place."""
    yield ("id",), task.id
    yield ("image",), task.image
    if isinstance(task.command, str):
        yield ("command",), task.command
    else:
        yield from ((("command", index), word) for index, word in enumerate(task.command))
    if task.entrypoint is not None:
        yield ("entrypoint",), task.entrypoint
    yield from ((("environment", name), value) for name, value in task.environment.items())
    yield from ((("outputs", index, "files"), output.files) for index, output in enumerate(task.outputs))
    for index, entry in enumerate(task.depends_on):
        if isinstance(entry, str):
            yield ("depends_on", index), entry
        else:
            yield from ((("depends_on", index, "range", place), number) for place, number in enumerate(entry.range))


def check_names(task: Task, known: tuple[str, ...]) -> list[str]:
    """What is wrong with a template once the source's names are known (rows: only when the file was opened)."""
    return [
        f"template.{'.'.join(map(str, place))}: {what}"
        for place, text in texts(task)
        for what in _wrong(text, (*known, *ALWAYS))
    ]


def columns(sweep: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Placeholder -> its values; those under `zip` are placeholders like the others."""
    if sweep is None:
        return None
    return {name: values for name, values in sweep.items() if name != ZIP} | _zipped(sweep)


def _zipped(sweep: Mapping[str, Any]) -> dict[str, Any]:
    return sweep.get(ZIP) or {}


def _wrong(text: str, known: tuple[str, ...]) -> Iterator[str]:
    try:
        for name in _names(text):
            if name is None:
                yield f"expected placeholders like {{name}}, got {text!r}; {_BRACES}"
            elif name not in known:
                yield f"unknown placeholder {{{name}}}; known here: {', '.join(known)}; {_BRACES}"
    except ValueError:
        yield f"a brace is open or closed alone in {text!r}; {_BRACES}"


def _names(text: str) -> Iterator[str | None]:
    for _, name, form, conversion in string.Formatter().parse(text):
        if name is not None:
            yield name if _NAME.fullmatch(name) and not form and not conversion else None


def _safe_names(text: str) -> set[str | None]:
    try:
        return set(_names(text))
    except ValueError:
        return set()
