"""Functions of azure-native: the caller's ids, a token, and POST actions that list keys."""

from __future__ import annotations

from typing import Any, Final

from local.plugins.azure_native.arm_client import ArmClient, parsed
from local.plugins.azure_native.config import Config
from local.plugins.azure_native.resources import ACTIONS, resource_type
from local.plugins.azure_native.translate import resource_path
from local.plugins.protocol.errors import InvalidInput, Refused
from local.plugins.schema.check import nearest

CLIENT_CONFIG: Final = "azure-native:authorization:getClientConfig"
CLIENT_TOKEN: Final = "azure-native:authorization:getClientToken"  # noqa: S105


def invoke(token: str, args: dict[str, Any], config: Config, client: ArmClient | None) -> dict[str, Any]:
    """A function's result. `client` is None offline."""
    if token == CLIENT_CONFIG:
        return _client_config(config, client)
    if token != CLIENT_TOKEN and token not in ACTIONS:
        functions = [CLIENT_CONFIG, CLIENT_TOKEN, *ACTIONS]
        raise InvalidInput(
            f"the stand-in for azure-native does not know function {token}{nearest(token, functions)} "
            f"(known: {', '.join(functions)})"
        )
    if client is None:
        raise Refused(
            f"{token} needs a cloud, and this is a preview without one; the program must not call it in a preview"
        )
    if token == CLIENT_TOKEN:
        return {"token": client.token(args.get("endpoint"))}
    action = ACTIONS[token]
    path = resource_path(action.resource, args, config.subscription_id)
    body = {name: value for name, value in args.items() if name not in resource_type(action.resource).parameters}
    answer = parsed(
        client.send("POST", f"{path}/{action.name}", resource_type(action.resource).api_version, body or None)
    )
    return answer if isinstance(answer, dict) else {}


def _client_config(config: Config, client: ArmClient | None) -> dict[str, Any]:
    if client is None:
        assert config.offline is not None
        me = config.offline
        return {
            "clientId": me.client_id,
            "objectId": me.object_id,
            "subscriptionId": me.subscription_id,
            "tenantId": me.tenant_id,
        }
    return {
        "clientId": config.client_id,
        "objectId": client.object_id(),
        "subscriptionId": config.subscription_id,
        "tenantId": config.tenant_id,
    }
