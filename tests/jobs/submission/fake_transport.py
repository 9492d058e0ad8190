"""The submitter's way to a `FakeBatch`: collections, lists and counts, in the service's words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from jobs.errors import ServiceError
from jobs.submission.transport import NoAnswer, Reply


class FakeTransport:
    def __init__(self, batch: Any) -> None:
        self.batch = batch

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *details: object) -> None:
        pass

    async def add(self, job_id: str, body: bytes) -> Reply:
        try:
            verdicts = self.batch.add_collection(job_id, json.loads(body)["value"])
        except ServiceError as error:
            raise NoAnswer(str(error)) from error
        items = []
        for verdict in verdicts:
            item: dict[str, Any] = {"status": verdict.status, "taskId": verdict.task_id}
            if verdict.status != "success":
                item["error"] = {"code": verdict.code, "message": {"lang": "en-US", "value": verdict.message}}
            items.append(item)
        return Reply(200, json.dumps({"value": items}).encode())

    async def get(self, path: str, query: Mapping[str, str]) -> Reply:
        job_id = path.split("/")[2]
        if path.endswith("/tasks"):
            return Reply(200, json.dumps({"value": [{"id": name} for name in self.batch.sent[job_id]]}).encode())
        if not path.endswith("/taskcounts"):
            task = self.batch.sent[job_id].get(path.rpartition("/")[2])
            return Reply(404, b'{"code":"TaskNotFound"}') if task is None else Reply(200, json.dumps(task).encode())
        return Reply(200, json.dumps({"taskCounts": {"active": len(self.batch.sent[job_id])}}).encode())

    async def renew(self) -> None:
        pass
