"""The connection to the Docker engine, and what to say when there is none."""

from __future__ import annotations

import os

import docker
import requests
from docker.errors import DockerException

from local.plugins.protocol.errors import Refused

DEFAULT_HOST = "unix:///var/run/docker.sock"


def connect(host: str | None) -> docker.APIClient:
    """A client of the engine at `host` (default: DOCKER_HOST, else the local socket), known to answer."""
    where = host or os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    try:
        client = docker.APIClient(base_url=where, version="auto", timeout=600)
        client.ping()
    except (DockerException, requests.exceptions.RequestException, OSError) as error:
        raise Refused(_unreachable(where, error)) from None
    return client


def _unreachable(where: str, error: BaseException) -> str:
    causes = _chain(error)
    if any(isinstance(cause, PermissionError) or "Permission denied" in str(cause) for cause in causes):
        return (
            f"no permission to use the Docker engine at {where}; run as root, or join the socket's group "
            "(usually: usermod -aG docker USER, then log in again)"
        )
    if any(isinstance(cause, FileNotFoundError | ConnectionRefusedError) for cause in causes):
        return (
            f"no Docker engine answers at {where}, so the image cannot be built; start one (`make up` does), "
            "or set DOCKER_HOST"
        )
    return f"the Docker engine at {where} cannot be used: {error}"


def _chain(error: BaseException | None) -> list[BaseException]:
    """The error, its causes, and errors inside their arguments (urllib3 hides them there)."""
    chain: list[BaseException] = []
    waiting = [error]
    while waiting:
        current = waiting.pop()
        if isinstance(current, BaseException) and current not in chain:
            chain.append(current)
            nested = [arg for arg in current.args if isinstance(arg, BaseException)]
            waiting += [current.__cause__, current.__context__, getattr(current, "reason", None), *nested]
    return chain
