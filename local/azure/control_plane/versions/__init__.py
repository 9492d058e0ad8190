"""Which api-versions ARM takes of each resource type, and how the bodies of each differ.

Owns the versions and their differences; `dump` reads them from other releases of the SDKs. Does not own checking:
that is `local/azure/arm/check.py`.
"""
