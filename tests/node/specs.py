"""What nodes are made from and run, and an instance metadata endpoint that only tells who asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from local.node.contract import Identity, NodeSpec, RunSpec
from local.node.relay import Answer

IDENTITY = Identity(resource_id="/subscriptions/s/id", client_id="client-1", principal_id="principal-1")


NODE = NodeSpec(
    node_id="tvm-1", pool_id="pool", account_name="account", account_url="https://127.0.0.1:1", identities=(IDENTITY,)
)


async def fake_imds(
    node_id: str, identities: tuple[Identity, ...], method: str, target: str, headers: Mapping[str, str]
) -> Answer:
    """Gives every node a token that tells what was asked."""
    token = f"token of {identities[0].client_id} for {target}"
    return 200, {"Content-Type": "application/json"}, json.dumps({"access_token": token}).encode()


def run(run_id: str, command_line: str, **more: Any) -> RunSpec:
    """A task's run in its usual folder."""
    spec = RunSpec(
        run_id=run_id,
        directory=f"workitems/job/job-1/{run_id}",
        command_line=command_line,
        job_id="job",
        task_id=run_id,
    )
    return replace(spec, **more)
