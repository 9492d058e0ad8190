"""Plain requests to a running ARM."""

from __future__ import annotations

import http.client
import json
import ssl
import uuid
from typing import Any
from urllib.parse import urlsplit

from local.azure.control_plane import ids
from local.azure.control_plane.resource_types import Types
from local.azure.platform.errors import AzureError
from tests.azure.running import RunningAzure

VERSION = "api-version=2024-07-01"
PLACE = {"location": "westeurope"}
CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"


def version_of(path: str) -> str:
    """The query with a version that the type at the path takes."""
    try:
        target = ids.parse(path)
    except AzureError:
        return VERSION
    for count in range(len(target.types), 0, -1):
        try:
            return f"api-version={Types().get('/'.join((target.namespace, *target.types[:count]))).api_version}"
        except AzureError:
            continue
    return VERSION


class Http:
    """Plain requests as the deployer."""

    def __init__(self, azure: RunningAzure) -> None:
        self.azure = azure
        self.context = ssl.create_default_context(cafile=str(azure.paths.ca))
        settings = azure.cloud.settings
        self.token = azure.cloud.tokens.issue(
            principal_id=settings.deployer_object_id,
            client_id=settings.client_id,
            audience="https://management.azure.com/",
        )

    def __call__(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, query: str | None = None
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers in lower case, document. `path` may be a URL; the api-version is the type's, unless given."""
        if path.startswith("https"):
            parts = urlsplit(path)
            path, query = parts.path, parts.query
        elif not path.startswith("//"):
            path = self.azure.cloud.subscription_scope + path
        query = version_of(path) if query is None else query
        port = self.azure.cloud.ports.reserve("arm")
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=self.context)
        headers = {"Content-Type": "application/json"}
        given = self.token if token is None else token
        if given:
            headers["Authorization"] = f"Bearer {given}"
        target = path.replace("//", "/") + (f"?{query}" if query else "")
        connection.request(method, target, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, json.loads(text) if text else None

    def grant(self, principal: str, role: str, scope: str) -> None:
        """Assign a role to a principal, as the deployer."""
        definition = f"{self.azure.cloud.subscription_scope}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        properties = {"principalId": principal, "roleDefinitionId": definition, "principalType": "ServicePrincipal"}
        path = f"/{scope}/providers/Microsoft.Authorization/roleAssignments/{uuid.uuid4()}"
        status, _, answer = self("PUT", path, {"properties": properties}, query="api-version=2022-04-01")
        assert status == 201, answer

    def raw(self, path: str, body: bytes, **headers: str) -> tuple[int, str, str]:
        """PUT bytes as they are; status, code and message."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.azure.cloud.ports.reserve("arm"), context=self.context
        )
        sent = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}", **headers}
        connection.request("PUT", f"{self.azure.cloud.subscription_scope}{path}?{VERSION}", body, sent)
        answer = connection.getresponse()
        error = json.loads(answer.read()).get("error", {})
        connection.close()
        return answer.status, error.get("code", ""), error.get("message", "")


def provider(path: str) -> str:
    """A path in the group."""
    return f"/resourceGroups/rg1/providers/{path}"


def settle(http_: Http, location: str) -> int:
    """Ask until it is over."""
    for _ in range(500):
        status = http_("GET", location)[0]
        if status != 202:
            return status
    raise AssertionError("the operation did not end")
