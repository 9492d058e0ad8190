"""Secrets are where the table of `secret_values.PLACES` says, and nowhere else: a deployed stack whose people are busy.

The main job (`test_main_job.py`) looks at command lines, nodes and files while a job runs. Here also a job fails,
somebody logs in, looks at the dashboard and previews, every door is knocked at with a marked password, secret or token,
and every process of the local Azure crashes. `tests/scenarios/test_secret_places.py` proves of each kind of place that
the search would find a leak there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytds
import pytest
import requests
from docker.errors import APIError

from local.paths import Paths
from tests.scenarios import machine, secret_values
from tests.scenarios.checkout import Checkout
from tests.scenarios.deployed.stack import Stack, eventually
from tests.scenarios.secret_search import Search

pytestmark = pytest.mark.docker
JOB = """
job: {{family: hello, environment: {{CANARY: {canary}}}}}
tasks:
  list:
    - {{id: fails, shell: true, command: "echo seen $(printenv CANARY | wc -c); exit 3"}}
    - {{id: works, shell: true, command: "sleep 2; echo seen $(printenv CANARY | wc -c)"}}
"""


REFUSED = """
job: {{family: hello, environment: {{SQL_PASSWORD: {password}}}}}
tasks: {{list: [{{id: one, shell: true, command: "true"}}]}}
"""
MARKED = ("SQL password", "registry password", "wrong client secret", "bearer", "assertion", "refused value")


class Busy:
    """What people did, and all that was printed while they did."""

    def __init__(self, checkout: Checkout, stack: Stack) -> None:
        self.checkout = checkout
        self.paths = Paths(checkout.home)
        self.stack = stack
        self.began = time.time()
        self.canary = f"marked-{uuid.uuid4().hex[:6]}-value-of-a-task"  # what looks like a secret is refused
        self.planted = {name: f"Marked{uuid.uuid4().hex}0aA!" for name in MARKED}
        """What nobody but these tests knows, and no place may keep."""
        self.job = f"canary-{uuid.uuid4().hex[:8]}"
        self.printed: list[str] = []
        self.events = checkout.home / "run" / "events-of-a-preview.jsonl"

    def command(self, *words: str, code: int = 0) -> str:
        done = self.checkout.run(str(self.checkout.python), "-m", *words)
        assert done.code == code, done.text
        self.printed.append(done.text)
        return done.text

    def run_jobs(self) -> None:
        file = self.checkout.root / "canary.yaml"
        file.write_text(JOB.format(canary=self.canary))
        text = self.command("jobs", "submit", str(file), "--yes", "--watch", "--report", "--job-id", self.job, code=1)
        file.unlink()
        assert "1 succeeded, 1 failed" in text and text.count(f"seen {len(self.canary) + 1}") >= 2
        self.command("jobs", "show", self.job, code=1)  # a task failed
        self.command("jobs", "logs", self.job, "fails")

        file.write_text(REFUSED.format(password=self.planted["refused value"]))
        assert "SQL_PASSWORD" in self.command("jobs", "submit", str(file), "--yes", code=2)
        file.unlink()

    def knock_at_every_door(self) -> None:
        """With secrets that are wrong, and with tokens and a secret that are right."""
        self._sign_in_to_sql_and_the_registry()
        self._sign_in_at_the_authority()
        cloud, outputs = self.stack.cloud, self.checkout.outputs()
        self.planted["token of ARM"] = self.stack.credential.get_token("https://management.azure.com/.default").token
        self.planted["token of Batch"] = self.stack.credential.get_token(
            "https://batch.core.windows.net/.default"
        ).token
        doors = {
            f"{cloud['arm']}/subscriptions?api-version=2022-12-01": "token of ARM",
            f"{cloud['arm']}/v1.0/applications": "bearer",
            f"{outputs['batch_endpoint']}/jobs?api-version=2024-07-01.20.0": "token of Batch",
            f"https://{outputs['registry_server']}/v2/": "bearer",
        }
        for url, right in doors.items():
            for name in (right, "bearer"):
                requests.get(
                    url, headers={"Authorization": f"Bearer {self.planted[name]}"}, verify=self.stack.verify, timeout=30
                )

    def _sign_in_to_sql_and_the_registry(self) -> None:
        cloud, outputs = self.stack.cloud, self.checkout.outputs()
        with pytest.raises(pytds.Error):
            pytds.connect(
                "localhost",
                database=outputs["sql"]["database"],
                user="sa",
                password=self.planted["SQL password"],
                port=int(cloud["sql"]["server"].partition(",")[2]),
                cafile=self.stack.verify,
                validate_host=False,
                login_timeout=30,
            )
        with contextlib.suppress(APIError):
            docker.from_env().login(
                "somebody", self.planted["registry password"], registry=outputs["registry_server"], reauth=True
            )

    def _sign_in_at_the_authority(self) -> None:
        cloud = self.stack.cloud
        token = self.stack.credential.get_token("https://graph.microsoft.com/.default").token

        def post(path: str, **options: Any) -> dict[str, Any]:
            return requests.post(f"{cloud['arm']}/{path}", verify=self.stack.verify, timeout=30, **options).json()

        def graph(path: str, body: dict[str, Any]) -> dict[str, Any]:
            return post(f"v1.0/{path}", json=body, headers={"Authorization": f"Bearer {token}"})

        self.application = graph("applications", {"displayName": "canary"})
        given = graph(f"applications/{self.application['id']}/addPassword", {"passwordCredential": {}})
        self.planted[secret_values.APPLICATION] = given["secretText"]
        self.planted["token of Graph"] = token
        for proof in (
            {"client_secret": given["secretText"]},
            {"client_secret": self.planted["wrong client secret"]},
            {"client_assertion": self.planted["assertion"], "client_assertion_type": "urn:x"},
        ):
            form = {"grant_type": "client_credentials", "client_id": self.application["appId"], **proof}
            answer = post(
                f"{cloud['tenant_id']}/oauth2/v2.0/token", data={**form, "scope": "https://vault.azure.net/.default"}
            )
            if "access_token" in answer:
                self.planted["token of the application"] = answer["access_token"]
            self.printed.append(json.dumps({key: text for key, text in answer.items() if key != "access_token"}))

    def look_at_the_dashboard(self) -> None:
        process = self.checkout.start(str(self.checkout.python), "-m", "jobs", "dashboard")
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(address.partition("#")[0], timeout=30) as page:
            self.printed.append(page.read().decode())
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate(timeout=30)
        self.printed += [out, err]

    def crash_everything(self) -> None:
        before = self.checkout.processes()
        children = {name: pid for name, pid in before.items() if name != "supervisor"}
        for name, pid in before.items():
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE), f"{name} could leave a core dump"
        for pid in children.values():
            os.kill(pid, signal.SIGABRT)
        eventually(
            lambda: [name for name, pid in self.checkout.processes().items() if children.get(name) == pid],
            lambda same: not same,
            "every process started again",
        )
        os.kill(before["supervisor"], signal.SIGABRT)  # its children end with it
        eventually(lambda: machine.gone(before["supervisor"]), bool, "gone")
        self.command("local", "start")
        eventually(
            lambda: self.checkout.run(str(self.checkout.python), "-m", "jobs", "pools").code,
            lambda code: code == 0,
            "up",
        )


@pytest.fixture(scope="module")
def busy(deployed: Checkout, stack: Stack) -> Iterator[tuple[Busy, set[str]]]:
    """A working day, and the command lines of all processes meanwhile."""
    day = Busy(deployed, stack)
    with machine.Watching() as lines:
        day.run_jobs()
        day.command("jobs", "connect", str(stack.nodes(stack.pool_id)[0].id), "--run", "id -un")
        day.look_at_the_dashboard()
        day.knock_at_every_door()
        day.command("local", "preview", "--json", "--event-log", str(day.events))
        day.crash_everything()
    yield day, lines
    day.events.unlink()


@pytest.fixture(scope="module")
def search(busy: tuple[Busy, set[str]], deployed: Checkout) -> Search:
    day, _ = busy
    known = secret_values.known(day.paths, deployed.processes()["azurite"])
    return Search({**known, **day.planted, secret_values.ENVIRONMENT: day.canary})


def test_nothing_that_was_printed_or_started_shows_one(busy: tuple[Busy, set[str]], search: Search) -> None:
    day, lines = busy
    assert str(day.checkout.root) in "\n".join(lines)
    assert len(day.printed) > 8 and any("changeSummary" in text for text in day.printed)
    for text in (*day.printed, "\n".join(lines)):
        assert search.names(text) == set(), text


def test_files_of_the_local_azure_state_and_event_logs_hold_those_of_the_table(
    busy: tuple[Busy, set[str]], search: Search
) -> None:
    day, _ = busy
    assert "policyEvent" in day.events.read_text() or "summaryEvent" in day.events.read_text()
    assert secret_values.badly_kept(day.paths, search) == []


def test_nothing_was_left_in_temporary_folders_or_at_home(busy: tuple[Busy, set[str]], search: Search) -> None:
    day, _ = busy
    folders = [Path(tempfile.gettempdir()), *(Path.home() / name for name in (".docker", ".pulumi", ".azure"))]
    own = [day.paths.home, day.paths.sockets]  # `badly_kept`
    assert secret_values.left_behind(folders, day.began, search, but=own) == []


def test_environments_of_the_processes_hold_those_of_the_table(busy: tuple[Busy, set[str]], search: Search) -> None:
    assert secret_values.in_environments(busy[0].checkout.processes(), search) == []


def test_images_in_the_registry_hold_none(busy: tuple[Busy, set[str]], search: Search) -> None:
    assert secret_values.pushed(busy[0].paths, search) == []


def test_nodes_show_a_task_its_own_environment_and_nothing_else(
    busy: tuple[Busy, set[str]], search: Search, stack: Stack
) -> None:
    paths = busy[0].paths
    own = f"docker inspect of its tasks tells {secret_values.ENVIRONMENT}"
    assert secret_values.shown_on_nodes(paths, search) in ([], [own])
    node = machine.node_containers(paths)[0]["Name"].strip("/")
    place = "/tmp/planted"
    machine.on_node(node, "sh", "-c", f"base64 > {place}", text=busy[0].planted["SQL password"])
    try:
        shown = secret_values.shown_on_nodes(paths, search)
    finally:
        machine.on_node(node, "rm", place)
    assert f"{place} on the node tells batchuser SQL password" in shown


def test_pools_jobs_and_tasks_show_the_environment_and_nothing_else(
    busy: tuple[Busy, set[str]], search: Search, stack: Stack
) -> None:
    pools = [one.as_dict() for one in stack.batch.list_pools()]
    resources = [one.as_dict() for one in stack.resources.resources.list()]
    work = [one.as_dict() for one in (*stack.batch.list_jobs(), *stack.batch.list_tasks(busy[0].job))]
    assert pools and resources and len(work) > 2
    assert search.names(json.dumps([pools, resources], default=str)) == set()
    assert search.names(json.dumps(work, default=str)) == {secret_values.ENVIRONMENT}


def test_no_process_left_a_core_dump(busy: tuple[Busy, set[str]]) -> None:
    day, _ = busy
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    places = {day.checkout.root, day.paths.home, *([Path(pattern).parent] if pattern.startswith("/") else [])}
    assert secret_values.core_dumps(places) == []
