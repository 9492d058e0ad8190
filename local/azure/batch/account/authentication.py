"""Who may call the data plane: a bearer token for Batch, or the account's shared key where the account allows it.

Shared key: HMAC-SHA256 over the request in the form of `BatchSharedKeyAuthPolicy` (azure-batch 15.1.0) and
https://learn.microsoft.com/rest/api/batchservice/authenticate-requests-to-the-azure-batch-service; signed over the
raw path.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import parse_qs

from local.azure.batch.account.task_tokens import TaskCaller, TaskTokens
from local.azure.batch.errors import (
    AuthenticationFailed,
    AuthenticationRequired,
    InvalidAuthenticationInfo,
    MissingRequiredHeader,
)
from local.azure.control_plane.tokens import Caller, Tokens, authorization
from local.azure.platform.errors import AzureError

_SIGNED = (
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
)
_CLOCK_SKEW = timedelta(minutes=15)
SHARED_KEY: Final = "SharedKey"
ENTRA: Final = "AAD"
TASK: Final = "TaskAuthenticationToken"


def string_to_sign(method: str, headers: Mapping[str, str], account: str, raw_path: str, query: str) -> str:
    """What both sides sign."""
    lower = {name.lower(): value for name, value in headers.items() if value}
    if method not in ("GET", "HEAD"):
        lower.setdefault("content-length", "0")
    lines = [method, *(lower.get(name, "") for name in _SIGNED)]
    lines += [f"{name}:{lower[name]}" for name in sorted(lower) if name.startswith("ocp-")]
    lines.append(f"/{account}{raw_path}")
    values = parse_qs(query)
    lines += [f"{name}:{values[name][0]}" for name in sorted(values) if values[name][0]]
    return "\n".join(lines)


def sign(key: str, text: str) -> str:
    """The signature with a base64 key."""
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()


class Authentication:
    """Checks one account's requests."""

    def __init__(
        self, account: str, tokens: Tokens, audiences: Collection[str], challenge: str, task_tokens: TaskTokens
    ) -> None:
        self._account = account
        self._tokens = tokens
        self._audiences = audiences
        self._challenge = challenge
        self._task_tokens = task_tokens

    def caller(
        self,
        method: str,
        headers: Mapping[str, str],
        raw_path: str,
        query: str,
        modes: Collection[str],
        keys: Collection[str],
        now: datetime,
    ) -> Caller | TaskCaller | None:
        """The caller of a bearer token, which may be a task's; None for a shared key, which may do everything. Raises
        otherwise."""
        if "Authorization" not in headers:
            raise MissingRequiredHeader(details=[("HeaderName", "Authorization")])
        scheme, credential = authorization(headers)
        if scheme == "bearer" and (task := self._task_tokens.read(credential)) is not None:
            self._allow(TASK, modes)
            return task
        if scheme == "bearer":
            self._allow(ENTRA, modes)
            try:
                return self._tokens.verify(credential, self._audiences)
            except AzureError as error:
                raise self._unauthenticated(error.message) from error
        if scheme == "sharedkey":
            self._allow(SHARED_KEY, modes)
            self._check_key(credential, string_to_sign(method, headers, self._account, raw_path, query), keys)
            self._check_date(headers, now)
            return None
        raise self._unauthenticated("The request has no Authorization header of type Bearer or SharedKey.")

    def _allow(self, mode: str, modes: Collection[str]) -> None:
        if mode not in modes:  # text as clients saw it: Azure/BatchExplorer#239
            raise _detailed(
                AuthenticationFailed, f"The specified type of authentication {mode} is not allowed for this account."
            )

    def _check_key(self, credential: str, text: str, keys: Collection[str]) -> None:
        name, colon, signature = credential.partition(":")
        if not colon:
            raise InvalidAuthenticationInfo
        if name.lower() != self._account.lower():
            raise _detailed(
                AuthenticationFailed, f"The account name '{name}' is not this endpoint's '{self._account}'."
            )
        try:
            good = any(hmac.compare_digest(sign(key, text), signature) for key in keys)
        except (binascii.Error, TypeError) as error:
            raise _detailed(AuthenticationFailed, "The signature is not base64.") from error
        if not good:
            raise _detailed(
                AuthenticationFailed,
                f"The MAC signature found in the HTTP request '{signature}' is not the same as any computed signature. "
                f"Server used following string to sign: '{text}'.",
            )

    @staticmethod
    def _check_date(headers: Mapping[str, str], now: datetime) -> None:
        text = headers.get("ocp-date") or headers.get("Date")
        try:
            sent = parsedate_to_datetime(text or "")
        except ValueError as error:
            raise _detailed(AuthenticationFailed, f"The Date header {text!r} is not an RFC 1123 date.") from error
        if abs(now - sent) > _CLOCK_SKEW:
            raise _detailed(AuthenticationFailed, f"Request date header too old or too far ahead: '{text}'.")

    def _unauthenticated(self, reason: str) -> AuthenticationRequired:
        return AuthenticationRequired(
            details=[("AuthenticationErrorDetail", reason)],
            headers={
                "WWW-Authenticate": f'Bearer authorization_uri="{self._challenge}", resource="https://batch.core.windows.net/"'
            },
        )


def _detailed(kind: type[AuthenticationRequired], reason: str) -> AuthenticationRequired:
    return kind(details=[("AuthenticationErrorDetail", reason)])
