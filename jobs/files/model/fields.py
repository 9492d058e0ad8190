"""What the file's sections are made of: texts, times, environments, ids, and the mapping that refuses unknown keys."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from ...durations import duration
from ..document import Plain

LONGEST_ID: Final = 64
ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # Batch: up to 64 letters, digits, '-' and '_'

ENVIRONMENT_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"


_WHOLE: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLAGS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_NULLS: Final = ("", "~", "null", "Null", "NULL")  # how YAML 1.2 writes nothing


def text(value: Any) -> Any:
    """A text as it stands in the file, in quotes or not. Nothing at all is no text: `""` is the empty one."""
    if value is None or (isinstance(value, Plain) and not value):
        raise ValueError("expected a text, got nothing; write one")
    if isinstance(value, bool):
        raise ValueError(f"expected a text, got {value}; put it in quotes")
    return str(value) if isinstance(value, str | int | float) else value


def whole(value: Any) -> Any:
    """A whole number that stands in the file without quotes. What is none is left to be told."""
    return int(value) if isinstance(value, Plain) and _WHOLE.fullmatch(value) else value


def flag(value: Any) -> Any:
    """`true` or `false` without quotes, or YAML 1.1's other words for them. What is none of them is left to be told."""
    return _FLAGS.get(value.lower(), value) if isinstance(value, Plain) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?$", "examples": ["90s", "1d12h"]}),
]
Text = Annotated[str, BeforeValidator(text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
EnvironmentName = Annotated[str, Field(pattern=ENVIRONMENT_NAME)]
Environment = dict[EnvironmentName, Text]
Whole = Annotated[int, BeforeValidator(whole), Field(strict=True)]
Positive = Annotated[Whole, Field(gt=0)]
Flag = Annotated[bool, BeforeValidator(flag), Field(strict=True)]
Retries = Annotated[Whole, Field(ge=-1, le=100)]


class Section(BaseModel):
    """A mapping of the file. Frozen; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nothing(cls, data: Any) -> Any:
        """`null`, `~` and nothing at all leave a key out whose default is that there is none."""
        if not isinstance(data, dict):
            return data
        optional = {field.alias or name for name, field in cls.model_fields.items() if field.default is None}
        return {
            name: value
            for name, value in data.items()
            if not (name in optional and isinstance(value, Plain) and value in _NULLS)
        }
