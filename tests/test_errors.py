"""One layout of errors in every program: the fact, then cause and next step, a line each. An empty part has no line."""

from __future__ import annotations

import pytest

from jobs.errors import JobsError, UsageError
from local.errors import LocalError
from tools.errors import ExplainedError, SetupError
from worker.docker_worker.errors import WorkerError

FACT, CAUSE, NEXT_STEP = "x.yaml cannot be read", "the disk is full", "make room"
TOLD = f"{FACT}\n  cause: {CAUSE}\n  next:  {NEXT_STEP}"


@pytest.mark.parametrize("error", [ExplainedError, SetupError, LocalError, JobsError, UsageError])
def test_an_error_is_fact_cause_and_next_step(error: type[ExplainedError] | type[JobsError]) -> None:
    assert str(error(FACT, cause=CAUSE, next_step=NEXT_STEP)) == TOLD
    assert str(error(FACT, next_step=NEXT_STEP)) == f"{FACT}\n  next:  {NEXT_STEP}"
    assert str(error(FACT, cause=CAUSE)) == f"{FACT}\n  cause: {CAUSE}"
    assert str(error(FACT)) == FACT


def test_the_workers_errors_are_printed_so_and_stored_in_one_line() -> None:
    error = WorkerError(FACT, cause=CAUSE, next_step=NEXT_STEP)
    assert "\n".join(error.lines) == TOLD
    assert str(error) == f"{FACT}; {CAUSE}; {NEXT_STEP}"


def test_a_list_of_problems_has_a_line_for_each() -> None:
    assert JobsError(FACT, cause=CAUSE, next_step=NEXT_STEP).in_one_line == f"{FACT}; {CAUSE}; {NEXT_STEP}"
    assert JobsError(FACT, next_step=NEXT_STEP).in_one_line == f"{FACT}; {NEXT_STEP}"
