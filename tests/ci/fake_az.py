"""An `az` for rehearsals: the two commands that the pipelines' scripts run, against the local Azure.

`az account get-access-token` is what azure-identity asks an Azure CLI that is signed in. `az acr import` copies an
image by digest from one registry to another, which Azure does by itself. Signed in as the client of ARM_CLIENT_ID: by
ARM_CLIENT_SECRET, or in a job of GitHub's by its identity token, as azure/login does it. Run by a process of its own
that imports nothing of ours.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

MANIFESTS = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
)
TLS = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])


def send(
    method: str, url: str, headers: dict[str, str], data: bytes | None = None, *, also: int = 200
) -> tuple[int, Any, bytes]:
    """Status, headers and body. Ends the program for an error, unless its status is `also` expected."""
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60, context=TLS) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        if error.code == also:
            return error.code, error.headers, b""
        sys.exit(f"ERROR: {method} {url.partition('?')[0]}: HTTP {error.code} {error.read(500).decode()}")


def form(url: str, **fields: str) -> dict[str, Any]:
    return json.loads(send("POST", url, {}, urllib.parse.urlencode(fields).encode())[2])


def proof() -> dict[str, str]:
    """Who we are, as a token request says it."""
    if secret := os.environ.get("ARM_CLIENT_SECRET"):
        return {"client_secret": secret}
    if file := os.environ.get("AZURE_FEDERATED_TOKEN_FILE"):
        assertion = Path(file).read_text()
    else:
        url = f"{os.environ['ACTIONS_ID_TOKEN_REQUEST_URL']}&audience=api://AzureADTokenExchange"
        headers = {"Authorization": f"Bearer {os.environ['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"}
        assertion = str(json.loads(send("GET", url, headers)[2])["value"])
    return {
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
    }


def token(resource: str) -> str:
    """An Entra token for a resource."""
    answer = form(
        f"https://{os.environ['ARM_METADATA_HOSTNAME']}/{os.environ['ARM_TENANT_ID']}/oauth2/v2.0/token",
        grant_type="client_credentials",
        client_id=os.environ["ARM_CLIENT_ID"],
        **proof(),
        scope=f"{resource.rstrip('/')}/.default",
    )
    return str(answer["access_token"])


class Repository:
    """A repository of a registry, with a token for it."""

    def __init__(self, server: str, name: str, actions: str) -> None:
        self.url = f"https://{server}/v2/{name}"
        base = f"https://{server}/oauth2"
        refresh = form(
            f"{base}/exchange",
            grant_type="access_token",
            service=server,
            access_token=token("https://containerregistry.azure.net"),
        )["refresh_token"]
        access = form(
            f"{base}/token",
            grant_type="refresh_token",
            service=server,
            scope=f"repository:{name}:{actions}",
            refresh_token=refresh,
        )["access_token"]
        self.headers = {"Authorization": f"Bearer {access}"}

    def has(self, digest: str) -> bool:
        return send("HEAD", f"{self.url}/blobs/{digest}", self.headers, also=404)[0] == 200

    def put(self, digest: str, content: bytes) -> None:
        _, headers, _ = send("POST", f"{self.url}/blobs/uploads/", self.headers, b"")
        place = urllib.parse.urljoin(self.url, headers["Location"])
        joined = "&" if "?" in place else "?"
        octets = {"Content-Type": "application/octet-stream"}
        send("PUT", f"{place}{joined}digest={digest}", {**octets, **self.headers}, content)


def acr_import(options: dict[str, str]) -> None:
    server, _, rest = options["--source"].partition("/")
    name, _, digest = rest.partition("@")
    repository, _, tag = options["--image"].partition(":")
    source, target = Repository(server, name, "pull"), Repository(options["--name"], repository, "pull,push")
    accepted = {"Accept": ", ".join(MANIFESTS), **source.headers}
    _, headers, manifest = send("GET", f"{source.url}/manifests/{digest}", accepted)
    parts = json.loads(manifest)
    for blob in (parts["config"], *parts["layers"]):
        if not target.has(blob["digest"]):
            target.put(blob["digest"], send("GET", f"{source.url}/blobs/{blob['digest']}", source.headers)[2])
    kind = {"Content-Type": headers["Content-Type"]}
    _, made, _ = send("PUT", f"{target.url}/manifests/{tag}", {**kind, **target.headers}, manifest)
    if made["Docker-Content-Digest"] != digest:
        sys.exit(f"ERROR: {digest} became {made['Docker-Content-Digest']}")


def main(words: list[str]) -> None:
    options = {
        name: value for name, value in zip(words, [*words[1:], ""], strict=True) if name.startswith("--")
    }  # a flag has the next option for its value, which nobody asks for
    if words[:2] == ["account", "get-access-token"]:
        expires = int(time.time()) + 3000
        local = time.strftime("%Y-%m-%d %H:%M:%S.000000", time.localtime(expires))
        answer = {"accessToken": token(options["--resource"]), "expiresOn": local, "expires_on": expires}
        print(json.dumps({**answer, "tokenType": "Bearer"}))
    elif words[:2] == ["acr", "import"]:
        acr_import(options)
    else:
        sys.exit(f"ERROR: the az that plays knows no `az {' '.join(words)}`")


if __name__ == "__main__":
    main(sys.argv[1:])
