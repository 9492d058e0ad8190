"""A short-lived registry login for the deployer: its Entra token, exchanged at the registry for a refresh token.

The exchange is what `az acr login --expose-token` does (https://github.com/Azure/acr/blob/main/docs/AAD-OAuth.md): POST
`/oauth2/exchange`, answered with a token that lives about three hours and is used as the password of the null GUID.
TLS is verified against the platform's trust store (`SSL_CERT_FILE` is honoured). May block for about a minute.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from typing import Final

import pulumi
from pulumi_azure_native import authorization

USERNAME: Final = "00000000-0000-0000-0000-000000000000"
AUDIENCE: Final = "https://containerregistry.azure.net"
TIMEOUT_SECONDS: Final = 20
RETRY_DELAYS_SECONDS: Final = (1.0, 2.0, 4.0, 8.0, 15.0)
"""A new registry's name may take some seconds to resolve; then the service may ask for patience (429, 5xx)."""

PREVIEW_PASSWORD: Final = "no-token-is-exchanged-in-a-preview"  # noqa: S105 - a placeholder


class RegistryLoginError(pulumi.RunError):
    """The registry gave no token. A RunError: Pulumi shows the sentence and no traceback."""

    def __init__(self, server: str, cause: str, next_step: str) -> None:
        self.user_message = f"registry {server} gave no push token: {cause}. Next step: {next_step}"
        super().__init__(self.user_message)


def registry_password(server: pulumi.Output[str]) -> pulumi.Output[str]:
    """The password for pushing to `server`, secret. In a preview nothing is pushed and nobody is asked."""
    if pulumi.runtime.is_dry_run():
        return pulumi.Output.secret(PREVIEW_PASSWORD)
    entra = pulumi.Output.secret(authorization.get_client_token_output(endpoint=AUDIENCE).token)

    async def login(parts: Sequence[str]) -> str:
        return await asyncio.to_thread(exchange, parts[0], parts[1])

    return pulumi.Output.secret(pulumi.Output.all(server, entra).apply(login))


def exchange(server: str, entra_token: str, *, sleep: Callable[[float], None] = time.sleep) -> str:
    """Exchange an Entra access token for the registry's refresh token, with bounded retries."""
    form = {"grant_type": "access_token", "service": server, "access_token": entra_token}
    request = urllib.request.Request(f"https://{server}/oauth2/exchange", urllib.parse.urlencode(form).encode())
    for delay in (*RETRY_DELAYS_SECONDS, None):
        try:
            return _post(server, request)
        except _Transient as problem:
            if delay is None:
                raise RegistryLoginError(
                    server, f"{problem} ({len(RETRY_DELAYS_SECONDS) + 1} attempts)", "see that it resolves and is up"
                ) from None
            sleep(delay)
    raise AssertionError("the last attempt returns or raises")


class _Transient(Exception):
    """Worth another attempt."""


def _post(server: str, request: urllib.request.Request) -> str:
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            token = json.load(answer).get("refresh_token")
    except urllib.error.HTTPError as error:
        text = f"HTTP {error.code} {error.read(500).decode(errors='replace').strip()}"
        if error.code == 429 or error.code >= 500:
            raise _Transient(text) from None
        raise RegistryLoginError(
            server, text, "give the deployer Contributor (or AcrPush) on the registry and log in again"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise RegistryLoginError(
                server, str(error), "trust its certificate authority (SSL_CERT_FILE), never switch the check off"
            ) from None
        raise _Transient(str(error)) from None
    except ValueError:
        raise RegistryLoginError(
            server, "its answer is not JSON", f"see that {server} is a container registry"
        ) from None
    if not token:
        raise RegistryLoginError(
            server, "its answer has no refresh_token", f"see that {server} is a container registry"
        )
    return token
