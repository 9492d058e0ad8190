"""Azure Resource Manager: one generic pipeline over a table of resource types.

Owns ids, envelopes, provisioning states, long-running operations, access checks and schema checks of every ARM request.
What a type's resources *do* is behind `hooks.TypeHooks`, given by the room that owns the service.
`from local.azure.arm.service import ArmService` is the site (not imported here: the shared room uses `arm.resources`).
"""
