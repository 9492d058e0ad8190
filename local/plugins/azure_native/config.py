"""azure-native's own settings: configuration `azure-native:<name>` first, then the environment, as in the real plugin.

Which cloud it is follows from `metadataHost` / ARM_METADATA_HOSTNAME only. Without it the stand-in refuses: a
stand-in that quietly talked to the real Azure, or to nothing, would be a trap. PULUMI_STANDIN_OFFLINE=<yaml> gives
previews a subscription without any cloud.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import yaml

from local.plugins.protocol.errors import InvalidInput, Refused
from local.plugins.protocol.provider import Failure
from local.plugins.schema.check import nearest
from local.plugins.schema.descriptions import description
from local.plugins.schema.types import PROVIDER_MODULE

OFFLINE: Final = "PULUMI_STANDIN_OFFLINE"
_OFFLINE_KEYS: Final = ("subscriptionId", "tenantId", "clientId", "objectId")
# setting -> environment variable (azure-native's documented names)
_ENVIRONMENT: Final = {
    "metadataHost": "ARM_METADATA_HOSTNAME",
    "subscriptionId": "ARM_SUBSCRIPTION_ID",
    "tenantId": "ARM_TENANT_ID",
    "clientId": "ARM_CLIENT_ID",
    "clientSecret": "ARM_CLIENT_SECRET",
    "location": "ARM_LOCATION",
    "useOidc": "ARM_USE_OIDC",
    "oidcRequestUrl": "ACTIONS_ID_TOKEN_REQUEST_URL",
    "oidcRequestToken": "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
}
# Settings without effect here: who is credited, tenants beside one's own, and checks that a private cloud never passes.
_NO_EFFECT: Final = {
    "disablePulumiPartnerId",
    "partnerId",
    "auxiliaryTenantIds",
    "environment",
    "disableInstanceDiscovery",
}
_PROTOCOL: Final = {"version", "pluginDownloadURL", "pluginChecksums", "parameterization", "autonaming"}


@dataclass(frozen=True)
class Offline:
    """Who a preview without a cloud pretends to be."""

    path: str
    subscription_id: str
    tenant_id: str
    client_id: str
    object_id: str


@dataclass(frozen=True)
class Config:
    """Where the cloud is and who signs in, or the offline file."""

    location: str | None
    subscription_id: str
    tenant_id: str = ""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    oidc_request_url: str = ""
    """Where a job of GitHub's asks for its identity token; empty: the client signs in with its secret."""
    oidc_request_token: str = field(default="", repr=False)
    metadata_host: str = ""
    ca_bundle: str | None = None
    offline: Offline | None = None


def check(settings: Mapping[str, object]) -> Sequence[Failure]:
    """Settings that azure-native does not have."""
    declared = description(f"{PROVIDER_MODULE}azure-native")
    assert declared, "the SDK has a provider class for every package"
    known = {*declared.input_names, *_PROTOCOL}
    return [
        Failure(name, f"'azure-native:{name}' is not a setting of azure-native{nearest(name, known)}")
        for name in sorted(settings)
        if name not in known
    ]


def load(variables: Mapping[str, str], environ: Mapping[str, str] = os.environ) -> Config:
    """The configuration of one provider; says what is missing and what the stand-in cannot do."""
    unsupported = sorted(
        name
        for name, value in variables.items()
        if value not in ("", "false") and name not in _ENVIRONMENT and name not in _NO_EFFECT | _PROTOCOL
    )
    if unsupported:
        raise Refused(
            "the stand-in for azure-native signs in with a client secret or as a job of GitHub's; it does not support "
            f"{', '.join(unsupported)}. Remove the setting from this stack, or use the real plugin"
        )
    values = {name: variables.get(name) or environ.get(key, "") for name, key in _ENVIRONMENT.items()}
    if environ.get(OFFLINE):
        offline = read_offline(environ[OFFLINE])
        return Config(values["location"] or None, offline.subscription_id, offline=offline)
    if not values["metadataHost"]:
        raise Refused(
            "the stand-in only talks to a cloud named by ARM_METADATA_HOSTNAME, which is not set; real stacks use the "
            "real plugin (pulumi up), and `make up` starts the local cloud"
        )
    if "/" in values["metadataHost"]:
        raise InvalidInput(
            f"ARM_METADATA_HOSTNAME is {values['metadataHost']!r}; expected host or host:port, without https://"
        )
    federated = values["useOidc"].lower() in ("true", "1")
    proof = ("oidcRequestUrl", "oidcRequestToken") if federated else ("clientSecret",)
    missing = [_ENVIRONMENT[name] for name in ("subscriptionId", "tenantId", "clientId", *proof) if not values[name]]
    if missing:
        raise Refused(
            f"the stand-in for azure-native cannot sign in: {', '.join(missing)} not set; `make up` sets them"
        )
    return Config(
        location=values["location"] or None,
        subscription_id=values["subscriptionId"],
        tenant_id=values["tenantId"],
        client_id=values["clientId"],
        client_secret="" if federated else values["clientSecret"],
        oidc_request_url=values["oidcRequestUrl"] if federated else "",
        oidc_request_token=values["oidcRequestToken"] if federated else "",
        metadata_host=values["metadataHost"],
        ca_bundle=environ.get("REQUESTS_CA_BUNDLE") or environ.get("SSL_CERT_FILE") or None,
    )


def read_offline(path: str) -> Offline:
    """The offline file: YAML with at least the four ids."""
    try:
        found = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise InvalidInput(f"{OFFLINE} names {path}, which cannot be read: {error}") from None
    missing = [key for key in _OFFLINE_KEYS if not isinstance(found, dict) or not isinstance(found.get(key), str)]
    if missing:
        raise InvalidInput(f"{path} lacks {', '.join(missing)} (strings); a preview without a cloud needs them")
    return Offline(path, found["subscriptionId"], found["tenantId"], found["clientId"], found["objectId"])
