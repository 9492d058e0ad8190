"""How many pools, jobs and cores an account may have: Azure's documented defaults, or plenty for one machine.

https://learn.microsoft.com/azure/batch/batch-quota-limit. ARM shows them, the data plane holds to those of pools and
jobs.
"""

from __future__ import annotations

from typing import Final

POOLS: Final = 100
ACTIVE_JOBS_AND_SCHEDULES: Final = 300
