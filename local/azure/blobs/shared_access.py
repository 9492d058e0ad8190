"""Whether a request with a shared access signature may go on: the signature, its time, and what it allows.

Has account, service (container, blob) and user delegation signatures, and stored access policies of containers (`si`);
directories are refused by name. Sources:
https://learn.microsoft.com/rest/api/storageservices/delegate-access-with-shared-access-signature,
.../get-user-delegation-key and .../define-stored-access-policy.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl

from local.azure.blobs.errors import (
    AuthenticationFailed,
    AuthorizationPermissionMismatch,
    AuthorizationResourceTypeMismatch,
    AuthorizationServiceMismatch,
    AuthorizationSourceIPMismatch,
    InvalidXmlNodeValue,
    NotImplementedYet,
)
from local.azure.blobs.operations import Operation
from local.azure.control_plane.shared_access import (
    DELEGATION_FIELDS,
    PARAMETERS,
    account_text,
    delegation_key,
    delegation_texts,
    service_text,
    signature,
)
from local.azure.platform.clock import Clock

_LONGEST_DELEGATION: Final = timedelta(days=7)
Policies = Mapping[str, Mapping[str, str]]
"""A container's stored access policies by id, with the fields of a signature that each has: `st`, `se`, `sp`."""
_LEVELS: Final = {"service": "s", "account": "s", "container": "c", "blob": "o"}


def without_signature(target: str) -> str:
    """A request's target as the store gets it: the parameters of a signature are for us."""
    path, mark, query = target.partition("?")
    kept = [part for part in query.split("&") if part and part.partition("=")[0].lower() not in PARAMETERS]
    return path + (mark + "&".join(kept) if kept else "")


