"""Azure Batch: the data plane (one TLS port per account), its ARM hooks for accounts and pools, and the scheduler.

Owns jobs, tasks, pools and nodes as the service sees them and every decision about them. Does not own what happens on a
node (`local/node`), nor ARM's envelopes (`local/azure/arm`).

The rooms, each importing only those before it: `errors` -> `model/` (records, state tables, and the account's state in
memory, written through to the store) -> `scheduling/` (decides, and acts on nodes) -> `account/` -> `data_plane/`
(HTTP) -> `accounts` (all that run) -> `hooks/` (ARM) -> `service`.
"""
