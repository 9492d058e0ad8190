"""Azure Batch: the data plane (one TLS port per account), its ARM hooks for accounts and pools, and the scheduler.

Owns jobs, tasks, pools and nodes as the service sees them and every decision about them. Does not own what happens on a
node (`local/node`), nor ARM's envelopes (`local/azure/arm`).

The rooms: `routes` (the table of all operations) -> `authentication` -> `operations/` -> `model/` and `states`
(tables) -> `account_state` (memory, written through to the store); `scheduler` decides, `dispatcher` acts on
executors' nodes.
"""

from local.azure.batch.service import BatchService

__all__ = ["BatchService"]
