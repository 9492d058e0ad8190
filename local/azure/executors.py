"""Which executor runs the nodes of this cloud: containers, unless LOCAL_AZURE_EXECUTOR names another.

Owns the choice and the ways that nodes need into the cloud; the executors are `local/node`'s.
"""

from __future__ import annotations

import logging
import os

from local.azure.cloudfile import SQL_NAME
from local.azure.control_plane.cloud import Cloud
from local.azure.identity.service import imds_for_nodes
from local.azure.node_faults import NodesWithFaults
from local.node.contract import Executor
from local.node.relay import NodeRelay

VARIABLE = "LOCAL_AZURE_EXECUTOR"
CHOICES = ("docker", "process", "noop")
# How nodes that are made from now on end a task. Azure documents neither signal nor grace: "term" (SIGTERM, 10 s, then
# SIGKILL) is a GUESS, "kill" the worst case that work must survive.
TERMINATE_VARIABLE = "LOCAL_AZURE_TERMINATE_WITH"
TERMINATE_CHOICES = ("term", "kill")
NODE_GATEWAY = "168.63.129.16"  # Azure's own wire server address: inside a node it leads to the local Azure
_log = logging.getLogger("local.azure.nodes")


class UnknownExecutor(Exception):
    """LOCAL_AZURE_EXECUTOR or LOCAL_AZURE_TERMINATE_WITH has a value that there is not."""


def build_executor(cloud: Cloud) -> Executor:
    """The executor that the environment asks for, with its faults on purpose."""
    return NodesWithFaults(_chosen(cloud), cloud.faults, cloud.clock)


def _chosen(cloud: Cloud) -> Executor:
    choice = os.environ.get(VARIABLE, "docker")
    if choice not in CHOICES:
        raise UnknownExecutor(f"{VARIABLE}={choice}: there is no such executor; use one of {', '.join(CHOICES)}.")
    if choice == "noop":
        from local.node.noop import NoopExecutor

        return NoopExecutor()
    relay = NodeRelay(cloud.ports.block(), imds_for_nodes(cloud))
    if choice == "process":
        from local.node.process_executor import ProcessExecutor

        return ProcessExecutor(cloud.paths, relay, progress=_log.info)
    from local.node.docker_executor import DockerExecutor

    hosts = {SQL_NAME: NODE_GATEWAY}
    return DockerExecutor(
        cloud.paths, relay, ports=cloud.ports.block(), hosts=hosts, terminate_with=terminate_with(), progress=_log.info
    )


def terminate_with() -> str:
    """How new nodes end a task: the environment's choice."""
    choice = os.environ.get(TERMINATE_VARIABLE, TERMINATE_CHOICES[0])
    if choice not in TERMINATE_CHOICES:
        raise UnknownExecutor(f"{TERMINATE_VARIABLE}={choice}: use one of {', '.join(TERMINATE_CHOICES)}.")
    return choice
