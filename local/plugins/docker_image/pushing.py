"""Push an image and learn its digest from the registry's own answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import docker
import requests
from docker.errors import APIError

from local.plugins.docker_image.building import Credentials, Show
from local.plugins.docker_image.names import split
from local.plugins.protocol.errors import Cancelled, PluginError

ATTEMPTS: Final = 3
_NOT_FOUND: Final = (
    "manifest unknown",
    "name unknown",
    "repository_unknown",
    "not found",
    "no such host",
    "connection refused",
)
"""What the engine says when the registry has no such image, or there is no such registry."""


class AnswerLost(PluginError):
    """The image may be in the registry: whether, and as what, is not known."""


def push(
    client: docker.APIClient,
    name: str,
    credentials: Credentials | None,
    show: Show,
    is_cancelled: Callable[[], bool],
) -> str:
    """Push `name`; returns repository@sha256:..., taken from the push itself (a tag may be moved by someone else)."""
    for attempt in range(ATTEMPTS):
        try:
            return _push(client, name, credentials, show, is_cancelled)
        except requests.exceptions.RequestException as error:
            # The answer is lost, not the image: layers that arrived are not sent again, and the answer has the digest.
            if is_cancelled():
                raise Cancelled(f"the push of {name} was cancelled by the engine") from None
            if attempt + 1 == ATTEMPTS:
                raise AnswerLost(
                    f"pushing {name}: the Docker engine's answer was lost {ATTEMPTS} times ({error}); the image may be "
                    "in the registry already, and the next run pushes it again"
                ) from None
            show(f"the answer to the push was lost ({type(error).__name__}); pushing again")
    raise AssertionError("every attempt returns or raises")


def in_registry(client: docker.APIClient, digest: str, credentials: Credentials | None) -> bool:
    """Whether the registry has the image `repository@sha256:...`; False also where no registry answers any more.

    Raises PluginError when the sign-in has expired, or the Docker engine does not answer.
    """
    try:
        client.inspect_distribution(digest, auth_config=credentials.auth if credentials else None)
    except APIError as error:
        text = str(error.explanation or error).lower()
        if any(word in text for word in _NOT_FOUND):
            return False
        raise PluginError(str(error.explanation or error)) from None
    except requests.exceptions.RequestException as error:
        raise PluginError(f"the Docker engine did not answer ({error})") from None
    return True


def _push(
    client: docker.APIClient,
    name: str,
    credentials: Credentials | None,
    show: Show,
    is_cancelled: Callable[[], bool],
) -> str:
    repository, tag = split(name)
    auth = {"auth_config": credentials.auth} if credentials else {}
    digest, problem = "", ""
    try:
        for message in client.push(repository, tag=tag, stream=True, decode=True, **auth):
            digest = (message.get("aux") or {}).get("Digest", digest)
            problem = problem or _error(message)
            if message.get("status"):
                show(" ".join(str(message[key]) for key in ("id", "status", "progress") if message.get(key)))
            if is_cancelled():
                raise Cancelled(f"the push of {name} was cancelled by the engine")
    except APIError as error:
        problem = str(error.explanation or error)
    if problem or not digest:
        raise PluginError(_failed(name, problem or "the registry sent no digest", credentials))
    return f"{repository}@{digest}"


def _error(message: Mapping[str, Any]) -> str:
    return str((message.get("errorDetail") or {}).get("message") or message.get("error") or "")


def _failed(name: str, problem: str, credentials: Credentials | None) -> str:
    who = f"as {credentials.username}" if credentials else "without credentials"
    text = f"pushing {name} {who} failed: {problem}"
    if credentials and credentials.password:
        text = text.replace(credentials.password, "[secret]")
    if any(word in problem for word in ("unauthorized", "denied", "authentication required", "no basic auth")):
        text += (
            "\nThe registry refused the sign-in: it needs a fresh token and the right to push (AcrPush or Contributor)"
        )
    return text
