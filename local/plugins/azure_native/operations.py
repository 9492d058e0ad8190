"""Create, read, update and delete on ARM, to the end of the long-running operation.

Followed as Azure's own clients do (Azure/azure-resource-manager-rpc, async-api-reference): `Azure-AsyncOperation`
names a status document; `Location` answers 202 until the work is done; without either, `properties.provisioningState`
of the resource tells. `Retry-After` is respected wherever it comes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import requests

from ..protocol.errors import AlreadyExists, Cancelled, CloudError
from .arm_client import ArmClient, ArmError, parsed, retry_after
from .translate import Request

DONE: Final = "Succeeded"
FAILED: Final = frozenset({"Failed", "Canceled", "Cancelled"})
DEFAULT_SECONDS: Final = 3600.0
_FIRST_POLL: Final = 0.1
_LONGEST_POLL: Final = 2.0


class Incomplete(CloudError):
    """ARM took the request, then the work failed or was not waited for: the resource may exist."""


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


def read(client: ArmClient, path: str, api_version: str) -> dict[str, Any] | None:
    """The resource, or None if there is none."""
    response = client.get(path, api_version)
    body = parsed(response)
    return body if response.status_code == 200 and isinstance(body, dict) and body else None


def create(client: ArmClient, request: Request, timeout: float, *, adopt: bool = False) -> dict[str, Any]:
    """PUT a resource that must not be there yet (ARM itself only knows create-or-update)."""
    if not adopt and read(client, request.path, request.api_version) is not None:
        raise AlreadyExists(f"cannot create already existing resource '{request.path}'")
    return put(client, request, timeout)


def put(client: ArmClient, request: Request, timeout: float) -> dict[str, Any]:
    """PUT and wait; the body of the finished resource."""
    response = client.send("PUT", request.path, request.api_version, request.body)
    try:
        _follow(client, response, request.path, _pace(client, timeout))
        return _settled(client, request, _pace(client, timeout))
    except (ArmError, Cancelled) as error:
        raise Incomplete(str(error)) from None


def delete(client: ArmClient, path: str, api_version: str, timeout: float) -> None:
    """DELETE and wait; already gone is fine."""
    response = client.send("DELETE", path, api_version, accept={404})
    if response.status_code == 404:
        return
    try:
        _follow(client, response, path, _pace(client, timeout))
    except ArmError as error:
        if error.status != 404:  # the status document may go with its group
            raise


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
    while True:
        pace.rest(response, what)
        response = client.send("GET", url)
        body = parsed(response)
        status = body.get("status") if isinstance(body, dict) else None
        if status in FAILED:
            raise ArmError.of(response.status_code, body if "error" in body else {"code": status, "message": what})
        if status == DONE or (status is None and response.status_code in (200, 204)):
            return


def _settled(client: ArmClient, request: Request, pace: _Pace) -> dict[str, Any]:
    """The resource once its provisioningState is final (or it has none)."""
    while True:
        response = client.send("GET", request.path, request.api_version)
        body = parsed(response)
        if not isinstance(body, dict):
            raise CloudError(f"GET {request.path} answered {response.status_code} without a resource")
        state = (body.get("properties") or {}).get("provisioningState")
        if state is None or state == DONE:
            return body
        if state in FAILED:
            raise ArmError(response.status_code, str(state), f"{request.path} is in provisioning state {state}")
        pace.rest(response, request.path)
