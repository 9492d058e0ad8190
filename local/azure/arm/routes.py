"""The pipeline of an ARM request, as one ordered list of steps; the order is the documentation.

Owns HTTP in and out. What is done to resources is `operations.py`.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from local.azure.arm.check import check
from local.azure.arm.directory import LOCATIONS, Directory
from local.azure.arm.errors import (
    InvalidApiVersionParameter,
    InvalidQueryParameter,
    InvalidRequestContent,
    MethodNotAllowed,
    MissingApiVersionParameter,
    NoRegisteredProviderFound,
    RequestContentTooLarge,
    ResourceNotFound,
    TooManyRequests,
)
from local.azure.arm.journal import RESULTS, STATUSES, Journal, Operation, first_answer, poll
from local.azure.arm.listing import page
from local.azure.arm.locks import check_locks
from local.azure.arm.operations import Operations
from local.azure.arm.providers.tags import Tags
from local.azure.arm.wire import error_body, resource_body, shown_etag
from local.azure.control_plane import ids
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.errors import AuthenticationFailed, NotFound, nearest
from local.azure.control_plane.ids import RESOURCE_GROUPS, TAGS
from local.azure.control_plane.resource_types import Document, TypeSpec
from local.azure.control_plane.resources import Resource
from local.azure.control_plane.tokens import Caller, authorization
from local.azure.control_plane.versions.api_versions import without_unknown
from local.azure.platform.errors import AzureError, unexpected
from local.azure.platform.json_body import parse

_VERSION = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])-([0-2]\d|3[01])(-(preview|alpha|beta|privatepreview))?", re.IGNORECASE)
_OLDEST = 2014
_QUERY = frozenset(
    ("api-version", "$filter", "$top", "$expand", "$skiptoken", "$skip", "$select", "maxresults", "$maxpagesize")
)
_SUFFIX = {"GET": "read", "HEAD": "read", "PUT": "write", "PATCH": "write", "DELETE": "delete"}
_HEADERS = {
    "Cache-Control": "no-cache",
    "Pragma": "no-cache",
    "Expires": "-1",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer (recorded)."""
_log = logging.getLogger("local.azure.arm")


@dataclass
class Context:
    """One request on its way through the steps."""

    request: web.Request
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    target: ids.Target = field(default_factory=lambda: ids.Target(""))
    caller: Caller | None = None
    spec: TypeSpec | None = None
    resource_id: str = ""  # of the resource, or of the scope of a list
    action: str | None = None
    body: dict[str, Any] = field(default_factory=dict)
    answer: web.Response | None = None


