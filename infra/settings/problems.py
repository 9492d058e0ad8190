"""How a wrong setting is reported: the YAML key, what was expected, what was found, the file and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pulumi
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails


@dataclass(frozen=True)
class Expect:
    """What a setting must be, and what to do when it is not. `{key}` in the fix is the setting's key."""

    form: str
    fix: str


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a stack's settings. `got` is None when the setting is missing."""

    key: str
    expected: str
    got: str | None
    fix: str

    def __str__(self) -> str:
        found = "but it is missing" if self.got is None else f"got {self.got}"
        return f"{self.key}: expected {self.expected}, {found}; {self.fix}"


class Refused(ValueError):
    """A validator's finding. `key` is relative to the section or value that is validated; empty is that one itself."""

    def __init__(self, key: str, expected: str, got: str | None, fix: str) -> None:
        super().__init__(f"{key}: expected {expected}, got {got}; {fix}")
        self.key = key
        self.expected = expected
        self.got = got
        self.fix = fix


class SettingsError(pulumi.RunError):
    """Everything that is wrong with a stack's settings. A RunError: Pulumi shows the sentences and no traceback."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        count = f"{len(problems)} problem" + ("s" if len(problems) != 1 else "")
        self.user_message = "\n".join((f"{count} in the settings ({file}):", *(f"  {item}" for item in problems)))
        super().__init__(self.user_message)


def explain(error: ValidationError, model: type[BaseModel], already: Collection[str]) -> list[Problem]:
    """pydantic's findings in our words, without the keys that are reported `already`."""
    details = error.errors(include_url=False)
    places = [detail["loc"] for detail in details]
    # pydantic leaves wrong items out, and may then find their list too short.
    details = [
        detail
        for detail in details
        if detail["type"] != "too_short" or not any(place[:-1] == detail["loc"] for place in places)
    ]
    problems = (_problem(detail, model) for detail in details)
    return [problem for problem in problems if problem.key not in already]


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    location = detail["loc"]
    key = _spell(location)
    if location and location[-1] == "[key]":  # the key of a mapping: pydantic names it before this mark
        key, location = _spell(location[:-1]), (*location[:-2], "[key]")
    if isinstance(refused := detail.get("ctx", {}).get("error"), Refused):
        below = f"{key}.{refused.key}" if key and refused.key else key or refused.key
        return Problem(below, refused.expected, refused.got, refused.fix)
    if detail["type"] == "extra_forbidden":
        return _unknown_key(key, location, model)
    expect, secret = _expectation(model, location)
    if detail["type"] == "missing":
        fix = f"run `pulumi config set --secret {key}`" if secret else expect.fix
        return Problem(key, expect.form, None, fix.replace("{key}", key))
    got = f"one of {len(detail['input'] or '')}" if secret else repr(detail["input"])
    fix = expect.fix.replace("{key}", key)
    if detail["type"] == "string_type" and isinstance(detail["input"], int | float):
        fix = f"put it in quotes, for YAML it is a {'truth value' if got in ('True', 'False') else 'number'}; {fix}"
    return Problem(key, expect.form, got, fix)


def _unknown_key(key: str, location: tuple[str | int, ...], model: type[BaseModel]) -> Problem:
    """A key that no setting has: what it was called before or meant to be."""
    section = _model_at(model, location[:-1])
    names = [field.alias or name for name, field in section.model_fields.items()]
    near = difflib.get_close_matches(_bare(location[-1]), [_bare(name) for name in names], n=1, cutoff=0.5)
    retired: Mapping[str, str] = getattr(section, "RETIRED", {})
    if str(location[-1]) in retired:
        fix = f"write instead: {retired[str(location[-1])]}"
    elif near:
        fix = f"did you mean {next(name for name in names if _bare(name) == near[0])}?"
    else:
        fix = "remove it"
    return Problem(key, f"one of {', '.join(names)}", f"the unknown key {location[-1]}", fix)


def _expectation(model: type[BaseModel], location: Iterable[str | int]) -> tuple[Expect, bool]:
    """The innermost `Expect` on the way to `location`, and whether the setting is a secret."""
    found, current = Expect("a valid value", "see docs/settings.md"), Inner(model, ())
    for part in location:
        below = inner(current.annotation, part)
        if below is None:
            break
        current = below
        found = next((item for item in reversed(current.metadata) if isinstance(item, Expect)), found)
    return found, SecretStr in alternatives(current.annotation)


@dataclass(frozen=True)
class Inner:
    """The type of a value inside another, and what is said of it (`Annotated`)."""

    annotation: Any
    metadata: tuple[Any, ...]


def inner(annotation: Any, part: str | int) -> Inner | None:
    """The type of the field, mapping value or list item called `part`; None if there is none."""
    for candidate in alternatives(annotation):
        origin = get_origin(candidate)
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            for name, field in candidate.model_fields.items():
                if part == (field.alias or name):
                    return Inner(field.annotation, (*_metadata(field.annotation), *field.metadata))
        elif origin in (dict, Mapping, tuple) and isinstance(part, int if origin is tuple else str):
            value = get_args(candidate)[0 if origin is tuple or part == "[key]" else 1]
            return Inner(value, _metadata(value))
    return None


def _metadata(annotation: Any) -> tuple[Any, ...]:
    """What `Annotated` says of a type, or of the members of a union."""
    if _is_annotated(annotation):
        return annotation.__metadata__
    if get_origin(annotation) in (Union, UnionType):
        return tuple(item for member in get_args(annotation) for item in _metadata(member))
    return ()


def alternatives(annotation: Any) -> list[Any]:
    """The types that a value may have: without `Annotated`, the members of a union."""
    if _is_annotated(annotation):
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [found for member in get_args(annotation) for found in alternatives(member)]
    return [annotation]


def _is_annotated(annotation: Any) -> bool:
    return get_origin(annotation) is Annotated


def _model_at(model: type[BaseModel], location: Iterable[str | int]) -> type[BaseModel]:
    """The section at `location`."""
    current: Any = model
    for part in location:
        below = inner(current, part)
        current = current if below is None else below.annotation
    return next(item for item in alternatives(current) if isinstance(item, type) and issubclass(item, BaseModel))


def _bare(key: str | int) -> str:
    """`Dedicated-Nodes`, `dedicatedNodes` and `dedicated_nodes` are near."""
    return "".join(letter for letter in str(key).lower() if letter.isalnum())


def _spell(location: Iterable[str | int]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
