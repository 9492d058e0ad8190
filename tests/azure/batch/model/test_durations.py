"""Durations and times as the service writes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.azure.batch.model.durations import (
    UNLIMITED,
    canonical_duration,
    dotnet_ticks,
    duration_ticks,
    exact_stamp,
    parse_stamp,
    stamp,
)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("P3Y6M4DT12H30M5S", "P1279DT12H30M5S"),  # recorded
        ("PT60M", "PT1H"),
        ("P1DT24H", "P2D"),
        ("P1W", "P7D"),
        ("PT0S", "PT0S"),
        ("P0D", "PT0S"),
        ("PT1.50S", "PT1.5S"),
        (UNLIMITED, UNLIMITED),
    ],
)
def test_a_duration_is_written_as_the_service_does(sent: str, shown: str) -> None:
    assert canonical_duration(sent) == shown


@pytest.mark.parametrize("text", ["", "P", "PT", "P1DT", "1H", "PT1", "-PT1H", "PT1H30", "P10675200D", "PT٣S", "PT1.S"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        canonical_duration(text)


@given(st.integers(0, 2**63 - 1))
def test_the_canonical_form_is_the_same_duration_and_stays_as_it_is(ticks: int) -> None:
    seconds, fraction = divmod(ticks, 10_000_000)
    shown = canonical_duration(f"PT{seconds}.{fraction:07}S")
    assert duration_ticks(shown) == ticks and canonical_duration(shown) == shown


@pytest.mark.parametrize(
    ("microsecond", "shown", "exact"),
    [
        (789094, "2026-01-02T03:04:05.789094Z", "2026-01-02T03:04:05.7890940Z"),
        (500000, "2026-01-02T03:04:05.5Z", "2026-01-02T03:04:05.5000000Z"),
        (0, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.0000000Z"),
    ],
)
def test_times_end_without_zeros_in_bodies_and_with_them_in_the_text_of_errors(
    microsecond: int, shown: str, exact: str
) -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, microsecond, tzinfo=UTC)
    assert (stamp(when), exact_stamp(when)) == (shown, exact)
    assert parse_stamp(shown) == parse_stamp(exact) == when


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026-01-01T25:00:00Z", "0001-01-01T00:00:00+14:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|month|hour|year"):
        parse_stamp(text)


def test_ticks_are_those_of_dotnet() -> None:
    assert dotnet_ticks(datetime(1970, 1, 1, tzinfo=UTC)) == 621_355_968_000_000_000
    assert dotnet_ticks(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=1)) == 621_355_968_000_000_010
