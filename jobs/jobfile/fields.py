"""What the file's sections are made of: texts, times, environments, ids, and the mapping that refuses unknown keys."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from ..durations import duration

ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # Batch: up to 64 letters, digits, '-' and '_'

ENVIRONMENT_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"


def text(value: Any) -> Any:
    """A number is taken as the text it was most likely meant to be; yes and no are not: YAML changes their spelling."""
    if value is None:
        raise ValueError("expected a text, got nothing; write one")
    if isinstance(value, bool):
        raise ValueError(f"expected a text, got {value}; put it in quotes")
    return str(value) if isinstance(value, int | float) else value


Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+d)?(\d+h)?(\d+m)?(\d+s)?$", "examples": ["90s", "1d12h"]}),
]
Text = Annotated[str, BeforeValidator(text), WithJsonSchema({"type": ["string", "number"]})]
EnvironmentName = Annotated[str, Field(pattern=ENVIRONMENT_NAME)]
Environment = dict[EnvironmentName, Text]
Retries = Annotated[int, Field(ge=-1, le=100, strict=True)]


class Section(BaseModel):
    """A mapping of the file. Frozen; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
