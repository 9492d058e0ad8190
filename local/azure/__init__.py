"""The emulated services of the local Azure and what they share.

Rooms, each importing only those before it: `platform` (store, ports, certificates, clock, ...) -> `control_plane`
(resources, tokens, roles, the cloud as one object) -> `identity` -> `arm`, `blobs`, `registry`, `batch`, `sql` (the
services; none imports another, but ARM's endpoint serves the authority of `identity`) -> `cloudfile`, `executors`,
`app` (assembly of the azure process). Nothing in here knows Pulumi, and nothing here starts nodes (`local/node`).
"""
