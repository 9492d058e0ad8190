"""Create, read, update and delete on ARM, to the end of the long-running operation.

Followed as Azure's own clients do (Azure/azure-resource-manager-rpc, async-api-reference): `Azure-AsyncOperation`
names a status document; `Location` answers 202 until the work is done; without either, `properties.provisioningState`
of the resource tells. `Retry-After` is respected wherever it comes.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any, Final

import requests

from local.plugins.azure_native.arm_client import ArmClient, ArmError, parsed, retry_after
from local.plugins.azure_native.translate import Request
from local.plugins.protocol.errors import AlreadyExists, Cancelled, CloudError, PluginError

DONE: Final = "Succeeded"
FAILED: Final = frozenset({"Failed", "Canceled", "Cancelled"})
_FINAL: Final = FAILED | {DONE, None}
DEFAULT_SECONDS: Final = 3600.0
LAST_READ_SECONDS: Final = 3.0
"""How long a failing connection is tried again to read a resource whose operation has failed already."""
_FIRST_POLL: Final = 0.1
_LONGEST_POLL: Final = 2.0
_UNREADABLE_POLLS: Final = 3
"""Answers in a row that are not what was asked for (a proxy's page, half a document) before the wait is given up."""


class Incomplete(CloudError):
    """ARM may have taken the request, and how it ended is not known or bad: the resource may exist."""


@dataclass
class _Pace:
    """How long to wait between polls, and until when."""

    client: ArmClient
    deadline: float
    pause: float = _FIRST_POLL

    def rest(self, response: requests.Response, what: str) -> None:
        seconds = retry_after(response, self.pause)
        if time.monotonic() + seconds > self.deadline:
            raise Incomplete(f"{what} did not finish in time; it may still finish: refresh before the next up")
        self.client.wait(seconds)
        self.pause = min(self.pause * 1.5, _LONGEST_POLL)


def read(client: ArmClient, path: str, api_version: str, patience: float | None = None) -> dict[str, Any] | None:
    """The resource, or None if there is none."""
    response = client.get(path, api_version, patience)
    body = parsed(response)
    return body if response.status_code == 200 and isinstance(body, dict) and body else None


def refuse_existing(client: ArmClient, path: str, api_version: str) -> None:
    """Raise AlreadyExists if the resource is there: ARM's PUT would change it, and Pulumi's create must not."""
    if read(client, path, api_version) is not None:
        raise AlreadyExists(f"cannot create already existing resource '{path}'")


def put(client: ArmClient, request: Request, timeout: float) -> dict[str, Any]:
    """PUT and wait; the body of the finished resource.

    Raises ArmError if ARM refuses the request, and Incomplete for whatever happens once ARM may have taken it: from
    then on the caller has to tell the engine of the resource.
    """
    accepted = False
    try:
        response = client.send("PUT", request.path, request.api_version, request.body)
        accepted = True
        _follow(client, response, request.path, _pace(client, timeout))
        return _finished(client, request.path, request.api_version, _pace(client, timeout))
    except PluginError as error:
        if isinstance(error, ArmError) and error.status < 500 and not accepted and not error.may_have_been_taken:
            raise
        raise Incomplete(str(error)) from None
    except Exception as error:  # an answer that nobody expected must not make us forget the resource
        raise Incomplete(f"{request.path}: the answer cannot be used ({type(error).__name__}: {error})") from error


def wait_until_final(client: ArmClient, path: str, api_version: str, timeout: float) -> dict[str, Any] | None:
    """Wait until the work that ARM is doing on the resource has ended, well or not; None if there is no resource."""
    return _poll_resource(client, path, api_version, _pace(client, timeout))


def delete(client: ArmClient, path: str, api_version: str, timeout: float) -> None:
    """DELETE and wait; already gone is fine.

    When the wait fails after ARM took the request, the resource itself is read. If that does not help, the error leaves
    the resource in the engine's state, and the next run deletes again.
    """
    try:
        response = client.send("DELETE", path, api_version, accept={404})
    except ArmError as error:
        being_deleted = error.status == 409 and wait_until_final(client, path, api_version, timeout) is None
        if not being_deleted:
            raise
        return
    if response.status_code == 404:
        return
    try:
        _follow(client, response, path, _pace(client, timeout))
    except Cancelled:
        raise
    except Exception as error:
        with contextlib.suppress(PluginError):
            if client.get(path, api_version, patience=LAST_READ_SECONDS).status_code == 404:
                return
        raise CloudError(
            f"{path}: Azure accepted the deletion, but how it ended is not known ({error}); the next run asks again"
        ) from None


def _pace(client: ArmClient, timeout: float) -> _Pace:
    return _Pace(client, time.monotonic() + (timeout or DEFAULT_SECONDS))


def _follow(client: ArmClient, response: requests.Response, what: str, pace: _Pace) -> None:
    """Follow the headers of an accepted request to its end."""
    status_url = response.headers.get("Azure-AsyncOperation")
    location = response.headers.get("Location")
    if status_url:
        _follow_status(client, status_url, response, what, pace)
    elif response.status_code == 202 and location:
        while response.status_code == 202:
            pace.rest(response, what)
            location = response.headers.get("Location", location)
            response = client.send("GET", location, accept={404})


def _follow_status(client: ArmClient, url: str, response: requests.Response, what: str, pace: _Pace) -> None:
    unreadable = 0
    while True:
        pace.rest(response, what)
        response = client.send("GET", url, accept={404})
        if response.status_code in (204, 404):  # nothing to tell any more: the resource itself says how it ended
            return
        body = parsed(response)
        if not isinstance(body, dict) or not isinstance(body.get("status"), str):
            unreadable += 1
            if unreadable == _UNREADABLE_POLLS:
                raise CloudError(f"{what}: {unreadable} polls in a row were answered with no status ({_shown(body)})")
            continue
        unreadable = 0
        if body["status"] in FAILED:
            failure = body if "error" in body else {"code": body["status"], "message": what}
            raise ArmError.of(response.status_code, failure)
        if body["status"] == DONE:
            return


def _finished(client: ArmClient, path: str, api_version: str, pace: _Pace) -> dict[str, Any]:
    """The resource once its provisioningState is final (or it has none). CloudError if it failed or is not there."""
    body = _poll_resource(client, path, api_version, pace)
    if body is None:
        raise CloudError(f"{path}: Azure accepted the request, and has no such resource after it")
    if (state := _state(body)) in FAILED:
        raise ArmError(200, str(state), f"{path} is in provisioning state {state}")
    return body


def _poll_resource(client: ArmClient, path: str, api_version: str, pace: _Pace) -> dict[str, Any] | None:
    """Read the resource until its provisioningState is final (or it has none); None if there is no resource."""
    unreadable = 0
    while True:
        response = client.get(path, api_version)
        if response.status_code == 404:
            return None
        body = parsed(response)
        if isinstance(body, dict) and body:
            unreadable = 0
            if _state(body) in _FINAL:
                return body
        else:
            unreadable += 1
            if unreadable == _UNREADABLE_POLLS:
                raise CloudError(f"GET {path} answered {response.status_code} without a resource ({_shown(body)})")
        pace.rest(response, path)


def _state(body: dict[str, Any]) -> Any:
    """The resource's provisioning state, None if it has none."""
    properties = body.get("properties")
    return properties.get("provisioningState") if isinstance(properties, dict) else None


def _shown(body: object) -> str:
    return "an empty body" if body is None else f"{str(body)[:80]!r}"
