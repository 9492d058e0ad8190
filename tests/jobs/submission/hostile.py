"""A Batch data plane that does to a submitter everything a service and a network can do, by seed.

The tables below name each fault and where it is known from. Besides them, by mood: statuses capitalised or not
(recorded both ways), ids in capitals, verdicts out of order, limits below the documented ones (413), counts and lists
that lag (recorded: two minutes), lists in pages whose link leads elsewhere.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, urlsplit

JOB = "j"
# Faults by name, and where each is known from. Azure's documentation: "Batch service REST API error codes", "Add Task
# Collection". Recorded: traffic in the tests of azure-cli and of the SDK. Read: azure-batch 15.1, azure-core.
BEFORE = {  # nothing was carried out
    "429": "recorded, without Retry-After; azure-batch's create_tasks ends at the first",
    "429ra": "documented: throttled requests may name a time",
    "503": "documented (ServerBusy); azure-batch sends again without a pause",
    "503ra": "documented",
    "500": "documented (InternalError, OperationTimedOut)",
    "502": "a gateway's, with a body that is not the service's",
    "408": "a gateway's",
    "400cut": "read: an error body that was cut makes azure-batch drop the chunk",
    "401": "documented (AuthenticationFailed): the token ended",
    "404": "something between here and there answers",
    "409": "documented (OperationInvalidForCurrentState)",
    "reset": "network",
    "hang": "network",
}
AFTER = {  # everything was carried out, and the answer says something else, or nothing
    "reset": "network",
    "500": "documented (OperationTimedOut)",
    "503": "documented",
    "cut": "network: less than Content-Length",
    "half": "a proxy: as long as it says, and cut",
    "empty": "a proxy",
    "html": "a proxy's page with status 200",
    "list": "JSON of another shape",
    "hang": "network",
    "noise": "not HTTP",
    "twice": "an answer nobody asked for: must not be taken for the next one's",
    "chunked": "HTTP/1.1: right, in another form",
    "interim": "HTTP/1.1: right, after a 100",
    "until_closed": "HTTP/1.0: right, ends with the connection",
}
ITEMS = {  # one task's verdict
    "server": "documented (servererror): not carried out",
    "server_created": "carried out all the same",
    "missing": "read: azure-batch takes a missing verdict for success",
    "missing_created": "carried out all the same",
    "success_error": "a success that has an error",
    "odd": "a status nobody knows (recorded: statuses in another case than the SDK's)",
    "phantom": "success, and the job does not have it",
    "doubled": "two verdicts that contradict each other",
    "extra": "a verdict on somebody else's task",
}
ENDS = {  # from some request on, for ever
    "gone": "documented (JobNotFound): deleted",
    "terminating": "documented (JobBeingTerminated)",
    "forbidden": "documented (InsufficientAccountPermissions)",
    "redirected": "a portal that wants a login: the token must not follow",
    "dead": "network",
}


@dataclass
class Mood:
    """What a seed makes of the service."""

    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    items: dict[str, float] = field(default_factory=dict)
    stubborn: dict[str, int] = field(default_factory=dict)  # tasks: how often each still fails on the service's side
    capitals: bool = True
    shuffled: bool = False
    upper_ids: bool = False
    most_tasks: int = 100
    most_bytes: int = 1_048_576
    lag: float = 0.0
    around: list[str] = field(default_factory=list)  # faults of the next calls about the job as a whole
    end: str = ""
    end_after: int = 0

    @classmethod
    def of(cls, seed: int) -> Mood:
        """At least one kind of fault, mostly several; some seeds end badly."""
        dice = random.Random(seed)

        def some(names: Mapping[str, str], most: float) -> dict[str, float]:
            chosen = dice.sample(tuple(names), dice.randint(0, 3))
            return {name: dice.uniform(0.01, most) for name in chosen}

        mood = cls(
            before=some(BEFORE, 0.25),
            after=some(AFTER, 0.2),
            items=some(ITEMS, 0.05),
            capitals=dice.random() < 0.6,
            shuffled=dice.random() < 0.3,
            upper_ids=dice.random() < 0.3,
            most_tasks=dice.choice((100, 100, 100, 50, 7, 1)),
            most_bytes=dice.choice((1_048_576, 1_048_576, 60_000)),
            lag=dice.choice((0, 0, 0.3, 1.0)),
            end=dice.choice(tuple(ENDS)) if dice.random() < 0.25 else "",
        )
        mood.end_after = dice.randint(1, 12)
        if len(mood.before) + len(mood.after) + len(mood.items) == 0:
            mood.items = {dice.choice(tuple(ITEMS)): 0.05}
        return mood


@dataclass
class Service:
    """The jobs tasks, and the mood. Used from its own thread; tests read it after the client ended."""

    mood: Mood
    dice: random.Random
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    created: list[tuple[float, str]] = field(default_factory=list)
    managed: list[str] = field(default_factory=list)  # what was done to the job
    job: dict[str, Any] | None = None  # as it was made, and changed
    requests: int = 0
    seen: set[str] = field(default_factory=set)
    too_much: int = 0  # collections above the real service's limits: the client's fault
    port: int = 0
    jobs_made: int = 0

    def make_job(self, definition: dict[str, Any]) -> None:
        self.jobs_made += 1
        created = f"2026-11-26T12:00:0{self.jobs_made}.1234567Z"
        self.job = {**definition, "state": "active", "onAllTasksComplete": "noaction", "creationTime": created}

    def heal(self) -> None:
        self.mood = Mood()

    def draw(self, chances: dict[str, float]) -> str:
        for name, chance in chances.items():
            if self.dice.random() < chance:
                self.seen.add(name)
                return name
        return ""

    def create(self, task: dict[str, Any]) -> bool:
        if task["id"].lower() in self.tasks:
            return False
        self.tasks[task["id"].lower()] = task
        self.created.append((time.monotonic(), task["id"]))
        return True

    def verdicts(self, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for task in tasks:
            fault = self.draw(self.mood.items)
            found += self.verdict(task, fault)
        if self.mood.shuffled:
            self.dice.shuffle(found)
        return found

    def verdict(self, task: dict[str, Any], fault: str) -> list[dict[str, Any]]:
        def item(status: str, code: str = "", name: str = task["id"]) -> dict[str, Any]:
            made: dict[str, Any] = {"taskId": name.upper() if self.mood.upper_ids else name}
            made["status"] = status if self.mood.capitals else status.lower()
            if code:
                made["error"] = {"code": code, "message": {"lang": "en-US", "value": f"{code}.\nRequestId:x\nTime:y"}}
            return made

        if task["id"].startswith("bad"):
            return [item("ClientError", "InvalidPropertyValue")]
        if self.mood.stubborn.get(task["id"], 0):
            self.mood.stubborn[task["id"]] -= 1
            return [item("ServerError", "InternalError")]
        exists = task["id"].lower() in self.tasks
        if fault in ("server", "missing", "phantom") and not exists:
            return {
                "server": [item("ServerError", "InternalError")],
                "missing": [],
                "phantom": [item("Success")],
            }[fault]
        if not self.create(task) and fault not in ("missing_created", "doubled"):
            return [item("ClientError", "TaskExists")]
        match fault:
            case "server_created":
                return [item("ServerError", "OperationTimedOut")]
            case "missing_created":
                return []
            case "success_error":
                return [item("Success", "InternalError")]
            case "odd":
                return [item("Accepted")]
            case "doubled":
                return [item("Success"), item("ClientError", "InvalidPropertyValue")]
            case "extra":
                return [item("Success"), item("Success", name="somebody-else")]
        return [item("Success")]


class Connection(asyncio.Protocol):
    def __init__(self, service: Service) -> None:
        self.service, self.data = service, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.data[:end])
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self.data) < end + 4 + length:
            return
        body = bytes(self.data[end + 4 : end + 4 + length])
        del self.data[: end + 4 + length]
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        url = urlsplit(target)
        if method == "POST" and url.path.endswith("/addtaskcollection"):
            self.add(body)
        elif method == "GET":
            self.get(url.path, {name: values[0] for name, values in parse_qs(url.query).items()})
        else:
            self.manage(method, url.path, body)

    def add(self, body: bytes) -> None:
        service, mood = self.service, self.service.mood
        service.requests += 1
        if mood.end and service.requests > mood.end_after:
            return self.ended()
        tasks = json.loads(body)["value"]
        if len(tasks) > 100 or (len(body) > 1_048_576 and len(tasks) > 1):
            service.too_much += 1
        if len(tasks) > mood.most_tasks or len(body) > mood.most_bytes:
            return self.error(413, "RequestBodyTooLarge")
        if any(task["id"].startswith("poison") for task in tasks):
            return self.error(400, "InvalidRequestBody")
        if fault := service.draw(mood.before):
            return self.fault(fault)
        answer = json.dumps({"odata.metadata": "x", "value": service.verdicts(tasks)}).encode()
        match service.draw(mood.after):
            case "":
                self.reply(200, answer)
            case "cut":
                self.reply(200, answer[: len(answer) // 2], length=len(answer))
                self.transport.close()
            case "half":
                self.reply(200, answer[: len(answer) // 2])
            case "empty":
                self.reply(200, b"")
            case "html":
                self.reply(200, b"<html>Log in to the network</html>")
            case "list":
                self.reply(200, b'{"value":{"a":1}}')
            case "noise":
                self.transport.write(answer + b"\r\n\r\n")
            case "twice":
                self.reply(200, answer)
                self.reply(200, answer)
            case "chunked":
                third = len(answer) // 3 + 1
                parts = [answer[at : at + third] for at in range(0, len(answer), third)]
                chunks = b"".join(b"%x;a=b\r\n%s\r\n" % (len(part), part) for part in [*parts, b""])
                self.transport.write(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
            case "interim":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                self.reply(200, answer)
            case "until_closed":
                self.transport.write(b"HTTP/1.0 200 X\r\n\r\n" + answer)
                self.transport.close()
            case fault:
                self.fault(fault)

    def manage(self, method: str, path: str, body: bytes) -> None:
        """The job as a whole. A fault's name with a `+`: it is carried out all the same."""
        service = self.service
        fault = service.mood.around.pop(0) if service.mood.around else ""
        if fault and not fault.endswith("+"):
            return self.fault(fault)
        if method == "POST" and service.job is not None:
            return self.error(409, "JobExists")
        if method != "POST" and service.job is None:
            return self.error(404, "JobNotFound")
        name = {"POST": "create", "PATCH": "update", "DELETE": "delete"}[method]
        service.managed.append(name)
        match name:
            case "create":
                service.make_job(json.loads(body))
            case "update":
                assert service.job is not None
                service.job |= json.loads(body)
            case _:
                service.job = None
        if fault:
            return self.fault(fault[:-1])
        return self.reply({"create": 201, "update": 200, "delete": 202}[name], b"")

    def fault(self, name: str) -> None:
        dice = self.service.dice
        match name:
            case "reset":
                self.transport.abort()
            case "hang":
                asyncio.get_running_loop().call_later(5, self.transport.abort)
            case "429ra" | "503ra":
                after = dice.choice(("0", "0.05", formatdate(usegmt=True)))
                self.error(int(name[:3]), "TooManyRequests", {"Retry-After": after})
            case "502":
                self.reply(502, b"<html>Bad Gateway</html>")
            case "400cut":
                self.reply(400, b'{"code":"InvalidRequestBody","message":{"lang":"en-US","val')
            case "404":
                self.reply(404, b"not here")
            case "409":
                self.error(409, "OperationInvalidForCurrentState")
            case _:
                code = {"429": "TooManyRequests", "503": "ServerBusy", "401": "AuthenticationFailed"}
                self.error(int(name), code.get(name, "InternalError"))

    def ended(self) -> None:
        self.service.seen.add(self.service.mood.end)
        match self.service.mood.end:
            case "gone":
                self.error(404, "JobNotFound")
            case "terminating":
                self.error(409, "JobBeingTerminated")
            case "forbidden":
                self.error(403, "InsufficientAccountPermissions")
            case "redirected":
                self.reply(302, b"", headers={"Location": "https://elsewhere.example/login"})
            case _:
                self.transport.abort()

    def get(self, path: str, query: dict[str, str]) -> None:
        service, mood = self.service, self.service.mood
        if path.startswith("/pools/"):
            return self.reply(200, b'{"id":"p","state":"active"}')
        if path.count("/") == 2:  # the job
            if service.mood.around:
                return self.fault(service.mood.around.pop(0).rstrip("+"))
            if service.job is None:
                return self.error(404, "JobNotFound")
            return self.reply(200, json.dumps(service.job).encode())
        if mood.end and service.requests > mood.end_after:
            return self.ended()
        if service.dice.random() < 0.1 and mood.before:
            return self.fault(service.dice.choice([name for name in mood.before if name != "hang"] or ["500"]))
        listed = [name for when, name in service.created if when <= time.monotonic() - mood.lag]
        if path.endswith("/taskcounts"):
            counts = {"active": len(listed), "running": 0, "completed": 0}
            return self.reply(200, json.dumps({"taskCounts": counts}).encode())
        if path.endswith("/tasks"):
            start = int(query.get("$skiptoken", "0"))
            page: dict[str, Any] = {"value": [{"id": name} for name in listed[start : start + 300]]}
            if start + 300 < len(listed):
                page["odata.nextLink"] = f"https://elsewhere.example/jobs/x/tasks?$skiptoken={start + 300}&$select=id"
            return self.reply(200, json.dumps(page).encode())
        task = service.tasks.get(path.rpartition("/")[2].lower())
        if task is None:
            return self.error(404, "TaskNotFound")
        return self.reply(200, json.dumps(task | {"state": "active"}).encode())

    def error(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        said = {"code": code, "message": {"lang": "en-US", "value": f"{code} it is.\nRequestId:x\nTime:y"}}
        self.reply(status, json.dumps(said).encode(), headers=headers)

    def reply(self, status: int, body: bytes, headers: dict[str, str] | None = None, length: int | None = None) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body) if length is None else length}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)


@contextmanager
def hostile(seed: int) -> Iterator[Service]:
    """The service of a seed, listening on loopback in a thread of its own."""
    service = Service(Mood.of(seed), random.Random(seed + 1))
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    def run() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(loop.create_server(lambda: Connection(service), "127.0.0.1", 0))
        service.port = server.sockets[0].getsockname()[1]
        ready.set()
        loop.run_forever()
        server.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait(30)
    try:
        yield service
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
