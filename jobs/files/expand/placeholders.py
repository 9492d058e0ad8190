"""`{name}` in a template: which are known, and filling them. `{{` and `}}` stand for braces; no formats.

A name that the source has (a column, an entry of a sweep) wins over `{index}` and `{job_id}`, which every template has.
In what a shell reads values are quoted (`shell.py`).
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from ..document import Place
from ..model import inputs
from ..model.job import IdRange, JobFile, Output, Task
from ..model.sweep import ZIP, listed
from . import shell

OF_JOB: Final = ("family", "time")  # in job.id
ALWAYS: Final = ("job_id", "index")  # in a template, beside the source's own names; index counts from 0
SOURCE_NAMES: Final = ("name", "file", "stem", "slug", "url", "size")  # of a blob
RAW: Final = "raw"  # {name:raw}: the value is a part of the program that a shell reads
_BRACES: Final = "write {{ and }} for braces"
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class _Template:
    """A text between whose pieces placeholders stand: one piece more than names. `raw`: which have `:raw`."""

    pieces: tuple[str, ...]
    names: tuple[str, ...]
    raw: tuple[bool, ...]


@lru_cache(maxsize=4096)
def _template(text: str) -> _Template:
    """Raises `ValueError` for a brace that is open or closed alone."""
    pieces, names, raw = [""], [], []
    for literal, name, form, _ in string.Formatter().parse(text):
        pieces[-1] += literal
        if name is not None:
            names.append(name)
            raw.append(form == RAW)
            pieces.append("")
    return _Template(tuple(pieces), tuple(names), tuple(raw))


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with every placeholder replaced; names were checked before."""
    if "{" not in text and "}" not in text:
        return text
    template = _template(text)
    if not template.names:
        return template.pieces[0]
    filled = [
        part for piece, name in zip(template.pieces, template.names, strict=False) for part in (piece, values[name])
    ]
    return "".join([*filled, template.pieces[-1]])


def fill_shell(text: str, values: Mapping[str, str]) -> str:
    """The text of a shell with every value quoted, those of `{name:raw}` apart. Raises `ValueError` for a value that
    stands where no quoting would hold."""
    template = _template(text)
    parts = [template.pieces[0]]
    places = zip(template.names, template.raw, shell.contexts(template.pieces), template.pieces[1:], strict=True)
    for name, raw, context, piece in places:
        try:
            parts.append(values[name] if raw else shell.quoted(values[name], context))
        except ValueError as error:
            raise ValueError(f"the value of {{{name}}}: {error}, or write {{{name}:{RAW}}} if it is one") from error
        parts.append(piece)
    return "".join(parts)


def fill_task(task: Task, values: Mapping[str, str]) -> Task:
    """The template with every placeholder of one task replaced. Raises `ValueError`, as `fill_shell` does."""
    command: str | list[str]
    if isinstance(task.command, str):
        command = fill_shell(task.command, values)
    else:
        scripts = shell.script_places(task.entrypoint, task.command)
        command = [
            fill_shell(word, values) if place in scripts else fill(word, values)
            for place, word in enumerate(task.command)
        ]
    filled: dict[str, Any] = {
        "id": fill(task.id, values),
        "image": fill(task.image, values),
        "command": command,
        "entrypoint": None if task.entrypoint is None else fill(task.entrypoint, values),
        "environment": {name: fill(value, values) for name, value in task.environment.items()},
        "inputs": [_fill_input(one, values) for one in task.inputs],
        "outputs": [Output(files=fill(output.files, values), when=output.when) for output in task.outputs],
    }
    if task.depends_on:
        filled["depends_on"] = [_fill_reference(entry, values) for entry in task.depends_on]
    return task.model_copy(update=filled)


def _fill_input(one: inputs.Input, values: Mapping[str, str]) -> inputs.Input:
    return one.filled(fill(one.source, values), None if one.to is None else fill(one.to, values))


def _fill_reference(entry: str | IdRange, values: Mapping[str, str]) -> str | IdRange:
    """One entry of `depends_on`. That a range's numbers are numbers is checked with the tasks they name."""
    if isinstance(entry, str):
        return fill(entry, values)
    return entry.model_copy(update={"range": [fill(number, values) for number in entry.range]})


