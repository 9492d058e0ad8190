"""A dashboard in the test's own process on the fakes, with a job in which one task failed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

from jobs.dashboard.access import KEY_HEADER, Access
from jobs.dashboard.server import Dashboard
from jobs.service.batch import Failure, NodeState, PoolState, RecentTask, TaskState
from tests.jobs.fakes import START, Stage, stage

POOL = "default-1a2b"
SCRIPT = "<script>alert(1)</script>"
FAILURE = Failure(category="UserError", code="FailureExitCode", message="The task exited with an exit code", details=())


def furnish(scene: Stage, *, tasks: int = 6, job_id: str = "sim") -> None:
    """A job of so many tasks on two nodes; the fourth failed on the second node, the last still runs."""
    batch = scene.batch
    metadata = [{"name": "family", "value": "hello"}, {"name": "container", "value": "job-hello"}]
    batch.create_job({"id": job_id, "poolInfo": {"poolId": POOL}, "metadata": metadata})
    settings = {"imageName": "registry.azurecr.io/docker-worker@sha256:0123"}
    batch.add_collection(
        job_id, [{"id": f"step-{n}", "commandLine": f"run {n}", "containerSettings": settings} for n in range(tasks)]
    )
    for n in range(tasks):
        bad, last = n == 3, n == tasks - 1
        begun = START + timedelta(seconds=2 + 10 * (n // 2))
        batch.set(
            job_id,
            TaskState(
                id=f"step-{n}",
                state="running" if last else "completed",
                result=None if last else "failure" if bad else "success",
                exit_code=None if last else 9 * bad,
                failure=FAILURE if bad else None,
                node_id=f"tvm-{n % 2}",
                retries=int(bad),
                created=START,
                started=begun,
                ended=None if last else begun + timedelta(seconds=8),
                changed=begun,
            ),
        )
        batch.files[job_id, f"step-{n}", "stdout.txt"] = f"step {n} began\n".encode()
        batch.files[job_id, f"step-{n}", "stderr.txt"] = b"Traceback: out of paper\n" if bad else b""
    batch.node_list = [
        NodeState(id="tvm-0", state="running", running_tasks=1, slots_used=1),
        NodeState(
            id="tvm-1",
            state="idle",
            dedicated=False,
            start_task_command="/bin/sh -c prepare",
            start_task_state="completed",
            start_task_exit_code=0,
            recent_tasks=(RecentTask(job_id=job_id, task_id="step-3", state="completed", exit_code=9),),
        ),
        NodeState(id="tvm-2", state="starttaskfailed", start_task_exit_code=1, start_task_failure=FAILURE),
    ]
    batch.pools_known[POOL] = PoolState(
        id=POOL, state="active", allocation="steady", vm_size="standard_d2s_v3", dedicated=2, target_dedicated=2,
        low_priority=1, target_low_priority=1, task_slots=2,
    )  # fmt: skip
    batch.node_contents["tvm-1", "startup/stderr.txt"] = b"the start task spoke\n"
    scene.blobs.content["job-hello", f"{job_id}/step-3/result.txt"] = b"half a result"
    scene.clock.at = START + timedelta(seconds=60)


@dataclass
class Visit:
    """A dashboard that is served, and a client on its loopback port. `port` is the one that is really listened on."""

    scene: Stage
    dashboard: Dashboard
    client: TestClient[Any, Any]
    key: str = ""
    cookie: str = ""
    told: dict[str, Any] = field(default_factory=dict)

    @property
    def own(self) -> dict[str, str]:
        """The headers of a page of its own."""
        return {"Origin": self.origin, "Content-Type": "application/json", KEY_HEADER: self.key}

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.dashboard.access.port}"

    async def enter(self) -> None:
        answer = await self.client.post(
            "/session", data=json.dumps({"token": self.dashboard.access.token}), headers=self.own
        )
        assert answer.status == 200
        self.key = (await answer.json())["key"]
        found = re.match(r"([^=]+)=([^;]+); (.*)", answer.headers["Set-Cookie"])
        assert found is not None
        self.cookie = f"{found[1]}={found[2]}"
        self.told = {"cookie": found[3]}

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        answer = await self.client.get(path, headers={KEY_HEADER: self.key, "Cookie": self.cookie, **headers})
        kind = answer.content_type
        return answer.status, await (answer.json() if kind == "application/json" else answer.read())

    async def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        answer = await self.client.post(
            path, data=json.dumps(body), headers={**self.own, "Cookie": self.cookie, **headers}
        )
        return answer.status, await answer.json()


async def visit(*, operate: bool = False, scene: Stage | None = None) -> Visit:
    """Serve a dashboard; whoever asks for it closes `client`."""
    if scene is None:
        scene = stage()
        furnish(scene)
    dashboard = Dashboard(scene.session, Access(operate=operate))
    server = TestServer(dashboard.application(), host="127.0.0.1")
    client = TestClient(server, cookie_jar=DummyCookieJar())  # each request says which cookies it has
    await client.start_server()
    assert server.port is not None
    dashboard.access.port = server.port
    return Visit(scene, dashboard, client)
