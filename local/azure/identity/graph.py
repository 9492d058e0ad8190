"""A small Microsoft Graph on ARM's port: who is who in the tenant, so that no client has to leave the machine for it.

Has service principals (applications and managed identities), applications, users, `me`, `directoryObjects/getByIds`,
and making an application with a secret. Groups are always none. Refuses the rest by name.
Source: https://learn.microsoft.com/graph/api/overview (v1.0).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from aiohttp import web

from local.azure.control_plane import odata
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.errors import AuthenticationFailed, NotImplementedHere
from local.azure.control_plane.tokens import GRAPH_AUDIENCES, Caller, authorization
from local.azure.identity.directory import SERVICE_PRINCIPAL, USER, Application, Directory, Principal
from local.azure.identity.errors import GraphBadRequest, GraphFailed, GraphForbidden, GraphNotFound, GraphThrottled
from local.azure.platform.errors import AzureError
from local.azure.platform.http_faults import HttpFaults
from local.azure.platform.json_body import parse

_TYPES: Final = {SERVICE_PRINCIPAL: "servicePrincipal", USER: "user"}
_NAMES: Final = odata.Names(
    ("id", "appId", "displayName", "servicePrincipalNames", "userPrincipalName", "mail", "servicePrincipalType",
     "identifierUris", "mailNickname"),
)  # fmt: skip
_SECRET_LIFE: Final = timedelta(days=365)
Body = dict[str, Any]


class Graph:
    """Answers below `/v1.0/`; every caller with a token for it may read, the deployer may also write."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._directory = Directory(cloud)

    def routes(self) -> list[web.RouteDef]:
        """The one route."""
        faults = HttpFaults(self._cloud.faults, "graph", _fault)
        return [web.route("*", "/v1.0/{path:[\\s\\S]*}", faults.around(self._handle))]

    async def _handle(self, request: web.Request) -> web.Response:
        try:
            status, body = await self._answer(request)
        except AzureError as error:
            return _refusal(error)
        return web.Response(status=status) if body is None else web.json_response(body, status=status)

    async def _answer(self, request: web.Request) -> tuple[int, Body | None]:
        scheme, token = authorization(request.headers)
        if scheme != "bearer":
            raise AuthenticationFailed("Access token is empty.", reason="InvalidAuthenticationToken")
        caller = self._cloud.tokens.verify(token, (*GRAPH_AUDIENCES, self._cloud.arm_url))
        parts = [part for part in request.match_info["path"].split("/") if part]
        if request.method == "GET":
            return 200, self._read(parts, request.query, caller)
        if request.method == "POST" and [part.lower() for part in parts] == ["directoryobjects", "getbyids"]:
            return 200, self._by_ids(await _json(request))
        if caller.principal_id != self._cloud.settings.deployer_object_id:
            raise GraphForbidden
        return self._write(request.method, parts, await _json(request) if request.method in ("POST", "PATCH") else {})

    def _read(self, parts: list[str], query: Mapping[str, str], caller: Caller) -> Body:
        match [parts[0].lower() if parts else "", *parts[1:]]:
            case ["me"]:
                return self._one(self._principals(), caller.principal_id)
            case ["organization"]:
                tenant = self._cloud.settings.tenant_id
                return _list("organization", [{"id": tenant, "displayName": "Local Azure"}])
            case ["serviceprincipals" | "users" as kind, *rest] if len(rest) < 2:
                wanted = SERVICE_PRINCIPAL if kind == "serviceprincipals" else USER
                found = [self._shown(one) for one in self._directory.principals() if one.kind == wanted]
                word = "servicePrincipals" if wanted == SERVICE_PRINCIPAL else "users"
                return self._one(found, rest[0]) if rest else _list(word, found, query)
            case [first] if first.startswith("serviceprincipals(appid='"):
                return self._one(self._principals(), parts[0].split("'")[1])
            case ["applications", *rest] if len(rest) < 2:
                found = [self._application(one) for one in self._directory.applications()]
                return self._one(found, rest[0]) if rest else _list("applications", found, query)
            case ["groups"]:
                return _list("groups", [], query)
            case ["directoryobjects", object_id]:
                return self._one(self._principals(), object_id)
            case ["serviceprincipals" | "applications", _, "owners"]:
                return _list("directoryObjects", [])
        raise self._unknown(parts)

    def _write(self, method: str, parts: list[str], body: Body) -> tuple[int, Body | None]:
        match [method, parts[0].lower() if parts else "", *parts[1:]]:
            case ["POST", "applications"]:
                made = self._directory.create_application(_text(body, "displayName"), with_secret=False)
                return 201, self._application(made)
            case ["POST", "applications", app_id, "addPassword"]:
                renewed = self._directory.renew_secret(self._find(app_id))
                start = self._cloud.clock.now()
                return 200, {
                    "secretText": renewed.secret,
                    "keyId": renewed.id,
                    "hint": renewed.secret[:3],
                    "displayName": (body.get("passwordCredential") or {}).get("displayName"),
                    "startDateTime": start.isoformat(),
                    "endDateTime": (start + _SECRET_LIFE).isoformat(),
                }
            case ["POST", "serviceprincipals"]:  # every application has one here from the beginning
                application = self._directory.application(_text(body, "appId"))
                if application is None:
                    raise GraphNotFound(f"The application '{body['appId']}' does not exist.")
                return 201, self._one(self._principals(), application.object_id)
            case ["PATCH", "applications" | "serviceprincipals", object_id]:
                self._find(object_id)
                return 204, None
            case ["DELETE", "applications" | "serviceprincipals", object_id]:
                if not self._directory.delete_application(self._find(object_id)):
                    raise GraphBadRequest("The deployer's application cannot be deleted.")
                return 204, None
        raise self._unknown(parts)

    def _by_ids(self, body: Body) -> Body:
        ids = body.get("ids")
        if not isinstance(ids, list):
            raise GraphBadRequest("Invalid value specified for property 'ids': expected a list of object ids.")
        wanted = {str(one).lower() for one in ids}
        types = {str(one).lower() for one in body.get("types") or ("serviceprincipal", "user", "directoryobject")}
        found = [
            {"@odata.type": f"#microsoft.graph.{_TYPES[one.kind]}", **self._shown(one)}
            for one in self._directory.principals()
            if one.object_id.lower() in wanted and {_TYPES[one.kind].lower(), "directoryobject"} & types
        ]
        return _list("directoryObjects", found)

    def _principals(self) -> list[Body]:
        return [self._shown(one) for one in self._directory.principals()]

    def _find(self, given: str) -> Application:
        """An application by its own id, its service principal's or its client id."""
        for one in self._directory.applications():
            if given.lower() in (one.id.lower(), one.object_id.lower(), one.client_id.lower()):
                return one
        raise GraphNotFound(_missing(given))

    @staticmethod
    def _one(found: Iterable[Body], given: str) -> Body:
        for one in found:
            names = (one["id"], one.get("appId"), one.get("userPrincipalName"))
            if given.lower() in {str(name).lower() for name in names if name}:
                return one
        raise GraphNotFound(_missing(given))

    def _shown(self, one: Principal) -> Body:
        if one.kind == USER:
            return {
                "id": one.object_id,
                "displayName": one.name,
                "userPrincipalName": one.login,
                "mail": one.login,
                "mailNickname": str(one.login).partition("@")[0],
            }
        names = [one.client_id]
        if one.resource_id is not None:
            names.append(f"https://identity.azure.net/{one.client_id}")
        return {
            "id": one.object_id,
            "appId": one.client_id,
            "displayName": one.name,
            "appDisplayName": one.name,
            "accountEnabled": True,
            "servicePrincipalNames": names,
            "servicePrincipalType": "Application" if one.resource_id is None else "ManagedIdentity",
            "alternativeNames": [] if one.resource_id is None else ["isExplicit=True", one.resource_id],
            "appOwnerOrganizationId": self._cloud.settings.tenant_id,
            "tags": [],
        }

    @staticmethod
    def _application(one: Application) -> Body:
        return {
            "id": one.id,
            "appId": one.client_id,
            "displayName": one.name,
            "identifierUris": [],
            "signInAudience": "AzureADMyOrg",
            "passwordCredentials": [],
            "keyCredentials": [],
        }

    @staticmethod
    def _unknown(parts: list[str]) -> AzureError:
        return NotImplementedHere(
            f"The local Microsoft Graph has no '/{'/'.join(parts)}' with this method; it has servicePrincipals, "
            "applications, users, groups, me, organization and directoryObjects/getByIds."
        )


