"""What each page shows, as plain data, from the same calls and in the same words as the verbs.

What a look costs does not grow with a job: tasks are listed by pages, counted by the service, and every answer is kept
for some seconds for all who look (`cache`). `KEPT` says for how long.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final, TypeVar

from ..errors import NotFound, ServiceError, UsageError
from ..files.checks.secrecy import masked
from ..service.batch import Counts, JobState, NodeState, PoolState, RecentTask, Shown, TaskPage, TaskState
from ..session import Session
from ..state import failure_texts, preparation, task_output
from ..state.progress import describe
from ..terminal.wording import MODULE, from_any_folder, pasteable
from ..verbs.look import show as show_verb
from ..verbs.pools import images as images_verb
from ..verbs.pools import nodes as nodes_verb
from .cache import Cache
from .outputs import Outputs

T = TypeVar("T")
# Seconds for which an answer is kept. Of a job that is over nothing changes, but its counts may lag by minutes.
KEPT: Final = {
    "pools": 5,
    "nodes": 5,
    "node": 4,
    "files": 5,
    "jobs": 10,
    "job": 3,
    "counts": 5,
    "counts of an ended job": 120,
    "tasks": 4,
    "task": 2,
    "why": 10,
    "images": 120,
    "image of a job": 3600,
}
JOBS_ON_PAGE: Final = 25
TASKS_ON_PAGE: Final = 100
MOST_LISTINGS: Final = 500  # filters whose pages are known
MOST_FAILURES: Final = 10
JOBS_ASKED_FOR_IMAGES: Final = 30
ASKING: Final = 8
MOST_SAMPLES: Final = 720  # of a job's counts: an hour, with one each 5 s
MOST_HISTORY: Final = 1000  # tasks of a job up to which its progress is made from their times
SHOWN: Final[tuple[Shown, ...]] = ("all", "active", "running", "succeeded", "failed")


class Views:
    """May be used by many threads."""

    def __init__(self, session: Session, cache: Cache, *, operate: bool) -> None:
        self._session = session
        self._cache = cache
        self._operate = operate
        self.outputs = Outputs(session, cache, self._job)
        self._lock = threading.Lock()
        self._samples: dict[str, deque[tuple[float, Counts]]] = {}
        self._listings: dict[tuple[str, Shown, str], list[str]] = {}  # the tokens of the pages that are known

    # -- the account -------------------------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        connection = self._session.connection
        outputs = connection.outputs
        return {
            "endpoint": connection.batch_endpoint.partition("://")[2],
            "account": outputs.batch_account if outputs else "",
            "operate": self._operate,
            "local": connection.home is not None,
            "registry": outputs.registry_server if outputs else "",
            "again": _command("dashboard"),
        }

    def pools(self) -> dict[str, Any]:
        """Every pool of the account with its nodes, in short."""
        found = sorted(self._pools(), key=lambda pool: pool.id)
        with ThreadPoolExecutor(ASKING) as asking:
            nodes = list(asking.map(lambda pool: self._or_error(lambda: self._nodes(pool.id)), found))
        return {"pools": [self._pool(pool, some) for pool, some in zip(found, nodes, strict=True)]}

    def _pool(self, pool: PoolState, nodes: list[NodeState] | str) -> dict[str, Any]:
        outputs = self._session.connection.outputs
        names = {pool_id: name for name, pool_id in outputs.pools.items()} if outputs else {}
        known = nodes if isinstance(nodes, list) else []
        wrong: dict[str, list[str]] = {}
        for node in known:
            if reason := nodes_verb.reason(node):
                wrong.setdefault(reason, []).append(node.id)
        return {
            "id": pool.id,
            "name": names.get(pool.id, ""),
            "state": pool.state,
            "allocation": pool.allocation,
            "size": pool.vm_size,
            "slots": pool.task_slots,
            "dedicated": pool.dedicated,
            "spot": pool.low_priority,
            "target_dedicated": pool.target_dedicated,
            "target_spot": pool.target_low_priority,
            "formula": pool.autoscale_formula,
            "evaluated": pool.autoscale_at,
            "results": pool.autoscale_results,
            "errors": [
                *(f"the last resize failed: {error}" for error in pool.resize_errors),
                *(
                    [f"the last evaluation of the formula failed: {pool.autoscale_error}"]
                    if pool.autoscale_error
                    else []
                ),
                *([nodes] if isinstance(nodes, str) else []),
            ],
            "wrong": [{"why": why, "nodes": ids[:20], "count": len(ids)} for why, ids in wrong.items()],
            "images": list(pool.images),
            "nodes": [
                [
                    node.id,
                    node.state,
                    node.dedicated,
                    node.running_tasks,
                    node.slots_used,
                    node.scheduling,
                    nodes_verb.reason(node),
                ]
                for node in known
            ],
        }

    def node(self, pool_id: str, node_id: str) -> dict[str, Any]:
        node = self._cache.get(
            ("node", pool_id, node_id), KEPT["node"], lambda: self._session.batch.node(pool_id, node_id)
        )
        return {
            **{
                name: getattr(node, name)
                for name in (
                    "id",
                    "state",
                    "running_tasks",
                    "slots_used",
                    "scheduling",
                    "dedicated",
                    "since",
                    "vm_size",
                    "ip_address",
                    "allocated",
                    "booted",
                    "tasks_run",
                    "tasks_succeeded",
                )
            },
            "pool": pool_id,
            "wrong": nodes_verb.reason(node),
            "start_task": {
                "command": node.start_task_command,
                "state": node.start_task_state,
                "exit_code": node.start_task_exit_code,
                "started": node.start_task_started,
                "ended": node.start_task_ended,
            }
            if node.start_task_command or node.start_task_state
            else None,
            "tasks": [self._recent(one) for one in node.recent_tasks],
            "connect": _command(f"connect {node.id} --pool {pool_id}"),
        }

    @staticmethod
    def _recent(one: RecentTask) -> dict[str, Any]:
        return {**vars(one)}

    # -- jobs --------------------------------------------------------------------------------------------------------

    def jobs(self, *, state: str, family: str, prefix: str, page: int) -> dict[str, Any]:
        """One page of the jobs, newest first, with how their tasks are."""
        every = self._jobs()
        families = sorted({job.family for job in every if job.family})
        found = [
            job
            for job in every
            if (not state or job.state == state) and (not family or job.family == family) and job.id.startswith(prefix)
        ]
        shown = found[page * JOBS_ON_PAGE : (page + 1) * JOBS_ON_PAGE]
        with ThreadPoolExecutor(ASKING) as asking:
            counts = list(asking.map(lambda job: self._or_error(lambda: self._counts(job)), shown))
        return {
            "jobs": [
                {**_job(job), "counts": vars(some) if isinstance(some, Counts) else None}
                for job, some in zip(shown, counts, strict=True)
            ],
            "total": len(found),
            "all": len(every),
            "page": page,
            "pages": max(1, -(-len(found) // JOBS_ON_PAGE)),
            "families": families,
            "submit": _command("submit FILE"),
            "states": sorted({job.state for job in every}),
        }

    def job(self, job_id: str) -> dict[str, Any]:
        """The job, its counts and their history, its first failures and, when nothing runs, why."""
        job = self._job(job_id)
        counts = self._counts(job)
        failures: list[TaskState] = []
        if counts.failed:
            failures = self._cache.get(
                ("failures", job_id),
                KEPT["tasks"],
                lambda: self._session.batch.some_tasks(job_id, "failed", MOST_FAILURES),
            )
        waits: list[str] = []
        if counts.active and not counts.running and job.state not in ("completed", "deleting"):
            waits = self._cache.get(
                ("why", job_id), KEPT["why"], lambda: list(show_verb.why_waiting(self._session, job, counts))
            )
        prepared = self._cache.get(("preparation", job_id), KEPT["why"], lambda: preparation.of_job(self._session, job))
        return {
            **_job(job),
            "counts": vars(counts),
            "output": f"{job.container}/{job.folder}/" if job.container else "on its nodes (submitted without a stack)",
            "failures": [self._row(task) for task in failures],
            "waits": _pasteable(waits),
            "preparation": [preparation.why(one) for one in prepared if one.failed],
            "history": self._history(job, counts),
            "report": _command(f"report {job.id} --html {job.id}.html"),
        }

    def _history(self, job: JobState, counts: Counts) -> list[list[float]]:
        """[time, succeeded, failed, running] over time: of a small job from its tasks, of others since we look."""
        if counts.total <= MOST_HISTORY:
            tasks = self._cache.get(
                ("history", job.id),
                KEPT["counts"],
                lambda: list(self._session.batch.some_tasks(job.id, "changed", MOST_HISTORY)),
            )
            return _course(tasks, self._session.clock.now())
        with self._lock:
            samples = list(self._samples.get(job.id, ()))
        return [[at, one.succeeded, one.failed, one.running] for at, one in samples]

    def tasks(self, job_id: str, *, shown: Shown, prefix: str, page: int) -> dict[str, Any]:
        """One page of the tasks, in the service's order. Only pages up to the next one are known."""
        key = (job_id, shown, prefix)
        with self._lock:
            if len(self._listings) > MOST_LISTINGS:
                self._listings.clear()
            tokens = self._listings.setdefault(key, [""])
            if page >= len(tokens):
                raise NotFound(
                    f"page {page + 1} of these tasks is not known any more", next_step="begin with the first"
                )
            token = tokens[page]

        def ask() -> TaskPage:
            batch = self._session.batch
            return batch.task_page(job_id, shown=shown, prefix=prefix, most=TASKS_ON_PAGE, following=token)

        found = self._cache.get(("tasks", *key, page), KEPT["tasks"], ask)
        with self._lock:
            tokens = self._listings.setdefault(key, [""])
            if found.following and len(tokens) == page + 1:
                tokens.append(found.following)
            elif found.following and len(tokens) > page + 1:
                tokens[page + 1] = found.following
        return {"tasks": [self._row(task) for task in found.tasks], "page": page, "more": bool(found.following)}

    def _row(self, task: TaskState) -> dict[str, Any]:
        return {
            "id": task.id,
            "state": _state(task),
            "node": task.node_id,
            "exit_code": task.exit_code,
            "started": task.started,
            "ended": task.ended,
            "retries": task.retries,
            "requeues": task.requeues,
            "words": describe(task),
        }

    def task(self, job_id: str, task_id: str) -> dict[str, Any]:
        """All about one task: facts, why it failed or waits, what is on its node and in the container."""
        job = self._job(job_id)

        def ask() -> dict[str, Any]:
            session = self._session
            wire = session.batch.task_definition(job_id, task_id)
            task = TaskState.parse(wire)
            failed = task.completed and not task.succeeded
            why = list(failure_texts.why(task))
            if failed:
                why += show_verb.node_evidence(session, job, task)
            nothing = task_output.of_task(session, job, wire) if task.completed else []
            return {
                "job": job.id,
                "pool": job.pool_id,
                **self._row(task),
                "created": task.created,
                "image": task.image,
                "command": wire.get("commandLine") or "(the image decides)",
                "options": (wire.get("containerSettings") or {}).get("containerRunOptions") or "",
                "why": _pasteable(why),
                "waits": _pasteable(show_verb.waits_for(session, job, task)),
                "show": _command(f"show {job.id} {task.id}"),
                "nothing": nothing,
                "needs": _pasteable(
                    failure_texts.container_needs(task.exit_code, self.outputs.ends(job, task)) if failed else ()
                ),
                "definition": masked(wire),
            }

        return self._cache.get(("task", job_id, task_id), KEPT["task"] if job.state == "active" else KEPT["files"], ask)

    # -- images ------------------------------------------------------------------------------------------------------

    def images(self) -> dict[str, Any]:
        """What is in the registry, and which pools and which of the newest jobs use it."""
        return self._cache.get("images", KEPT["images"], self._read_images)

    def _read_images(self) -> dict[str, Any]:
        from ..service.registry import Registry

        session = self._session
        registry = Registry(session.connection)
        manifests = [one for name in sorted(registry.repositories()) for one in registry.manifests(name)]
        used = images_verb.users(session, registry.server)
        by_job: dict[str, list[str]] = {}
        asked = self._jobs()[:JOBS_ASKED_FOR_IMAGES]
        with ThreadPoolExecutor(ASKING) as asking:
            for job, image in zip(asked, asking.map(self._image_of, asked), strict=True):
                if image:
                    by_job.setdefault(image, []).append(job.id)
        outputs = session.connection.outputs
        worker = outputs.worker_image if outputs else ""
        rows = [
            {
                "repository": one.repository,
                "tags": one.tags,
                "digest": one.digest,
                "size": one.size,
                "created": one.created,
                "pools": images_verb.pools_with(used, registry.server, one),
                "jobs": images_verb.pools_with(by_job, registry.server, one),
                "worker": bool(worker) and worker.endswith(one.digest),
            }
            for one in sorted(manifests, key=lambda one: (one.repository, -(one.created or _EPOCH).timestamp()))
        ]
        return {"registry": registry.server, "images": rows, "jobs_asked": len(asked)}

    def _image_of(self, job: JobState) -> str:
        """The image of the job's first task; empty when it has none (yet)."""

        def ask() -> str:
            wire = self._session.batch.first_definition(job.id) or {}
            return (wire.get("containerSettings") or {}).get("imageName") or ""

        found = self._or_error(lambda: self._cache.get(("image", job.id), KEPT["image of a job"], ask))
        return found if found and "/" in found and " " not in found else ""

    # -- answers that several pages need ------------------------------------------------------------------------------

    def job_state(self, job_id: str) -> JobState:
        return self._job(job_id)

    def _job(self, job_id: str) -> JobState:
        return self._cache.get(("job", job_id), KEPT["job"], lambda: self._session.batch.job(job_id))

    def _jobs(self) -> list[JobState]:
        def ask() -> list[JobState]:
            found = list(self._session.batch.jobs(""))
            return sorted(found, key=lambda job: ((job.created or _EPOCH).timestamp(), job.id), reverse=True)

        return self._cache.get("jobs", KEPT["jobs"], ask)

    def _counts(self, job: JobState) -> Counts:
        def ask() -> Counts:
            counts = self._session.batch.counts(job.id)
            with self._lock:
                samples = self._samples.setdefault(job.id, deque(maxlen=MOST_SAMPLES))
                samples.append((self._session.clock.now().timestamp(), counts))
            return counts

        over = job.state == "completed"
        return self._cache.get(("counts", job.id, over), KEPT["counts of an ended job" if over else "counts"], ask)

    def _pools(self) -> list[PoolState]:
        return self._cache.get("pools", KEPT["pools"], lambda: list(self._session.batch.pools()))

    def _nodes(self, pool_id: str) -> list[NodeState]:
        return self._cache.get(("nodes", pool_id), KEPT["nodes"], lambda: list(self._session.batch.nodes(pool_id)))

    @staticmethod
    def _or_error(ask: Callable[[], T]) -> T | str:
        try:
            return ask()
        except (ServiceError, UsageError) as error:
            return error.fact


