"""The HTTP side of one account: an ordered list of steps from request to response. The order is the documentation.

URL and method -> api-version -> authentication -> route -> right -> query -> body size -> operation -> encoding.
Errors of every step are encoded in one place.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Mapping
from urllib.parse import unquote

from aiohttp import web

from local.azure.batch import errors
from local.azure.batch.account.account import Account
from local.azure.batch.account.authentication import Authentication
from local.azure.batch.account.task_tokens import TaskCaller
from local.azure.batch.data_plane.bodies import MAX_BODY_BYTES
from local.azure.batch.data_plane.call import Call
from local.azure.batch.data_plane.query import wrong
from local.azure.batch.data_plane.routes import ALWAYS, ROUTES, Handler, Route, find
from local.azure.batch.data_plane.wire import Answer, common_headers, encode, encode_error, rfc1123
from local.azure.control_plane.tokens import BATCH_AUDIENCES, Caller
from local.azure.platform.clock import clients_now
from local.azure.platform.errors import AzureError, unexpected
from local.azure.platform.http_faults import HttpFaults

log = logging.getLogger(__name__)
_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.\d+\.\d+)?(-preview)?")
_FIRST_VERSION = "2014-04-01"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})
_HAVE_BODIES = frozenset({"POST", "PUT", "PATCH"})
_READ_AHEAD = 16 * 1024 * 1024  # bodies beyond the limit are still read so far, to answer 413 rather than to hang up


class AccountServer:
    """Answers one account's port."""

    def __init__(self, account: Account) -> None:
        self._account = account
        cloud = account.cloud
        challenge = f"{cloud.arm_url}/{cloud.settings.tenant_id}"
        audiences = (*BATCH_AUDIENCES, cloud.batch_audience, f"{account.url}/")
        self._authentication = Authentication(account.name, cloud.tokens, audiences, challenge, account.task_tokens)

    def app(self) -> web.Application:
        """The application; every path leads to `answer`."""
        app = web.Application(client_max_size=_READ_AHEAD)
        faults = HttpFaults(self._account.cloud.faults, "batch", self._refuse, _operation_name)
        app.router.add_route("*", "/{path:[\\s\\S]*}", faults.around(self.answer))
        return app

    def _refuse(self, request: web.Request, kind: str) -> web.Response:
        error = errors.TooManyRequests() if kind == "throttle" else errors.InternalError()
        return encode_error(error, self._account.url, request, self._account.clock.now())

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request from end to end."""
        account = self._account
        try:
            answer = await self._operate(request)
            if answer.stream is not None:
                return await self._stream(answer, request)
            return encode(answer, account.url, request)
        except AzureError as error:
            return encode_error(error, account.url, request, account.clock.now())
        except web.HTTPRequestEntityTooLarge:
            too_large = errors.RequestBodyTooLarge(details=[("MaxLimit", str(MAX_BODY_BYTES))])
            return encode_error(too_large, account.url, request, account.clock.now())
        except Exception as error:
            log.exception("%s %s failed", request.method, request.path)
            internal = unexpected(error) or errors.InternalError()
            return encode_error(internal, account.url, request, account.clock.now())

    async def _operate(self, request: web.Request) -> Answer:
        raw_path, _, raw_query = request.raw_path.partition("?")
        check_head(request.method, request.headers)
        given = dict(request.query)
        check_api_version(given)
        now = clients_now(self._account.clock)
        modes, keys = self._account.modes, self._account.keys().values()
        caller = self._authentication.caller(request.method, request.headers, raw_path, raw_query, modes, keys, now)
        route, params, handler = route_of(request.method, unquote(raw_path))
        if isinstance(caller, TaskCaller):
            self._authorise_task(caller, route, params)
        else:
            self._authorise(caller, route)
        query = check_query(given, route)
        content = await request.read()
        if len(content) > MAX_BODY_BYTES:
            raise errors.RequestBodyTooLarge(details=[("MaxLimit", str(MAX_BODY_BYTES))])
        call = Call(self._account, request.method, raw_path, params, query, request.headers, content)
        self._account.loop.settle()  # the operation decides about what is so now
        answer = await handler(call)
        if route.names_itself:
            answer.headers.setdefault("DataServiceId", call.url)
        return answer

    def _authorise(self, caller: Caller | None, route: Route) -> None:
        if caller is None:
            return
        scope = self._account.resource_id
        if not self._account.cloud.access.allows(caller.principal_id, route.action, scope, data=route.data):
            raise errors.PermissionDenied(
                details=[
                    (
                        "Reason",
                        f"The client '{caller.client_id}' with object id '{caller.principal_id}' does not have "
                        f"authorization to perform action '{route.action}' over scope '{scope}'.",
                    )
                ]
            )

    def _authorise_task(self, caller: TaskCaller, route: Route, params: Mapping[str, str]) -> None:
        """A task may do everything with its own job, while it runs."""
        task = self._account.state.runs.get(caller.run_id)
        if task is None:
            raise errors.AuthenticationFailed("The task that had this authentication token does not run any more.")
        if not route.path.startswith("/jobs/{jobId}") or params["jobId"].lower() != caller.job_id:
            reason = f"The authentication token of a task of job '{task.job_id}' gives access to that job only."
            raise errors.PermissionDenied(details=[("Reason", reason)])

    @staticmethod
    async def _stream(answer: Answer, request: web.Request) -> web.StreamResponse:
        assert answer.stream is not None
        headers = {**common_headers(request.headers), **answer.headers}
        if answer.changed is not None:
            headers["Last-Modified"] = rfc1123(answer.changed)
        left = answer.length
        response = web.StreamResponse(status=answer.status, headers=headers)
        await response.prepare(request)
        async for chunk in answer.stream:
            piece = chunk[:left]
            left -= len(piece)
            if piece:
                await response.write(piece)
            if not left:
                break
        await response.write_eof()
        return response


def _operation_name(request: web.Request) -> str:
    match = find(request.method, unquote(request.path))
    return "" if isinstance(match, set) else match[0].operation


def check_head(method: str, headers: Mapping[str, str]) -> None:
    """A known method, and the length of a body where there may be one."""
    if method not in _METHODS:
        raise errors.InvalidHttpVerb
    if method in _HAVE_BODIES and "Content-Length" not in headers and "Transfer-Encoding" not in headers:
        raise errors.MissingContentLengthHeader


def check_api_version(query: Mapping[str, str]) -> None:
    """Versions are not pinned; it must look like one."""
    version = query.get("api-version")
    if version is None:
        raise errors.MissingRequiredQueryParameter(details=[("QueryParameterName", "api-version")])
    if _API_VERSION.fullmatch(version) is None:
        raise wrong("api-version", version, "expected a version such as 2025-06-01 or 2024-02-01.19.0")
    if version < _FIRST_VERSION:
        raise errors.UnsupportedRequestVersion


def route_of(method: str, path: str) -> tuple[Route, dict[str, str], Handler]:
    """The operation; 404 with the nearest path, 405 with the methods that exist, 501 for what is not there yet."""
    if "//" in path:  # [guess]
        raise errors.InvalidUri
    match = find(method, path)
    if isinstance(match, set):
        if match:
            raise errors.UnsupportedHttpVerb(headers={"Allow": ", ".join(sorted(match))})
        near = difflib.get_close_matches(path, [route.path for route in ROUTES], 1, 0.3)
        hint = [("NearestPath", near[0])] if near else []
        raise errors.ResourceNotFound(details=[("RequestedPath", path), *hint])
    route, params = match
    if route.handler is None:
        raise errors.NotImplementedYet(
            f"The local Azure does not have the operation {route.operation} yet ({route.method} {route.path})."
        )
    return route, params, route.handler


def check_query(given: Mapping[str, str], route: Route) -> dict[str, str]:
    """The query in the service's spelling; an unknown name is refused."""
    by_lower = {name.lower(): name for name in (*ALWAYS, *route.query)}
    for name, value in given.items():
        if name.lower() not in by_lower:
            reason = f"{route.operation} takes {', '.join(by_lower.values())}"
            raise errors.UnsupportedQueryParameter(
                details=[("QueryParameterName", name), ("QueryParameterValue", value), ("Reason", reason)]
            )
        if name.lower() == "timeout" and re.fullmatch(r"[0-9]{1,9}", value) is None:
            raise wrong("timeOut", value, "expected a number of seconds")
    return {by_lower[name.lower()]: value for name, value in given.items()}
