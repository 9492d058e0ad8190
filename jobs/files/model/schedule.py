"""`schedule`: when Batch makes a job of the file, again and again. Times are instants: a schedule knows no zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, WithJsonSchema, model_validator

from .fields import Duration, Section

SHORTEST: Final = timedelta(minutes=1)  # azure-batch 15.1, `BatchJobScheduleConfiguration`


def _instant(value: Any) -> datetime:
    expected = f"expected a time with its zone, like 2026-12-01T02:00:00Z or 2026-12-01T02:00+01:00, got {value!r:.60}"
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(expected) from None
    if found.tzinfo is None or len(value) <= len("2026-12-01"):
        raise ValueError(expected)
    return found.astimezone(UTC)


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "examples": ["2026-12-01T02:00:00Z"]}),
]


class Schedule(Section):
    """When jobs are made: at once or from `do_not_run_until` on, one, or again and again (`recurrence_interval`)."""

    recurrence_interval: Duration | None = None
    do_not_run_until: Instant | None = None
    do_not_run_after: Instant | None = None
    start_window: Duration | None = None

    @model_validator(mode="after")
    def _can_run(self) -> Self:
        for name in ("recurrence_interval", "start_window"):
            span = getattr(self, name)
            if span is not None and span < SHORTEST:
                raise ValueError(f"Batch takes no `{name}` below 1m; write 1m or more")
        until, after = self.do_not_run_until, self.do_not_run_after
        if until is not None and after is not None and after <= until:
            raise ValueError("`do_not_run_after` is not later than `do_not_run_until`, so no job could be made")
        if self.recurrence_interval is None and until is None:
            raise ValueError(
                "write `recurrence_interval` (1d) for jobs again and again, or `do_not_run_until` for one job later; "
                "for one job now leave `schedule` out"
            )
        return self
