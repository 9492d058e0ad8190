"""What became of a command on a node: its attempts, and how the last one ended. Tasks of every kind have one."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from local.azure.batch.model.durations import stamp
from local.azure.batch.model.record import Record
from local.node.contract import ContainerInfo, FailureInfo


class Ending(StrEnum):
    """Why the service ends a run: decides what becomes of the task when the node reports the end."""

    TERMINATE = "terminate"
    REQUEUE = "requeue"
    WALL_CLOCK = "wallclock"


@dataclass(kw_only=True)
class Execution(Record):
    """`run_id` names the attempt; `ending` is set while the service waits for that attempt to stop."""

    started: datetime | None = None
    ended: datetime | None = None
    exit_code: int | None = None
    result: str | None = None
    failure: dict[str, Any] | None = None
    container: dict[str, Any] | None = None
    retries: int = 0
    last_retry: datetime | None = None
    run_id: str | None = None
    ending: Ending | None = None

    def forget_run(self) -> None:
        """Clear what the last attempt left: exit code, failure, container and times."""
        self.started = self.ended = self.exit_code = self.result = self.failure = self.container = None
        self.run_id = self.ending = None

    def end(
        self, now: datetime, exit_code: int | None, failure: FailureInfo | None, container: ContainerInfo | None
    ) -> None:
        """Record the final end."""
        self.ended, self.exit_code = now, exit_code
        self.failure = None if failure is None else asdict(failure)
        self.container = None if container is None else asdict(container)
        self.result = "success" if exit_code == 0 and failure is None else "failure"
        self.ending = None

    def outcome(self) -> dict[str, Any]:
        """What `executionInfo` tells of every kind of task: times, exit code, result, failure and container."""
        times = {"startTime": self.started, "endTime": self.ended, "lastRetryTime": self.last_retry}
        shown: dict[str, Any] = {name: stamp(value) for name, value in times.items() if value is not None}
        if self.exit_code is not None:
            shown["exitCode"] = self.exit_code
        if self.result is not None:
            shown["result"] = self.result
        if self.failure is not None:
            shown["failureInfo"] = failure_view(self.failure)
        if self.container is not None:
            shown["containerInfo"] = container_view(self.container)
        return shown


_CATEGORIES = {"usererror": "UserError", "servererror": "ServerError"}


def failure_view(failure: dict[str, Any]) -> dict[str, Any]:
    """A stored FailureInfo on the wire; the category as recorded, not in the case of the SDK's enumeration."""
    category = _CATEGORIES.get(failure["category"], failure["category"])
    details = [{"name": name, "value": value} for name, value in failure["details"]]
    return {"category": category, "code": failure["code"], "message": failure["message"], "details": details}


def container_view(container: dict[str, Any]) -> dict[str, Any]:
    """A stored ContainerInfo on the wire."""
    return {"containerId": container["container_id"], "state": container["state"], "error": container["error"]}