class Pipeline:
    """Handles every path that is not the authority's."""

    def __init__(self, cloud: Cloud, journal: Journal) -> None:
        self._cloud = cloud
        self._journal = journal
        self._operations = Operations(cloud, journal)
        self._directory = Directory(cloud)
        self._tag_operations = Tags(cloud)
        self.steps: tuple[Callable[[Context], Awaitable[None]], ...] = (
            self.parse,
            self.api_version,
            self.authenticate,
            self.route,
            self.authorize,
            self.locks,
            self.read_body,
            self.operate,
        )

    def refuse(self, request: web.Request, kind: str) -> web.Response:
        """ARM's answer to too many requests, or to a failure of its own."""
        context = Context(request)
        error = TooManyRequests() if kind == "throttle" else AzureError()
        return self._finish(web.json_response(self._error(error, context), status=error.status), context)

    async def handle(self, request: web.Request) -> web.Response:
        """Run the steps until one has the answer."""
        context = Context(request)
        try:
            for step in self.steps:
                await step(context)
                if context.answer is not None:
                    break
            answer = context.answer or web.json_response({}, status=500)
        except AzureError as error:
            answer = web.json_response(self._error(error, context), status=error.status, headers=error.headers)
        except Exception as error:
            _log.exception("request broke", extra={"path": request.path, "request": context.request_id})
            broken = unexpected(error) or AzureError(
                f"The local Azure failed: {type(error).__name__}; see its log for {context.request_id}."
            )
            answer = web.json_response(self._error(broken, context), status=broken.status)
        return self._finish(answer, context)

    @staticmethod
    def _finish(answer: web.Response, context: Context) -> web.Response:
        request = context.request
        answer.headers.update(_HEADERS)
        answer.headers["x-ms-request-id"] = context.request_id
        answer.headers["x-ms-correlation-request-id"] = request.headers.get(
            "x-ms-correlation-request-id", context.request_id
        )
        given = request.headers.get("x-ms-client-request-id")
        if given is not None:
            answer.headers["x-ms-client-request-id"] = given
        return answer

    def _error(self, error: AzureError, context: Context) -> dict[str, Any]:
        return error_body(error, context.request_id, self._cloud.clock.now())

    async def parse(self, context: Context) -> None:
        """Take the path apart."""
        context.target = ids.parse(context.request.path)

    async def api_version(self, context: Context) -> None:
        """An api-version is there and plausible; other query parameters are known."""
        query = context.request.query
        given = query.get("api-version")
        if not given:
            raise MissingApiVersionParameter
        match = _VERSION.fullmatch(given)
        if match is None or not _OLDEST <= int(match[1]) <= 2035:
            raise InvalidApiVersionParameter(
                f"The api-version '{given}' is invalid. The supported versions are dates such as '2024-07-01' or "
                "'2026-09-01-preview'."
            )
        for name in query:
            if name.lower() not in _QUERY:
                raise InvalidQueryParameter(f"The query parameter '{name}' is not known here.{nearest(name, _QUERY)}")

    async def authenticate(self, context: Context) -> None:
        """A bearer token for ARM."""
        scheme, token = authorization(context.request.headers)
        if scheme != "bearer" or not token:
            raise AuthenticationFailed
        context.caller = self._cloud.tokens.verify(token, self._cloud.arm_audiences)

    async def route(self, context: Context) -> None:
        """Find what answers: a document, an operation's status, or a type of resource."""
        target, method = context.target, context.request.method
        segments = ids.split(context.request.path)
        if len(segments) > 1 and segments[0].lower() == "subscriptions":
            self._directory.check_subscription(segments[1])
        last = target.types[-1].lower() if target.types else ""
        if last in (*RESULTS, STATUSES) and target.is_item:
            context.answer = poll(self._cloud, self._journal, target.names[-1], last, context.request)
            return
        if target.type.lower() == TAGS.lower() and target.is_item:
            context.answer = await self._tags(context)
            return
        published = self._cloud.types.document(target.type) if method == "GET" else None
        if published is not None:
            context.answer = web.json_response(self._published(published, context))
            return
        document = self._directory.find(method, target)
        if document is not None:
            body = await self._json(context) if method == "POST" else {}
            context.answer = web.json_response(document(target, context.request.query, body))
            return
        if target.type.lower() == "microsoft.resources/resources":
            return
        types: tuple[str, ...] = target.types
        if method == "POST":
            if target.is_item or not target.names or not types:
                raise MethodNotAllowed(f"The resource type '{target.type}' takes no POST without an action.")
            context.action, types = types[-1], types[:-1]
        context.spec = self._cloud.types.get("/".join((target.namespace, *types)))
        check_version(context.spec, context.request.query["api-version"], self._cloud.settings.location)
        if method != "POST" and not target.is_item and method != "GET":
            raise MethodNotAllowed(f"The method {method} is not supported on a list of {context.spec.type}.")

    async def _tags(self, context: Context) -> web.Response:
        """The tags of a scope as a resource of their own."""
        assert context.caller is not None
        method, scope = context.request.method, context.target.scope
        body = await self._json(context) if method in ("PUT", "PATCH") else {}
        done = self._tag_operations.act(method, scope, body, context.caller)
        return web.Response(status=200) if done is None else web.json_response(done)

    def _published(self, document: Document, context: Context) -> dict[str, Any]:
        """A read-only answer of a service; its names are those of the path, its scope the resource that they name."""
        target = context.target
        scope, owner = target.scope, self._cloud.resources.get(target.scope) if len(target.types) == 1 else None
        if target.types[0].lower() != "locations" and len(target.types) > 1:
            kinds = zip(target.types[:-1], target.names, strict=False)
            scope += f"/providers/{target.namespace}" + "".join(f"/{kind}/{name}" for kind, name in kinds)
            owner = self._cloud.resources.get(scope)
            if owner is None:
                raise ResourceNotFound(f"The Resource '{scope}' was not found.")
        assert context.caller is not None
        self._cloud.access.require(context.caller, document.action, scope)
        answer = None
        if document.of is not None and owner is not None:
            answer = document.of(owner, target.names[len(target.types) - 1 :])
        elif document.answer is not None:
            answer = document.answer(target.names, context.request.query)
        if answer is None:
            raise ResourceNotFound(f"The Resource '{context.request.path}' was not found.")
        return answer

    async def authorize(self, context: Context) -> None:
        """The caller's roles allow it: `Microsoft.Batch/batchAccounts/write` at the resource, for instance."""
        target, spec, caller = context.target, context.spec, context.caller
        if spec is None or caller is None:
            return
        context.resource_id = self._canonical(target, spec)
        if context.request.method == "GET" and not target.is_item:
            return  # lists show what may be read
        if context.action is not None:
            context.action = next(
                (one for one in spec.actions if one.lower() == str(context.action).lower()), None
            ) or self._unknown_action(spec, context.action)
        words = f"{context.action}/action" if context.action else _SUFFIX.get(context.request.method)
        if words is None:
            raise MethodNotAllowed(f"The method {context.request.method} is not supported on {spec.type}.")
        self._cloud.access.require(caller, f"{access_type(spec)}/{words}", context.resource_id)

    async def locks(self, context: Context) -> None:
        """No lock stands in the way."""
        if context.spec is not None and context.request.method not in ("GET", "HEAD"):
            check_locks(self._cloud.resources, context.request.method, context.spec, context.resource_id)

    async def read_body(self, context: Context) -> None:
        """The body fits the type's schema."""
        method, spec = context.request.method, context.spec
        if spec is None or method not in ("PUT", "PATCH", "POST"):
            return
        body = await self._json(context, needed=not spec.empty_body)
        if method == "PATCH" and spec.update_model is None:
            raise MethodNotAllowed(f"The resource type '{spec.type}' cannot be patched; PUT the whole resource.")
        if method == "PUT":
            self._directory.require_registered(spec.namespace)
            spec.check_name(context.target.names[-1])
        version = context.request.query["api-version"]
        context.body = (
            body
            if method == "POST"
            else check(body, spec.shape(update=method == "PATCH", version=version), spec.read_shape())
        )

    async def operate(self, context: Context) -> None:
        """Do it and encode the answer."""
        spec, caller, request = context.spec, context.caller, context.request
        if spec is None or (request.method == "GET" and not context.target.is_item):
            context.answer = page(self._cloud, context.target, spec, caller, request)
            return
        assert caller is not None
        match = (request.headers.get("If-Match"), request.headers.get("If-None-Match"))
        operation: Operation | None = None
        match request.method:
            case "GET":
                found = self._operations.get(context.resource_id, spec)
                context.answer = web.json_response(_known(resource_body(found, spec), context, spec))
                self._stamp(context, found, spec)
            case "HEAD":
                self._head(context, spec)
            case "POST":
                done = await self._operations.act(context.resource_id, spec, context.action or "", context.body, caller)
                context.answer = web.Response(status=204) if done is None else web.json_response(done)
            case "DELETE":
                gone = self._cloud.resources.get(context.resource_id) if spec.deleted_body else None
                shown = None if gone is None else resource_body(gone, spec)
                status, operation = await self._operations.delete(context.resource_id, spec)
                context.answer = first_answer(self._cloud, status, shown, operation, spec)
            case "PUT" | "PATCH":
                verb = self._operations.put if request.method == "PUT" else self._operations.patch
                resource, status, operation = await verb(context.resource_id, spec, context.body, caller, match)
                shown = _known(resource_body(resource, self._spec(spec)), context, spec)
                context.answer = first_answer(self._cloud, status, shown, operation, spec)
                self._stamp(context, resource, spec)

    def _stamp(self, context: Context, resource: Resource, spec: TypeSpec) -> None:
        """ETag and Last-Modified, for types that have them."""
        assert context.answer is not None
        if spec.shows_etag or spec.stamped:
            context.answer.headers["ETag"] = shown_etag(resource, self._spec(spec))
        if spec.stamped:
            changed = datetime.fromisoformat(resource.changed or resource.created)
            context.answer.headers["Last-Modified"] = format_datetime(changed.astimezone(UTC), usegmt=True)

    def _spec(self, spec: TypeSpec) -> TypeSpec:
        return self._cloud.types.get(spec.type)

    def _head(self, context: Context, spec: TypeSpec) -> None:
        """HEAD has no body: 204 when it exists, 404 when not."""
        exists = self._cloud.resources.get(context.resource_id) is not None
        context.answer = web.Response(status=204 if exists else 404)

    def _canonical(self, target: ids.Target, spec: TypeSpec) -> str:
        """The id of the resource (or of a list's scope) with the case of what exists."""
        known = self._cloud.resources.get(target.scope) if target.scope else None
        scope = known.id if known is not None else _canonical_scope(target.scope, self._cloud)
        if spec.type == RESOURCE_GROUPS:
            return f"{scope}/resourceGroups/{target.names[0]}" if target.names else scope
        path = f"{scope}/providers/{spec.namespace}" if target.names else scope
        for kind, name in zip(spec.type.split("/")[1:], target.names, strict=False):
            path = f"{path}/{kind}/{name}"
            existing = self._cloud.resources.get(path)
            path = existing.id if existing is not None else path
        return path

    def _unknown_action(self, spec: TypeSpec, given: str) -> str:
        raise NotFound(f"The resource type '{spec.type}' has no action '{given}'.{nearest(given, spec.actions)}")

    async def _json(self, context: Context, *, needed: bool = True) -> dict[str, Any]:
        try:
            raw = await context.request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise RequestContentTooLarge("The request content is larger than 4 MB, which is the most.") from error
        except web.RequestPayloadError as error:
            raise InvalidRequestContent(f"The request content was invalid and could not be read: {error}.") from error
        if not raw.strip():
            if context.request.method == "POST" or not needed:
                return {}
            raise InvalidRequestContent("The request content was invalid: a JSON body is required.")
        try:
            body = parse(raw)
        except ValueError as error:
            raise InvalidRequestContent(
                f"The request content was invalid and could not be deserialized: {error}."
            ) from error
        if not isinstance(body, dict):
            raise InvalidRequestContent("The request content was invalid: expected a JSON object.")
        return body


