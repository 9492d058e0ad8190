"""Azure Batch: the data plane (one TLS port per account), its ARM hooks for accounts and pools, and the scheduler.

Owns jobs, tasks, pools and nodes as the service sees them and every decision about them. Does not own what happens on a
node (`local/node`), nor ARM's envelopes (`local/azure/arm`).

docs/architecture.md (Inside `local/azure/batch/`) has the rooms, and which of them may import which.
"""
