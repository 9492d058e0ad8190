"""The pacer in simulated time: a limit is found and kept to, noise costs what it refuses, and one is not the other."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from jobs.submission import pace
from tests.jobs.submission.pacing import RATES, SimulatedService, sweep
from tests.jobs.submission.submitting import MANY

pytestmark = pytest.mark.thorough

SEEDS = range(2)


@pytest.fixture(autouse=True)
def real_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`hostile_client` shortens them."""
    monkeypatch.setattr(pace, "FIRST_PAUSE", 0.05)
    monkeypatch.setattr(pace, "LONGEST_PAUSE", 20.0)
    before = random.getstate()
    random.seed(1)
    yield
    random.setstate(before)


@pytest.mark.parametrize(
    ("latency", "retry_after"), [(0.004, None), (0.004, 1.0), (0.01, None), (0.02, 1.0), (0.05, None), (0.15, 1.0)]
)
@pytest.mark.parametrize("workers", [8, 32])
@pytest.mark.parametrize("burst", [40, 10])
def test_a_limit_of_40_a_second_is_found_and_kept_to(
    burst: int, workers: int, latency: float, retry_after: float | None
) -> None:
    service = SimulatedService(rate=40, burst=burst, retry_after=retry_after, latency=latency, speed=5000)
    service.run(workers=workers, seconds=30)
    assert service.accepted_between(1) / 29 >= 0.95 * 40
    assert service.share_refused(0, 1) < 0.10
    assert service.share_refused(1) < 0.02


def test_a_limit_that_changes_is_followed() -> None:
    service = SimulatedService(rate=40, burst=10, latency=0.01)
    service.run(workers=16, seconds=120, then=lambda: setattr(service, "rate", 160.0))
    assert service.accepted_between(15, 60) / 45 >= 0.9 * 40
    assert service.accepted_between(95, 120) / 25 >= 0.8 * 160
    assert len(service.refused) < 0.05 * len(service.accepted)


@pytest.mark.parametrize("retry_after", [None, 1.0])
@pytest.mark.parametrize("noise", [0.01, 0.03, 0.10])
@pytest.mark.parametrize("requests", [1000, 3000])
def test_refusals_without_a_limit_cost_what_they_refuse(noise: float, requests: int, retry_after: float | None) -> None:
    clean = SimulatedService()
    clean.run(workers=16, requests=requests)
    for seed in SEEDS:
        service = SimulatedService(noise=noise, retry_after=retry_after, seed=seed)
        service.run(workers=16, requests=requests)
        assert clean.now / service.now >= 0.8 * (1 - noise)


@pytest.mark.parametrize("latency", [0.02, 0.05])
@pytest.mark.parametrize("noise", [0.03, 0.10])
def test_a_short_run_is_not_held_up_by_finding_out_what_refuses(noise: float, latency: float) -> None:
    """A trial's rate is of what was accepted just before it, not in all of a second in which the rate grew."""
    clean = SimulatedService(latency=latency)
    clean.run(workers=32, requests=1000)
    for seed in range(4):
        service = SimulatedService(noise=noise, latency=latency, seed=seed)
        service.run(workers=32, requests=1000)
        assert clean.now / service.now >= 0.8 * (1 - noise)


@pytest.mark.parametrize("latency", [0.1, 0.15, 0.3])
@pytest.mark.parametrize("noise", [0.01, 0.03, 0.10])
def test_noise_far_away_is_told_from_a_limit_whatever_the_seed(noise: float, latency: float) -> None:
    clean = SimulatedService(latency=latency)
    clean.run(workers=32, requests=3000)
    shares = []
    for seed in range(MANY or 8):
        service = SimulatedService(noise=noise, latency=latency, seed=seed)
        service.run(workers=32, requests=3000)
        shares.append(clean.now / service.now / (1 - noise))
    assert min(shares) >= 0.7
    assert sum(share < 0.8 for share in shares) <= 0.05 * len(shares)


# Limits that the pacer keeps to by all three bars, of 28 at each way (`pacing.RATES` and `BURSTS`). Those that it does
# not are in docs/submission.md, with what can be reached at all.
KEPT_TO = {0.001: 28, 0.005: 27, 0.02: 26, 0.05: 15, 0.1: 7}


@pytest.mark.parametrize("retry_after", [None, 1.0])
@pytest.mark.parametrize("way", KEPT_TO)
def test_limits_from_10_to_300_a_second_are_kept_to(way: float, retry_after: float | None) -> None:
    outcomes = list(sweep((way,), RATES if MANY else RATES[::2], retry_after=retry_after))
    missed = [one for one in outcomes if one.missed]
    if MANY:
        assert len(outcomes) - len(missed) >= KEPT_TO[way], missed
    else:
        assert len(missed) <= 28 - KEPT_TO[way], missed
    # Who misses a bar misses it by little.
    assert all(one.accepted >= 0.8 and one.refused_first < 0.16 for one in outcomes)
    assert all(one.refused < (0.07 if one.rate < 40 else 0.04) for one in outcomes)


@pytest.mark.parametrize("jitter", [0.1, 0.3])
@pytest.mark.parametrize("way", [0.005, 0.02, 0.05])
def test_ways_that_differ_in_length_do_not_make_a_limit_look_like_noise(way: float, jitter: float) -> None:
    for seed in range(max(1, MANY // 10)):
        outcomes = list(sweep((way,), (10, 40, 150), jitter=jitter, seed=seed))
        assert all(one.accepted >= 0.8 and one.refused < 0.2 for one in outcomes)


@pytest.mark.parametrize("noise", [0.03, 0.10])
def test_a_limit_that_comes_after_noise_is_found(noise: float) -> None:
    service = SimulatedService(noise=noise, latency=0.004, burst=10, speed=500)
    service.run(workers=16, seconds=20, then=lambda: setattr(service, "rate", 40.0))
    assert service.accepted_between(2, 10) / 8 >= 0.8 * 500 * (1 - noise)
    assert service.accepted_between(12, 20) / 8 >= 0.7 * 40
    assert service.share_refused(12) < noise + 0.1


def test_a_pause_of_200_seconds_is_waited_for_once_it_repeats() -> None:
    """Nothing is allowed for 150 seconds, and every refusal asks for 200: few requests are sent meanwhile."""
    service = SimulatedService(rate=0.0, burst=5, retry_after=200.0, latency=0.01)
    service.run(workers=16, seconds=300, then=lambda: setattr(service, "rate", 40.0))
    assert len(service.refused) <= 20
    assert service.accepted_between(150) > 40 * 60