def _refusal(error: AzureError) -> web.Response:
    return web.json_response({"error": {"code": error.code, "message": error.message}}, status=error.status)


def _fault(_: web.Request, kind: str) -> web.Response:
    return _refusal(GraphThrottled() if kind == "throttle" else GraphFailed())


def _list(word: str, found: list[Body], query: Mapping[str, str] | None = None) -> Body:
    """A collection, with `$filter` and `$top` applied."""
    text = (query or {}).get("$filter", "").strip()
    if text:
        try:
            predicate = odata.parse(text, _NAMES)
        except odata.InvalidFilter as error:
            raise GraphBadRequest(f"Invalid filter clause: {error}.") from None
        found = [one for one in found if predicate({name.lower(): value for name, value in one.items()})]
    top = (query or {}).get("$top", "")
    return {"@odata.context": f"$metadata#{word}", "value": found[: int(top)] if top.isdigit() else found}


def _missing(given: str) -> str:
    return f"Resource '{given}' does not exist or one of its queried reference-property objects are not present."


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise GraphBadRequest(f"Invalid value specified for property '{name}': expected a text.")
    return value


async def _json(request: web.Request) -> Body:
    raw = await request.read()
    try:
        body = parse(raw) if raw.strip() else {}
    except ValueError as error:
        raise GraphBadRequest(f"Unable to read JSON request payload: {error}.") from None
    if not isinstance(body, dict):
        raise GraphBadRequest("Unable to read JSON request payload: expected an object.")
    return body
