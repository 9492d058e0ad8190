"""Shutting the nodes' network off from the services of its host.

A container reaches its host by any address that the host has: whatever listens on 0.0.0.0 there answers, a database of
the machine's owner as well. Nodes need nothing of it: the local Azure speaks with them over a Unix socket each. Docker
has no switch for this (`--internal` takes the way out and leaves the way to the host open), so the host's own packet
filter gets one rule for our bridge: new connections from it to the host itself are rejected. What the node sends
further, to the internet or to another node, passes the host and is not meant.

The rule is set by a container that shares the host's network for a moment, because the engine may be on another machine
than we are, or we may not be root. On an engine that does not allow this, nodes run without
the rule, and a message says so.
"""

from __future__ import annotations

import docker
from docker.errors import DockerException
from docker.models.networks import Network

from local.node.image import LABEL

_RULE = 'INPUT --in-interface "$0" --match conntrack ! --ctstate ESTABLISHED,RELATED --jump REJECT'
# nftables first, then the older interface; IPv6 has no addresses of ours, but every interface has one of its own.
_SHUT = f"""
for tool in iptables iptables-legacy; do
    if $tool --check {_RULE} 2>/dev/null || $tool --insert {_RULE} 2>/dev/null; then done=yes; break; fi
done
ip6tables --check {_RULE} 2>/dev/null || ip6tables --insert {_RULE} 2>/dev/null
test -n "$done" || iptables --insert {_RULE}
"""
_OPEN = f"for tool in iptables iptables-legacy ip6tables; do while $tool --delete {_RULE} 2>/dev/null; do :; done; done"


class NotShutOff(Exception):
    """The engine lets us set no rule on its host; says why, and what follows."""


def shut_off(client: docker.DockerClient, image: str, network: Network) -> None:
    """Reject new connections from the network to its host. Set once, however often this is called."""
    try:
        _run(client, image, _SHUT, network)
    except DockerException as error:
        reason = " ".join(str(getattr(error, "stderr", None) or error).split())
        raise NotShutOff(
            f"nodes reach the services of this machine that listen on all its addresses: the engine refuses the rule "
            f"that would keep them from it ({reason})"
        ) from error


def open_again(client: docker.DockerClient, network: Network) -> None:
    """Take the rule away before its network is removed. Without a node image there is no rule of ours."""
    # Ids alone: `images.list` asks for each image by itself, and fails when another local Azure removes one meanwhile.
    for image in client.api.images(filters={"label": f"{LABEL}=node"}, quiet=True)[:1]:
        try:
            _run(client, image, _OPEN, network)
        except DockerException:
            return  # a rule for a bridge that is gone does nothing


def bridge_of(network: Network) -> str:
    """The interface of the network on the engine's host."""
    options = network.attrs.get("Options") or {}
    return options.get("com.docker.network.bridge.name") or f"br-{str(network.id)[:12]}"


def _run(client: docker.DockerClient, image: str, script: str, network: Network) -> None:
    client.containers.run(
        image,
        entrypoint=["/bin/sh", "-c", script, bridge_of(network)],
        network_mode="host",
        cap_drop=["ALL"],
        cap_add=["NET_ADMIN", "NET_RAW"],
        remove=True,
    )
