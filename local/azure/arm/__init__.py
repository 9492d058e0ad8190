"""Azure Resource Manager's endpoint: one generic pipeline over the table of resource types.

Owns envelopes, provisioning states, long-running operations, access checks and schema checks of every ARM request. The
table itself and the records of resources are in `local/azure/control_plane`, because every service reads them; what a
type's resources *do* is behind `TypeHooks`, which the room that owns the service registers.
"""
