"""How a wrong setting is reported: the YAML key, what was expected, what was found, the file and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import pulumi
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
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
    problems = (_problem(detail, model) for detail in error.errors(include_url=False))
    return [problem for problem in problems if problem.key not in already]


def _problem(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    location = detail["loc"]
    if detail["type"] == "value_error":
        # Our own validators word it "key: what is wrong; what to do".
        key, _, rest = str(detail.get("ctx", {}).get("error")).partition(": ")
        return Problem(key, "consistent values", rest.split("; ")[0], rest.partition("; ")[2])
    key = _spell(location)
    if detail["type"] == "extra_forbidden":
        known = _known_keys(model, location[:-1])
        near = difflib.get_close_matches(_bare(location[-1]), [_bare(name) for name in known], n=1, cutoff=0.5)
        fix = f"did you mean {_unbare(near[0], known)}?" if near else "remove it"
        return Problem(key, f"one of {', '.join(known)}", f"the unknown key {location[-1]}", fix)
    expect, secret = _expectation(model, location)
    if detail["type"] == "missing":
        fix = f"run `pulumi config set --secret {key}`" if secret else expect.fix
        return Problem(key, expect.form, None, fix.replace("{key}", key))
    got = f"one of {len(detail['input'] or '')}" if secret else repr(detail["input"])
    return Problem(key, expect.form, got, expect.fix.replace("{key}", key))


def _expectation(model: type[BaseModel], location: Iterable[str | int]) -> tuple[Expect, bool]:
    """The innermost `Expect` on the way to `location`, and whether the setting is a secret."""
    found, secret = Expect("a valid value", "see Pulumi.dev.yaml"), False
    current: Any = model
    for part in location:
        field = _field(current, part)
        if field is not None:
            annotation, metadata = field.annotation, field.metadata
        elif isinstance(part, int):
            annotation, metadata = _item(current)
        else:
            break
        found = next((item for item in metadata if isinstance(item, Expect)), found)
        secret = annotation is SecretStr
        current = annotation
    return found, secret


def _field(current: Any, part: str | int) -> FieldInfo | None:
    for model in (current, *get_args(current)):
        if isinstance(model, type) and issubclass(model, BaseModel):
            for name, field in model.model_fields.items():
                if part == (field.alias or name):
                    return field
    return None


def _item(current: Any) -> tuple[Any, Sequence[Any]]:
    """The type of a list's items and its metadata; looks through `| None`."""
    for candidate in (current, *get_args(current)):
        if getattr(candidate, "__origin__", None) is tuple:
            item = get_args(candidate)[0]
            return getattr(item, "__origin__", item), getattr(item, "__metadata__", ())
    return current, ()


def _known_keys(model: type[BaseModel], location: Iterable[str | int]) -> list[str]:
    current: Any = model
    for part in location:
        field = _field(current, part)
        current = field.annotation if field is not None else _item(current)[0]
    return [field.alias or name for name, field in current.model_fields.items()]


def _bare(key: str | int) -> str:
    """`Dedicated-Nodes`, `dedicatedNodes` and `dedicated_nodes` are near."""
    return "".join(letter for letter in str(key).lower() if letter.isalnum())


def _unbare(bare: str, known: Iterable[str]) -> str:
    return next(name for name in known if _bare(name) == bare)


def _spell(location: Iterable[str | int]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
