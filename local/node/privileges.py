"""Which rights a container needs to run an engine of its own, and which of them this machine's engine can grant.

`--privileged` where the engine grants it; otherwise every capability but SYS_RESOURCE, spelled out
(tried on an engine that refuses the former). The answer is kept per engine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError

_CAPABILITIES = (  # noqa: SIM905 - one a line would hide what is missing
    "AUDIT_CONTROL AUDIT_READ BLOCK_SUSPEND DAC_READ_SEARCH IPC_LOCK IPC_OWNER LEASE LINUX_IMMUTABLE MAC_ADMIN "
    "MAC_OVERRIDE NET_ADMIN NET_BROADCAST SYS_ADMIN SYS_BOOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO "
    "SYS_TIME SYS_TTY_CONFIG SYSLOG WAKE_ALARM"
).split()
_CHOICES: tuple[dict[str, Any], ...] = (
    {"Privileged": True},
    {
        "SecurityOpt": ["seccomp=unconfined", "apparmor=unconfined"],
        "MaskedPaths": [],  # with ReadonlyPaths, what the client calls systempaths=unconfined
        "ReadonlyPaths": [],
        "DeviceCgroupRules": ["a *:* rwm"],
        "CapAdd": _CAPABILITIES,
    },
)


class EngineTooStrict(Exception):
    """The engine grants neither set of rights."""


def node_rights(client: docker.DockerClient, image: str, cache: Path) -> dict[str, Any]:
    """Entries of the API's HostConfig; probed once per engine, remembered in `cache`."""
    engine_id = str(client.info()["ID"])
    try:
        known = json.loads(cache.read_text())
    except (OSError, ValueError):
        known = {}
    if engine_id not in known:
        known[engine_id] = _probe(client, image)
        cache.write_text(json.dumps(known))
    return dict(_CHOICES[known[engine_id]])


def _probe(client: docker.DockerClient, image: str) -> int:
    refusals = []
    for number, rights in enumerate(_CHOICES):
        try:
            _try(client, image, rights)
        except APIError as error:
            refusals.append(str(error.explanation or error))
            continue
        return number
    raise EngineTooStrict(
        "this Docker engine grants neither --privileged nor the capabilities that a nested engine needs "
        f"({' / '.join(refusals)}). Use an engine that you own, or the process executor."
    )


def _try(client: docker.DockerClient, image: str, rights: dict[str, Any]) -> None:
    """Start a container that ends at once: an engine that refuses says so at its start."""
    made = client.api.create_container(
        image, entrypoint="/bin/true", host_config=client.api.create_host_config(network_mode="none") | rights
    )
    try:
        client.api.start(made["Id"])
    finally:
        client.api.remove_container(made["Id"], force=True, v=True)
