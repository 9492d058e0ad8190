"""`exit_codes`: what Batch does with the job, and with the tasks that wait, for the ways in which a task can end.

Batch's own rules (azure-batch 15.1, `ExitOptions`): exit code 0 satisfies the tasks that wait, everything else blocks
them for ever; nothing is done with the job. `default` stands for all failures that no other rule names.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from .fields import Section, whole

HIGHEST: Final = 255  # a program on Linux ends with 0 to 255
_RANGE: Final = re.compile(r"([0-9]{1,3})-([0-9]{1,3})")


def code_range(value: Any) -> tuple[int, int]:
    """`65` or `70-79` as first and last code."""
    match = _RANGE.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        first, last = int(match[1]), int(match[2])
    else:
        number = whole(value)
        first = last = number if isinstance(number, int) and not isinstance(number, bool) else -1
    if not 0 <= first <= last <= HIGHEST:
        raise ValueError(f"expected an exit code from 0 to {HIGHEST}, or a range of them like 70-79, got {value!r}")
    return first, last


Codes = Annotated[
    tuple[int, int],
    BeforeValidator(code_range),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": HIGHEST},
                {"type": "string", "pattern": r"^\d{1,3}-\d{1,3}$"},
            ]
        }
    ),
]


class ExitRule(Section):
    """For exit codes and ranges of them, or for another way to end, what happens. What is not named stays as it is."""

    codes: Annotated[list[Codes] | None, Field(min_length=1)] = None
    when: Literal["default", "pre_processing_error", "file_upload_error"] | None = None
    job_action: Literal["none", "disable", "terminate"] | None = None
    dependency_action: Literal["satisfy", "block"] | None = None

    @model_validator(mode="after")
    def _says_when_and_what(self) -> Self:
        if (self.codes is None) == (self.when is None):
            raise ValueError(
                "expected one of `codes: [65, 70-79]` and `when: default`, to say for which ends the rule is"
            )
        if self.job_action is None and self.dependency_action is None:
            raise ValueError("a rule without an action; add `dependency_action: satisfy` or `job_action: terminate`")
        return self

    @property
    def acts_on_job(self) -> bool:
        return self.job_action not in (None, "none")