class SharedAccess:
    """Checks signatures, and makes the keys that users sign with (derived from the account's first key, never kept)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def check(
        self,
        account: str,
        keys: list[str],
        operation: Operation,
        target: str,
        client: str | None,
        policies: Policies | None = None,
    ) -> str | None:
        """Return when the signature allows the request; for a user delegation, whose rights count besides.

        `policies` are those of the container, for a signature that names one.
        """
        given = dict(parse_qsl(target.partition("?")[2], keep_blank_values=True))
        if not keys:  # the account is still being made
            raise AuthenticationFailed
        if given.get("sr") == "d":
            raise NotImplementedYet("The local Azure does not have signatures for directories (sr=d).")
        principal = None
        if "srt" in given:
            self._signed(keys, [account_text(account, given)], given)
        elif "skoid" in given:
            principal = self._delegated(account, keys, operation, given)
        else:
            texts = [service_text(_resource(account, operation, given), given, given.get("snapshot", ""))]
            self._signed(keys, texts, given)
        if given.get("si"):
            given |= _stored_fields(given, policies or {})
        self._in_time(given)
        _from_there(given, client)
        _allowed(operation, given)
        return principal

    def delegation_key(
        self, account: str, keys: list[str], principal: str, tenant: str, body: Mapping[str, str], version: str
    ) -> dict[str, str]:
        """The fields of a user delegation key for these times, in the order that the service answers them."""
        now = self._clock.now()
        start, end = body.get("Start") or f"{now:%Y-%m-%dT%H:%M:%SZ}", body.get("Expiry", "")
        first, last = _time(start), _time(end)
        if last is None or first is None or last <= first or last <= now or last - now > _LONGEST_DELEGATION:
            raise InvalidXmlNodeValue(details=[("XmlNodeName", "Expiry"), ("XmlNodeValue", end)])
        fields = {
            "SignedOid": principal,
            "SignedTid": tenant,
            "SignedStart": start,
            "SignedExpiry": end,
            "SignedService": "b",
            "SignedVersion": version,
        }
        return {**fields, "Value": delegation_key(account, keys[0], fields.values())}

    def _delegated(self, account: str, keys: list[str], operation: Operation, given: Mapping[str, str]) -> str:
        key = delegation_key(account, keys[0], (given.get(name, "") for name in DELEGATION_FIELDS))
        resource = _resource(account, operation, given)
        self._signed([key], delegation_texts(resource, given, given.get("snapshot", "")), given)
        if not _within(self._clock.now(), given.get("skt", ""), given.get("ske", "")):
            raise AuthenticationFailed(details=[_detail("Signature not valid in the specified key time frame")])
        return given["skoid"]

    @staticmethod
    def _signed(keys: Iterable[str], texts: Iterable[str], given: Mapping[str, str]) -> None:
        texts = list(texts)
        for key in keys:
            for text in texts:
                if hmac.compare_digest(signature(key, text).encode(), given.get("sig", "").encode()):
                    return
        raise AuthenticationFailed(
            details=[_detail(f"Signature did not match. String to sign used was {texts[0] if texts else ''}")]
        )

    def _in_time(self, given: Mapping[str, str]) -> None:
        now = self._clock.now()
        if not given.get("se") or not _within(now, given.get("st", ""), given["se"]):
            raise AuthenticationFailed(
                details=[
                    _detail(
                        f"Signature not valid in the specified time frame: Start [{given.get('st', '')}] - Expiry "
                        f"[{given.get('se', '')}] - Current [{now.astimezone(UTC):%a, %d %b %Y %H:%M:%S GMT}]"
                    )
                ]
            )


def _stored_fields(given: Mapping[str, str], policies: Policies) -> Mapping[str, str]:
    """What the named policy says of start, end and permissions. Only service signatures may name one (documented)."""
    policy = policies.get(given["si"])
    if policy is None or "srt" in given or "skoid" in given:
        text = "SAS identifier cannot be found for specified signed identifier"  # [guess: the text]
        raise AuthenticationFailed(details=[_detail(text)])
    if policy.keys() & given.keys():
        text = "Access policy fields can be associated with signature or SAS identifier but not both"
        raise AuthenticationFailed(details=[_detail(text)])
    return policy


def _resource(account: str, operation: Operation, given: Mapping[str, str]) -> str:
    """The container or blob that a signature is for."""
    blob = operation.blob if given.get("sr", "b") != "c" else None
    return "/".join(part for part in (account, operation.container, blob) if part)


def _allowed(operation: Operation, given: Mapping[str, str]) -> None:
    """The signature has one of the letters that the operation asks for, and reaches that far."""
    if "srt" in given:
        if "b" not in given.get("ss", ""):
            raise AuthorizationServiceMismatch
        if _LEVELS[operation.level] not in given["srt"]:
            raise AuthorizationResourceTypeMismatch
    elif operation.level in ("service", "account") or (operation.level == "container" and given.get("sr") != "c"):
        raise AuthorizationPermissionMismatch
    elif operation.level == "container" and operation.right.operation != "List Blobs":
        raise AuthorizationPermissionMismatch  # a service signature reaches blobs and their list, not the container
    if not set(operation.right.letters) & set(given.get("sp", "")):
        raise AuthorizationPermissionMismatch


def _from_there(given: Mapping[str, str], client: str | None) -> None:
    """The client's address is in the range that the signature names."""
    if not given.get("sip"):
        return
    first, _, last = given["sip"].partition("-")
    try:
        address = ipaddress.ip_address(client or "")
        inside = int(ipaddress.ip_address(first)) <= int(address) <= int(ipaddress.ip_address(last or first))
    except ValueError:
        inside = False
    if not inside:
        raise AuthorizationSourceIPMismatch


def _within(now: datetime, start: str, end: str) -> bool:
    first, last = _time(start), _time(end)
    return last is not None and (not start or first is not None) and (first is None or first <= now) and now < last


def _time(text: str) -> datetime | None:
    """A time as signatures have it (a day alone is its first moment), None for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _detail(words: str) -> tuple[str, str]:
    return ("AuthenticationErrorDetail", words)