def problems(file: JobFile) -> Iterator[tuple[Place, str]]:
    """What is wrong with the placeholders that can be known without reading rows."""
    yield from ((("job", "id"), what) for what in _wrong(file.job.id, OF_JOB))
    template, sweep = file.tasks.template, columns(file.tasks.sweep)
    if template is not None and file.tasks.blobs is not None:
        yield from ((("tasks", "template", *place), what) for place, what in _wrong_in(template, SOURCE_NAMES))
    for name in sweep or ():
        if not _NAME.fullmatch(name):
            yield ("tasks", "sweep", name), f"expected a name like region, got {name!r}"
    if template is not None and sweep is not None:
        yield from ((("tasks", "template", *place), what) for place, what in _wrong_in(template, sweep))
        in_id = _safe_names(template.id)
        together = set(zipped(file.tasks.sweep or {}))
        seen = bool(together & in_id)
        absent = [
            name
            for name, source in sweep.items()
            if len(listed(source)) > 1 and name not in in_id and not (name in together and seen)
        ]
        if absent and ("index" not in in_id or "index" in sweep):
            yield (
                ("tasks", "template", "id"),
                f"two tasks would have the same id: put {{{absent[0]}}}"
                + ("" if "index" in sweep else " or {index}")
                + " into it",
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
    yield from ((("inputs", *place), text) for place, text in inputs.texts(task.inputs))
    yield from ((("outputs", index, "files"), output.files) for index, output in enumerate(task.outputs))
    for index, entry in enumerate(task.depends_on):
        if isinstance(entry, str):
            yield ("depends_on", index), entry
        else:
            yield from ((("depends_on", index, "range", place), number) for place, number in enumerate(entry.range))


def check_names(task: Task, known: tuple[str, ...]) -> list[str]:
    """What is wrong with a template once the source's names are known (rows: only when the file was opened)."""
    return [f"template.{'.'.join(map(str, place))}: {what}" for place, what in _wrong_in(task, known)]


def columns(sweep: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Placeholder -> its values; those under `zip` are placeholders like the others."""
    if sweep is None:
        return None
    together = zipped(sweep)
    return {name: values for name, values in sweep.items() if values is not together} | together


def zipped(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """Names and values that go together. Values right below `zip` are those of a placeholder of that name."""
    values = sweep.get(ZIP)
    return values if isinstance(values, dict) else {}


def _known(own: Iterable[str]) -> tuple[str, ...]:
    """The source's names, then those that every template has."""
    return tuple(dict.fromkeys((*own, *ALWAYS)))


def _wrong_in(task: Task, own: Iterable[str]) -> Iterator[tuple[Place, str]]:
    """What is wrong with the placeholders of a task's texts, with their places in the task."""
    known = _known(own)
    scripts = () if isinstance(task.command, str) else shell.script_places(task.entrypoint, task.command)
    for place, text in texts(task):
        script = place == ("command",) or (place[0] == "command" and place[1] in scripts)
        for what in _wrong(text, known, script=script):
            yield place, what


def _wrong(text: str, known: tuple[str, ...], *, script: bool = False) -> Iterator[str]:
    try:
        for name in _names(text, script=script):
            if name is None:
                yield f"expected placeholders like {{name}}, got {text!r}; {_BRACES}"
            elif name not in known:
                yield f"unknown placeholder {{{name}}}; known here: {', '.join(known)}; {_BRACES}"
        if script:
            yield from _wrong_in_shell(text)
    except ValueError:
        yield f"a brace is open or closed alone in {text!r}; {_BRACES}"


def _wrong_in_shell(text: str) -> Iterator[str]:
    template = _template(text)
    for name, raw, context in zip(template.names, template.raw, shell.contexts(template.pieces), strict=True):
        if context is shell.Context.VARIABLE and not raw:
            yield (
                f"${{{name}}} is a $ and the value of {{{name}}}; leave the $ out, or write ${{{{{name}}}}} for the "
                "shell's own variable"
            )


def _names(text: str, *, script: bool = False) -> Iterator[str | None]:
    for _, name, form, conversion in string.Formatter().parse(text):
        if name is not None:
            plain = not form or (script and form == RAW)
            yield name if _NAME.fullmatch(name) and plain and not conversion else None


def _safe_names(text: str) -> set[str | None]:
    try:
        return set(_names(text))
    except ValueError:
        return set()
