"""The Batch service of `testbeds/batch_service.py`, with an account and a submitter, in several kinds of time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.azure.platform.clock import ManualClock
from testbeds.batch_service import START, LocalBatch, furnish


@pytest.fixture
def manual(tmp_path: Path) -> Iterator[LocalBatch]:
    """Account and submitter; nodes and runs go on when the test says so."""
    local = LocalBatch(tmp_path / "home", automatic=False)
    furnish(local)
    yield local
    local.close()


@pytest.fixture
def clocked(tmp_path: Path) -> Iterator[LocalBatch]:
    """As `azure`, on a clock that the test moves by `advance`."""
    local = LocalBatch(tmp_path / "home", automatic=True, clock=ManualClock(START))
    furnish(local)
    yield local
    local.close()


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[LocalBatch]:
    """Account and submitter; nodes come up and runs succeed by themselves."""
    local = LocalBatch(tmp_path / "home", automatic=True)
    furnish(local)
    yield local
    local.close()


@pytest.fixture
def timed(tmp_path: Path) -> Iterator[LocalBatch]:
    """Account and submitter on a clock that `wait` moves; nodes come up by themselves, runs go on when told."""
    local = LocalBatch(tmp_path / "home", automatic=False, clock=ManualClock(datetime.now(UTC)))
    furnish(local)
    yield local
    local.close()


@pytest.fixture
def nodes(manual: LocalBatch) -> LocalBatch:
    """Two nodes that are up, with two slots each."""
    manual.pool(nodes=2, taskSlotsPerNode=2)
    for node in manual.node_ids():
        manual.do(manual.executor.node_up, node)
    return manual


@pytest.fixture
def node(manual: LocalBatch) -> LocalBatch:
    """One node that is up, with two slots."""
    manual.pool(nodes=1, taskSlotsPerNode=2)
    manual.do(manual.executor.node_up, manual.node_ids()[0])
    return manual
