"""What every process of the local Azure stands on: store, settings, ports, certificates, sites, clock, logs, errors.

Nothing here knows of resources, callers or any service of Azure; it imports `local.paths` and nothing else of `local`.
"""