def _command(words: str) -> str:
    """A command of this program, as it can be pasted into a terminal in any folder."""
    return pasteable(f"{MODULE} {words}", from_any_folder())


def _pasteable(lines: Iterable[str]) -> list[str]:
    return [pasteable(line, from_any_folder()) for line in lines]


_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _job(job: JobState) -> dict[str, Any]:
    return {
        name: getattr(job, name)
        for name in ("id", "state", "pool_id", "created", "ended", "priority", "terminate_reason", "family")
    }


def _state(task: TaskState) -> str:
    """The service's state, with what a person wants to know of a completed task."""
    return ("succeeded" if task.succeeded else "failed") if task.completed else task.state


def _course(tasks: list[TaskState], now: datetime) -> list[list[float]]:
    """[time, succeeded, failed, running] at every change, from the tasks' times."""
    events: list[tuple[datetime, int, int, int]] = []
    for task in tasks:
        if task.started:
            events.append((task.started, 0, 0, 1))
        ended = task.ended or (task.changed if task.completed else None)
        if task.completed and ended:
            events.append((ended, int(task.succeeded), int(not task.succeeded), -1 if task.started else 0))
    course: list[list[float]] = []
    succeeded = failed = running = 0
    for at, good, bad, more in sorted(events, key=lambda event: event[0]):
        succeeded, failed, running = succeeded + good, failed + bad, running + more
        course.append([at.timestamp(), succeeded, failed, running])
    if running:
        course.append([now.timestamp(), succeeded, failed, running])
    return course