def _known(body: dict[str, Any], context: Context, spec: TypeSpec) -> dict[str, Any]:
    """A resource as the request's api-version knows it."""
    return without_unknown(spec.type, context.request.query["api-version"], body)


def check_version(spec: TypeSpec, given: str, location: str) -> None:
    """Raise for an api-version that the type does not have, with those that it has."""
    if given.lower() in spec.versions:
        return
    if spec.namespace == "Microsoft.Resources":
        raise InvalidApiVersionParameter(
            f"The api-version '{given}' is invalid. The supported versions are '{','.join(spec.versions)}'."
        )
    raise NoRegisteredProviderFound(
        f"No registered resource provider found for location '{location}' and API version '{given}' for type "
        f"'{spec.type.partition('/')[2]}'. The supported api-versions are '{', '.join(spec.versions)}'. The supported "
        f"locations are '{', '.join(spec.places or LOCATIONS)}'."
    )


def access_type(spec: TypeSpec) -> str:
    """The type as operations name it."""
    return "Microsoft.Resources/subscriptions/resourceGroups" if spec.type == RESOURCE_GROUPS else spec.type


def _canonical_scope(scope: str, cloud: Cloud) -> str:
    segments = ids.split(scope)
    if len(segments) >= 2 and segments[0].lower() == "subscriptions":
        segments[0:2] = ["subscriptions", cloud.settings.subscription_id]
    if len(segments) >= 4 and segments[2].lower() == "resourcegroups":
        segments[2] = "resourceGroups"
        group = cloud.resources.get(ids.join(segments[:4]))
        segments[3] = group.name if group is not None else segments[3]
    return ids.join(segments)
