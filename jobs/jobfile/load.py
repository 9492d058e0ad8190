"""Read a job file and say what is wrong with it, each problem as `FILE:LINE: key: what, and what to do`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import yaml
from pydantic import BaseModel, ValidationError

from ..errors import JobFileError, UsageError
from . import placeholders, secrecy
from .model import NOT_YET, Blobs, Job, JobFile, Output, Rows, Task, Tasks

Place = tuple[str | int, ...]

# Which keys are known where, for "did you mean": by the last named key of a place.
_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "": JobFile,
    "job": Job,
    "tasks": Tasks,
    "template": Task,
    "list": Task,
    "outputs": Output,
    "rows": Rows,
    "blobs": Blobs,
}


class Loader(yaml.SafeLoader):
    """Dates stay as they are written: 2026-02-30 is for the model to tell, with its line."""

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def load(path: Path) -> JobFile:
    """The checked job file. Raises `JobFileError` with all problems at once, `UsageError` when it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: cannot be read: {error}. Give the path of a job file, for example jobs/samples/hello.yaml"
        ) from error
    data, lines = _parse(text, path)
    try:
        file = JobFile.model_validate(data)
    except ValidationError as error:
        found = sorted(_problem(lines, dict(item)) for item in error.errors())
        raise JobFileError([f"{path}:{line}: {what}" for line, what in found]) from error
    if problems := [
        f"{path}:{_line(lines, place)}: {'.'.join(map(str, place))}: {what}"
        for place, what in (*placeholders.problems(file), *secrecy.problems(file))
    ]:
        raise JobFileError(problems)
    return file


def _parse(text: str, path: Path) -> tuple[Any, dict[Place, int]]:
    """The plain data, and the line of every key and item."""
    loader = Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise JobFileError([f"{path}:1: the file is empty; it needs `job` and `tasks`"])
        lines: dict[Place, int] = {}
        _walk(node, (), lines, path, ())
        return loader.construct_document(node), lines
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error)
        raise JobFileError([f"{path}:{mark.line + 1 if mark else 1}: not YAML: {what}"]) from error
    finally:
        loader.dispose()


def _walk(node: yaml.Node, place: Place, lines: dict[Place, int], path: Path, above: tuple[int, ...]) -> None:
    lines.setdefault(place, node.start_mark.line + 1)
    if id(node) in above:
        raise JobFileError([f"{path}:{node.start_mark.line + 1}: an alias refers to itself; write the values out"])
    above = (*above, id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*place, index), lines, path, above)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in seen:
                raise JobFileError([f"{path}:{line}: {name!r} is there twice, first in line {seen[name]}; remove one"])
            seen[name] = line
            lines[(*place, name)] = line
            _walk(value, (*place, name), lines, path, above)


def _line(lines: Mapping[Place, int], place: Place) -> int:
    """The line of the place, or of the nearest one around it that was written."""
    while place and place not in lines:
        place = place[:-1]
    return lines.get(place, 1)


def _problem(lines: Mapping[Place, int], error: Mapping[str, Any]) -> tuple[int, str]:
    """One pydantic error in our words, with its line. Its place has union members too; those nobody wrote."""
    place: Place = ()
    for part in error["loc"]:
        if (*place, part) in lines or (error["type"] == "missing" and part is error["loc"][-1]):
            place = (*place, part)
    name = ".".join(map(str, place)) or "the file"
    kind, message = error["type"], str(error["msg"])
    if kind == "extra_forbidden":
        message = NOT_YET.get(name.rpartition(".")[2]) or f"unknown key{_nearest(place)}"
    elif kind == "missing":
        message = "is missing"
    elif kind in ("model_type", "model_attributes_type"):
        got = "a list" if isinstance(error["input"], list) else repr(error["input"])
        message = f"expected a section with some of: {', '.join(_known(place))}; got {got:.60}"
    elif kind == "value_error":
        message = message.removeprefix("Value error, ")
    else:
        message = f"{message[:1].lower()}{message[1:]}, got {error['input']!r:.60}"
    return _line(lines, place), f"{name}: {message}"


def _known(place: Place) -> list[str]:
    """The keys that the section at this place may have."""
    names = [part for part in place if isinstance(part, str)]
    section = _SECTIONS.get(names[-1] if names else "")
    return [field.alias or name for name, field in section.model_fields.items()] if section else []


def _nearest(place: Place) -> str:
    known = _known(place[:-1])
    close = difflib.get_close_matches(str(place[-1]), known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known here: {', '.join(known)}" if known else ""
