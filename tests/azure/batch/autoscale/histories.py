"""Histories of metrics for tests: a sample each 30 s up to now, as the service takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from local.azure.batch.autoscale.evaluation import Pool
from local.azure.batch.autoscale.samples import METRICS, PERIOD, Metric

NOW = datetime(2026, 11, 26, 15, 30, tzinfo=UTC)  # a Thursday


def history(name: str, values: Sequence[float], *, now: datetime = NOW, missing: int = 0) -> Metric:
    """The last of the values is now's, or `missing` samples older."""
    newest = now - missing * PERIOD
    at = [newest - (len(values) - 1 - index) * PERIOD for index in range(len(values))]
    return Metric(name, float(values[-1]), list(zip(at, map(float, values), strict=True)))


def pool(
    histories: Mapping[str, Sequence[float]] | None = None,
    *,
    dedicated: int = 0,
    spot: int = 0,
    missing: int = 0,
    now: datetime = NOW,
) -> Pool:
    """A pool with these histories (names without `$`); every other metric is 0 and has no sample."""
    metrics = {name: Metric(name, 0.0) for name in METRICS}
    for name, values in (histories or {}).items():
        metrics[f"${name}"] = history(f"${name}", values, missing=missing, now=now)
    return Pool(dedicated, spot, metrics)
