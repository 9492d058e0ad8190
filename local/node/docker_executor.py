"""Nodes as containers, each with an engine of its own: the executor that `make up` uses.

Owns the containers, their volumes and network. What happens on a node is its agent's; the calls of the Docker SDK
block, so they run in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.models.containers import Container

from local.node import firewall
from local.node.agent.config import AGENT_RUNTIME, AGENT_STATE, NODE_ROOT, AgentConfig
from local.node.agent_nodes import AgentNodes, KnownNode
from local.node.contract import NodeEvent, NodeSpec, NodeState, NodeUnreachable
from local.node.image import ensure_node_image
from local.node.privileges import node_rights
from local.node.relay import NodeRelay
from local.paths import Paths

HOME_LABEL = "org.local-azure.home"
NODE_LABEL = "org.local-azure.node"
DISK_FOLDERS = (NODE_ROOT, AGENT_STATE)  # of a node: the tasks' files, and the agent's memory
DISKS = "node-disks"
"""Below the state: disks that were saved (`disks.py`), for containers that are made anew."""
_STOP_SECONDS = 30
_REVIVE_SECONDS = 30  # between two revivals of a node; Azure recovers nodes by itself, too
_SSH_PORT = "22/tcp"


def disk_file(folder: str) -> str:
    """The name of the file that a folder of a node is saved in."""
    return f"{PurePosixPath(folder).name}.tar"


def home_id(paths: Paths) -> str:
    """The label's value on this local Azure's containers: another local Azure may use the same engine."""
    return paths.id


class DockerExecutor(AgentNodes):
    """The docker executor. Nodes reach the local Azure's services by `ports` and by the names in `hosts`."""

    name = "docker"

    def __init__(
        self,
        paths: Paths,
        relay: NodeRelay,
        *,
        ports: range,
        hosts: Mapping[str, str] | None = None,
        image: str | None = None,
        terminate_with: str = "term",
        progress: Callable[[str], None] = lambda words: None,
    ) -> None:
        super().__init__(paths.sockets / "nodes", relay)
        self._paths = paths
        self._home = home_id(paths)
        self._ports = ports
        self._hosts = dict(hosts or {})
        self._image = image
        self._terminate_with = terminate_with
        self._progress = progress
        self._docker = docker.from_env()
        self._making = asyncio.Lock()
        self._sharing = threading.Lock()  # what all nodes have in common is made by one thread
        self._shut_off = ""  # the network whose rule is set
        self._planned: set[str] = set()  # nodes that go down because we asked for it
        self._revived: dict[str, float] = {}
        self._reviving: dict[str, asyncio.Task[None]] = {}
        self._watcher: threading.Thread | None = None
        self._engine_events: Any = None

    async def open(self, on_event: Callable[[NodeEvent], None]) -> None:
        """Follow the nodes that exist already, and watch the engine for nodes that die."""
        await super().open(on_event)
        loop = asyncio.get_running_loop()
        filters = {"type": "container", "label": f"{HOME_LABEL}={self._home}", "event": ["die", "start"]}
        self._engine_events = await asyncio.to_thread(self._docker.events, decode=True, filters=filters)
        self._watcher = threading.Thread(target=self._watch, args=(loop, self._engine_events), daemon=True)
        self._watcher.start()

    async def close(self) -> None:
        """Stop watching; the nodes go on."""
        if self._engine_events is not None:
            await asyncio.to_thread(self._engine_events.close)
        for revival in list(self._reviving.values()):
            revival.cancel()
        await super().close()
        await asyncio.to_thread(self._docker.close)

    async def create_node(self, spec: NodeSpec) -> None:
        """Make and start a node; one that exists is started if it is down."""
        if spec.node_id not in self._nodes:
            image = await self._node_image()
            config = AgentConfig(
                node=spec,
                first_port=self._ports.start,
                port_count=len(self._ports),
                hosts=self._hosts,
                terminate_with=self._terminate_with,
            )
            node = await self._add(spec, config)
            self._set_state(node, NodeState.CREATING)
            try:
                await asyncio.to_thread(self._start, node, image)
            except DockerException as error:
                await asyncio.to_thread(self._remove, spec.node_id)  # so that the next attempt begins anew
                return self._set_state(
                    node, NodeState.UNUSABLE, ("NodeNotCreated", f"{error}")
                )  # GUESS: the code is ours
        else:
            node = self._nodes[spec.node_id]
            await asyncio.to_thread(self._start, node, await self._node_image())
        self._follow(node)

    async def reboot_node(self, node_id: str, spec: NodeSpec | None = None) -> None:
        """Restart a node. Its runs are lost; its disk is kept."""
        node = self._known(node_id)
        self._respecify(node, spec)
        self._set_state(node, NodeState.REBOOTING)
        self._planned.add(node_id)
        try:
            container = await asyncio.to_thread(self._container, node_id)
            await asyncio.to_thread(container.stop, timeout=_STOP_SECONDS)
            await asyncio.to_thread(self._boot, node)
        except DockerException as error:
            raise NodeUnreachable(f"node {node_id} did not restart: {error}") from error
        finally:
            self._planned.discard(node_id)

    async def delete_node(self, node_id: str) -> None:
        """Remove a node with its disk and volume. One that is gone already is no error."""
        self._planned.add(node_id)
        try:
            if node := self._nodes.get(node_id):
                await self._unfollow(node)
            await asyncio.to_thread(self._remove, node_id)
            if node:
                await self._forget(node)
            await asyncio.to_thread(self._remove_unused_network)
        finally:
            self._planned.discard(node_id)

    def remote_login(self, node_id: str) -> tuple[str, int]:
        """Where the node's SSH server is reached from this machine."""
        self._known(node_id)
        try:
            ports = self._container(node_id).attrs["NetworkSettings"]["Ports"]
            return "127.0.0.1", int(ports[_SSH_PORT][0]["HostPort"])
        except (DockerException, KeyError, IndexError, TypeError) as error:
            raise NodeUnreachable(f"node {node_id} has no SSH port: it is not running") from error

    # -- in threads --------------------------------------------------------------------------------------------------

    def _start(self, node: KnownNode, image: str) -> None:
        """Have the node's container running: made, started, or left as it is."""
        try:
            self._container(node.spec.node_id)
        except NotFound:
            self._create(node, image)
        self._boot(node)

    def _boot(self, node: KnownNode) -> None:
        """Start the node's container unless it runs: the boot file must have an agent that takes it."""
        container = self._container(node.spec.node_id)
        if container.status != "running":
            node.write_boot_file()
            container.start()

    def _create(self, node: KnownNode, image: str) -> None:
        name, labels = self._name(node.spec.node_id), self._labels(node.spec.node_id)
        network = self._network(image)
        volume = self._docker.volumes.create(f"{name}-docker", labels=labels)
        api = self._docker.api
        host = api.create_host_config(
            binds=[f"{node.folder}:{AGENT_RUNTIME}", f"{volume.name}:/var/lib/docker"],
            network_mode=network,
            port_bindings={_SSH_PORT: ("127.0.0.1", None)},
        ) | self._rights(image)
        api.create_container(
            image,
            name=name,
            hostname=_hostname(node.spec.node_id),
            labels=labels,
            ports=[(22, "tcp")],
            stop_signal="SIGTERM",
            stop_timeout=_STOP_SECONDS,
            host_config=host,
        )
        self._give_disk(node.spec.node_id)

    def _give_disk(self, node_id: str) -> None:
        """Copy the saved disk of a restored node into its new container."""
        saved = self._paths.state / DISKS / node_id
        for folder in DISK_FOLDERS:
            file = saved / disk_file(folder)
            if file.exists():
                with file.open("rb") as content:
                    self._container(node_id).put_archive("/", content)
        shutil.rmtree(saved, ignore_errors=True)

    def _remove(self, node_id: str) -> None:
        with contextlib.suppress(NotFound):
            self._container(node_id).remove(force=True, v=True)
        with contextlib.suppress(NotFound):
            self._docker.volumes.get(f"{self._name(node_id)}-docker").remove(force=True)

    def _network(self, image: str) -> str:
        """The id of our network, whose nodes cannot reach the host's services. The lock and the id are needed because
        the engine makes two networks of one name. Each start of the local Azure sets the rule anew, because it is lost
        when the machine starts."""
        with self._sharing:
            known = self._docker.networks.list(filters={"label": f"{HOME_LABEL}={self._home}"})
            name, labels = f"local-azure-{self._home}", {HOME_LABEL: self._home}
            network = known[0] if known else self._docker.networks.create(name, driver="bridge", labels=labels)
            if self._shut_off != network.id:
                self._shut_off = str(network.id)
                try:
                    firewall.shut_off(self._docker, image, network)
                except firewall.NotShutOff as error:
                    self._progress(str(error))
            return str(network.id)

    def _remove_unused_network(self) -> None:
        """The network goes with the last node. A node being made is in the table before it asks for the network, so
        under the lock it either is seen here, or makes the network anew."""
        with self._sharing:
            if not self._nodes:
                for network in self._docker.networks.list(filters={"label": f"{HOME_LABEL}={self._home}"}):
                    with contextlib.suppress(APIError):  # in use by a container that we do not know: not ours to end
                        network.remove()
                        firewall.open_again(self._docker, network)
                        self._shut_off = ""

    def _rights(self, image: str) -> dict[str, Any]:
        with self._sharing:
            return node_rights(self._docker, image, self._paths.state / "engine-rights.json")

    def _container(self, node_id: str) -> Container:
        return self._docker.containers.get(self._name(node_id))

    def _name(self, node_id: str) -> str:
        return f"local-azure-{self._home}-{re.sub(r'[^a-zA-Z0-9_.-]', '-', node_id)}"

    def _labels(self, node_id: str) -> dict[str, str]:
        return {HOME_LABEL: self._home, NODE_LABEL: node_id}

    def _watch(self, loop: asyncio.AbstractEventLoop, events: Any) -> None:
        """Pass the engine's events (a container of ours died or started) to the event loop."""
        try:
            for event in events:
                node_id = event["Actor"]["Attributes"].get(NODE_LABEL, "")
                loop.call_soon_threadsafe(self._on_engine_event, node_id, event["Action"])
        except Exception:  # noqa: S110 - the stream was closed, or the engine went away: `open` takes it up again
            pass

    # -- on the loop -------------------------------------------------------------------------------------------------

    def _on_engine_event(self, node_id: str, action: str) -> None:
        node = self._nodes.get(node_id)
        if node is None or node_id in self._planned:
            return
        if action == "start":
            self._follow(node)
            return
        if node.following:
            node.following.cancel()
        self._set_state(node, NodeState.UNKNOWN, ("NodeDied", "the node's container ended"))  # GUESS: the code is ours
        if node_id not in self._reviving:
            revival = self._reviving[node_id] = asyncio.create_task(self._revive(node), name=f"revive {node_id}")
            revival.add_done_callback(lambda _: self._reviving.pop(node_id))

    async def _revive(self, node: KnownNode) -> None:
        """Start a node that died: at once, or half a minute after its last revival, so that one which always dies does
        not keep the machine busy. A person's `docker start` would leave it without a boot file."""
        node_id, clock = node.spec.node_id, asyncio.get_running_loop().time
        await asyncio.sleep(self._revived.get(node_id, -_REVIVE_SECONDS) + _REVIVE_SECONDS - clock())
        if self._nodes.get(node_id) is node and node_id not in self._planned:
            self._revived[node_id] = clock()
            await self._attach(node)

    async def _attach(self, node: KnownNode) -> None:
        """A node of before: follow it, start it first where it is down, report it where it is gone."""
        try:
            await asyncio.to_thread(self._boot, node)
        except DockerException as error:
            gone = "the node's container is gone" if isinstance(error, NotFound) else str(error)
            self._set_state(node, NodeState.UNKNOWN, ("NodeDied", gone))
            return
        self._follow(node)

    async def _node_image(self) -> str:
        async with self._making:
            if self._image is None:
                self._image = await asyncio.to_thread(ensure_node_image, self._paths, self._progress)
            return self._image


def _hostname(node_id: str) -> str:
    """The node's id as a host name: letters, digits and dashes, 63 at most."""
    return re.sub(r"[^a-zA-Z0-9-]", "-", node_id)[:63].strip("-")
