"""Read a job file and say what is wrong with it, each problem as `FILE:LINE: key: what, and what to do`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from ..errors import JobFileError, UsageError
from . import document
from .checks import limits, overlaps, secrecy, task_ids
from .document import Lines, Place
from .expand import placeholders
from .model.container import Container
from .model.exit_codes import ExitRule
from .model.inputs import Input
from .model.job import FORMS, NOT_YET, Blobs, IdRange, Job, JobFile, Output, Preparation, Release, Rows, Task, Tasks
from .model.schedule import Schedule

# Which keys are known where, for "did you mean": by the last named key of a place.
_SECTIONS: Final[Mapping[str, type[BaseModel]]] = {
    "": JobFile,
    "job": Job,
    "preparation": Preparation,
    "release": Release,
    "tasks": Tasks,
    "schedule": Schedule,
    "template": Task,
    "list": Task,
    "outputs": Output,
    "inputs": Input,
    "depends_on": IdRange,
    "exit_codes": ExitRule,
    "rows": Rows,
    "blobs": Blobs,
    "container": Container,
}


# What pydantic's errors mean to somebody who writes a job file.
_EXPECTED: Final = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "at most {le}",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping like {{NAME: value}}",
    "string_type": "a text",
    "too_short": "{min_length} or more entries",
    "too_long": "at most {max_length} entries",
    "string_too_short": "{min_length} or more characters",
    "string_too_long": "at most {max_length} characters",
    "literal_error": "{expected}",
    "date_from_datetime_parsing": "a date like 2026-01-31",
    "date_type": "a date like 2026-01-31",
}
_FIXES: Final = {
    "string_type": "; put it in quotes",
}


def load(path: Path) -> JobFile:
    """The checked job file. Raises `JobFileError` with all problems at once, `UsageError` when it cannot be read."""
    try:
        data, lines = document.read(path)
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read: {error.strerror}",
            next_step="give the path of a job file, for example jobs/samples/hello.yaml",
        ) from error
    try:
        file = JobFile.model_validate(data).read_from(lines)
    except ValidationError as error:
        raise JobFileError(_told(lines, [dict(item) for item in error.errors()])) from error
    checks = (placeholders.problems, secrecy.problems, overlaps.problems, task_ids.problems, limits.problems)
    if wrong := [(place, what) for check in checks for place, what in check(file)]:
        wrong.sort(key=lambda one: lines.line(one[0]))
        raise JobFileError([f"{lines.where(place)}: {'.'.join(map(str, place))}: {what}" for place, what in wrong])
    return file


def _told(lines: Lines, errors: list[dict[str, Any]]) -> list[str]:
    """Each problem once, by lines. Of alternatives that all failed only what is said of the innermost place counts."""
    found: dict[Place, str] = {}
    for error in errors:
        place = _place(lines, error)
        found.setdefault(place, _words(place, error))
    innermost = [place for place in found if not any(len(o) > len(place) and o[: len(place)] == place for o in found)]
    innermost.sort(key=lambda place: (lines.line(place), found[place]))
    return [f"{lines.where(place)}: {'.'.join(map(str, place)) or 'the file'}: {found[place]}" for place in innermost]


def _place(lines: Lines, error: Mapping[str, Any]) -> Place:
    """Its place has members of unions too; those nobody wrote."""
    place: Place = ()
    for part in error["loc"]:
        if (*place, part) in lines.numbers or (error["type"] == "missing" and part is error["loc"][-1]):
            place = (*place, part)
    return place


def _words(place: Place, error: Mapping[str, Any]) -> str:
    """One pydantic error in our words."""
    kind, message, value = error["type"], str(error["msg"]), error["input"]
    if kind == "extra_forbidden":
        return NOT_YET.get(str(place[-1])) or f"unknown key{_nearest(place)}"
    if kind == "missing":
        return "is missing; add it"
    if kind in ("model_type", "model_attributes_type"):
        got = "a list" if isinstance(value, list) else repr(value)
        return f"expected a section with some of: {', '.join(_known(place))}; got {got:.60}"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind == "list_type":
        inside = f"; write [{value}]" if isinstance(value, str) and place[-1] in ("depends_on", "codes") else ""
        return f"expected a list, got {value!r:.60}{inside}"
    context: Mapping[str, Any] = error.get("ctx") or {}
    if kind == "string_pattern_mismatch":
        expected = FORMS.get(context["pattern"], f"a text like {context['pattern']}")
    elif kind in _EXPECTED:
        expected = _EXPECTED[kind].format(**context)
    else:
        return f"{message[:1].lower()}{message[1:]}, got {value!r:.60}"
    return f"expected {expected}, got {value!r:.60}{_FIXES.get(kind, '')}"


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
