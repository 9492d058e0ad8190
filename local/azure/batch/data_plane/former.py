"""What bodies of earlier api-versions have and those of 2025-06-01 have not any more.

Clients of those versions go on sending it (azure-cli's `pool reset` sends an empty list of certificates). What changes
nothing here is dropped, what asked for something that Azure has retired is refused.
Source: azure-batch's change log, 15.0.0b1 to 15.1.0.
"""

from __future__ import annotations

from typing import Any, Final

from local.azure.batch import errors

FIRST: Final = "2025-06-01"
_RETIRED: Final = {
    "certificateReferences": "Certificates were retired on 29 February 2024; use Azure Key Vault.",
    "applicationLicenses": "Application licenses were retired.",
}
_NO_EFFECT: Final = ("targetNodeCommunicationMode", "resourceTags")
_MODES: Final = ("default", "classic", "simplified")


def without_former(value: Any, version: str) -> Any:
    """The body as 2025-06-01 has it; bodies of that version and later ones are not touched."""
    return value if version[: len(FIRST)] >= FIRST else _without(value)


def _without(value: Any) -> Any:
    if isinstance(value, list):
        return [_without(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _without(one) for name, one in value.items() if not _dropped(name, one)}
    kind = kept.pop("storageAccountType", None) if {"lun", "diskSizeGB"} & set(kept) else None
    if kind is not None:  # of a data disk: its managed disk has it now
        kept.setdefault("managedDisk", {"storageAccountType": kind})
    return kept


def _dropped(name: str, value: Any) -> bool:
    if name in _RETIRED and value:
        raise errors.InvalidPropertyValue(details=[("PropertyName", name), ("Reason", _RETIRED[name])])
    if name == "targetNodeCommunicationMode" and str(value).lower() not in _MODES and value is not None:
        raise errors.invalid(name, value, f"expected one of {', '.join(_MODES)}")
    if name == "resourceTags" and value is not None and not isinstance(value, dict):
        raise errors.invalid(name, value, "expected an object")
    return name in _RETIRED or name in _NO_EFFECT
