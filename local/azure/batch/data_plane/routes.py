"""Every operation of the data plane (azure-batch 15.1.0, REST 2025-06-01): the one table that says what is answered.

A row without handler answers 501 by name. `action` is what the caller needs on the account: `jobs/*` and
`jobSchedules/*` are data actions, the rest are actions
(learn.microsoft.com/azure/batch/batch-role-based-access-control). `python -m local.azure.batch.data_plane.coverage`
prints the coverage table.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property

from local.azure.batch.data_plane.call import Call
from local.azure.batch.data_plane.operations import applications, files, jobs, nodes, pools, schedules, tasks
from local.azure.batch.data_plane.wire import Answer

Handler = Callable[[Call], Awaitable[Answer]]
ALWAYS = ("api-version", "timeOut")
_LIST = ("maxresults", "$filter", "$select", "$expand", "$skiptoken")
_SHOW = ("$select", "$expand")
_FILES = ("maxresults", "$filter", "$skiptoken", "recursive")
_READ, _WRITE, _DELETE = "read", "write", "delete"


@dataclass(frozen=True)
class Route:
    """One operation. `verb` is the last part of the needed right; its first part follows from the path."""

    operation: str
    method: str
    path: str
    verb: str
    handler: Handler | None = None
    query: tuple[str, ...] = ()

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches decoded paths; a file path may have slashes."""
        parts = re.split(r"\{(\w+)\}", self.path)
        text = "".join(
            re.escape(part) if index % 2 == 0 else f"(?P<{part}>{'.+' if part == 'filePath' else '[^/]+'})"
            for index, part in enumerate(parts)
        )
        return re.compile(text + "/?")

    @property
    def names_itself(self) -> bool:
        """Whether the answer's DataServiceId is the request's address (recorded: of all that changes something in place
        but reactivate)."""
        creates = self.operation.startswith("create_")
        return self.method in ("POST", "PUT", "PATCH") and not creates and self.operation != "reactivate_task"

    @property
    def action(self) -> str:
        """The operation in Azure's role language."""
        top = self.path.split("/")[1]
        if top == "supportedimages":  # a Job Submitter is refused them (reported); a reader of the account is not
            return f"Microsoft.Batch/batchAccounts/{self.verb}"
        area = {"jobs": "jobs", "jobschedules": "jobSchedules", "applications": "applications"}.get(top, "pools")
        return f"Microsoft.Batch/batchAccounts/{area}/{self.verb}"

    @property
    def data(self) -> bool:
        """Whether the right is a data action."""
        return self.path.startswith(("/jobs/", "/jobschedules/")) or self.path in ("/jobs", "/jobschedules")


ROUTES: tuple[Route, ...] = (
    Route("list_applications", "GET", "/applications", _READ, applications.list_all, ("maxresults", "$skiptoken")),
    Route("get_application", "GET", "/applications/{applicationId}", _READ, applications.get),
    Route("create_job", "POST", "/jobs", _WRITE, jobs.create),
    Route("list_jobs", "GET", "/jobs", _READ, jobs.list_all, _LIST),
    Route("delete_job", "DELETE", "/jobs/{jobId}", _DELETE, jobs.delete, ("force",)),
    Route("get_job", "GET", "/jobs/{jobId}", _READ, jobs.get, _SHOW),
    Route("update_job", "PATCH", "/jobs/{jobId}", _WRITE, jobs.patch),
    Route("replace_job", "PUT", "/jobs/{jobId}", _WRITE, jobs.put),
    Route("create_task_collection", "POST", "/jobs/{jobId}/addtaskcollection", _WRITE, tasks.create_collection),
    Route("disable_job", "POST", "/jobs/{jobId}/disable", _WRITE, jobs.disable),
    Route("enable_job", "POST", "/jobs/{jobId}/enable", _WRITE, jobs.enable),
    Route(
        "list_job_preparation_and_release_task_status",
        "GET",
        "/jobs/{jobId}/jobpreparationandreleasetaskstatus",
        _READ,
        jobs.preparation_and_release,
        ("maxresults", "$filter", "$select", "$skiptoken"),
    ),
    Route("get_job_task_counts", "GET", "/jobs/{jobId}/taskcounts", _READ, tasks.counts),
    Route("create_task", "POST", "/jobs/{jobId}/tasks", _WRITE, tasks.create),
    Route("list_tasks", "GET", "/jobs/{jobId}/tasks", _READ, tasks.list_all, _LIST),
    Route("delete_task", "DELETE", "/jobs/{jobId}/tasks/{taskId}", _DELETE, tasks.delete),
    Route("get_task", "GET", "/jobs/{jobId}/tasks/{taskId}", _READ, tasks.get, _SHOW),
    Route("replace_task", "PUT", "/jobs/{jobId}/tasks/{taskId}", _WRITE, tasks.put),
    Route("list_task_files", "GET", "/jobs/{jobId}/tasks/{taskId}/files", _READ, files.list_task_files, _FILES),
    Route(
        "delete_task_file",
        "DELETE",
        "/jobs/{jobId}/tasks/{taskId}/files/{filePath}",
        _DELETE,
        files.delete_task_file,
        ("recursive",),
    ),
    Route(
        "download_task_file", "GET", "/jobs/{jobId}/tasks/{taskId}/files/{filePath}", _READ, files.download_task_file
    ),
    Route(
        "get_task_file_properties",
        "HEAD",
        "/jobs/{jobId}/tasks/{taskId}/files/{filePath}",
        _READ,
        files.task_file_properties,
    ),
    Route("reactivate_task", "POST", "/jobs/{jobId}/tasks/{taskId}/reactivate", _WRITE, tasks.reactivate),
    Route(
        "list_subtasks",
        "GET",
        "/jobs/{jobId}/tasks/{taskId}/subtasksinfo",
        _READ,
        tasks.subtasks,
        ("$select", "$skiptoken"),
    ),
    Route("terminate_task", "POST", "/jobs/{jobId}/tasks/{taskId}/terminate", _WRITE, tasks.terminate),
    Route("terminate_job", "POST", "/jobs/{jobId}/terminate", _WRITE, jobs.terminate, ("force",)),
    Route("create_job_schedule", "POST", "/jobschedules", _WRITE, schedules.create),
    Route("list_job_schedules", "GET", "/jobschedules", _READ, schedules.list_all, _LIST),
    Route("job_schedule_exists", "HEAD", "/jobschedules/{jobScheduleId}", _READ, schedules.head),
    Route("delete_job_schedule", "DELETE", "/jobschedules/{jobScheduleId}", _DELETE, schedules.delete, ("force",)),
    Route("get_job_schedule", "GET", "/jobschedules/{jobScheduleId}", _READ, schedules.get, _SHOW),
    Route("update_job_schedule", "PATCH", "/jobschedules/{jobScheduleId}", _WRITE, schedules.patch),
    Route("replace_job_schedule", "PUT", "/jobschedules/{jobScheduleId}", _WRITE, schedules.put),
    Route("disable_job_schedule", "POST", "/jobschedules/{jobScheduleId}/disable", _WRITE, schedules.disable),
    Route("enable_job_schedule", "POST", "/jobschedules/{jobScheduleId}/enable", _WRITE, schedules.enable),
    Route("list_jobs_from_schedule", "GET", "/jobschedules/{jobScheduleId}/jobs", _READ, schedules.jobs_of, _LIST),
    Route(
        "terminate_job_schedule",
        "POST",
        "/jobschedules/{jobScheduleId}/terminate",
        _WRITE,
        schedules.terminate,
        ("force",),
    ),
    Route("list_pool_node_counts", "GET", "/nodecounts", _READ, pools.counts, ("maxresults", "$filter", "$skiptoken")),
    Route("create_pool", "POST", "/pools", _WRITE, pools.create),
    Route("list_pools", "GET", "/pools", _READ, pools.list_all, _LIST),
    Route("delete_pool", "DELETE", "/pools/{poolId}", _DELETE, pools.delete),
    Route("pool_exists", "HEAD", "/pools/{poolId}", _READ, pools.head),
    Route("get_pool", "GET", "/pools/{poolId}", _READ, pools.get, _SHOW),
    Route("update_pool", "PATCH", "/pools/{poolId}", _WRITE, pools.patch),
    Route("disable_pool_auto_scale", "POST", "/pools/{poolId}/disableautoscale", _WRITE, pools.disable_autoscale),
    Route("enable_pool_auto_scale", "POST", "/pools/{poolId}/enableautoscale", _WRITE, pools.enable_autoscale),
    Route("evaluate_pool_auto_scale", "POST", "/pools/{poolId}/evaluateautoscale", _WRITE, pools.evaluate_autoscale),
    Route("list_nodes", "GET", "/pools/{poolId}/nodes", _READ, nodes.list_all, _LIST),
    Route("get_node", "GET", "/pools/{poolId}/nodes/{nodeId}", _READ, nodes.get, ("$select",)),
    Route("deallocate_node", "POST", "/pools/{poolId}/nodes/{nodeId}/deallocate", _WRITE, nodes.deallocate),
    Route(
        "disable_node_scheduling",
        "POST",
        "/pools/{poolId}/nodes/{nodeId}/disablescheduling",
        _WRITE,
        nodes.disable_scheduling,
    ),
    Route(
        "enable_node_scheduling",
        "POST",
        "/pools/{poolId}/nodes/{nodeId}/enablescheduling",
        _WRITE,
        nodes.enable_scheduling,
    ),
    Route(
        "list_node_extensions",
        "GET",
        "/pools/{poolId}/nodes/{nodeId}/extensions",
        _READ,
        nodes.list_extensions,
        ("maxresults", "$select", "$skiptoken"),
    ),
    Route(
        "get_node_extension",
        "GET",
        "/pools/{poolId}/nodes/{nodeId}/extensions/{extensionName}",
        _READ,
        nodes.get_extension,
        ("$select",),
    ),
    Route("list_node_files", "GET", "/pools/{poolId}/nodes/{nodeId}/files", _READ, files.list_node_files, _FILES),
    Route(
        "delete_node_file",
        "DELETE",
        "/pools/{poolId}/nodes/{nodeId}/files/{filePath}",
        _DELETE,
        files.delete_node_file,
        ("recursive",),
    ),
    Route(
        "download_node_file", "GET", "/pools/{poolId}/nodes/{nodeId}/files/{filePath}", _READ, files.download_node_file
    ),
    Route(
        "get_node_file_properties",
        "HEAD",
        "/pools/{poolId}/nodes/{nodeId}/files/{filePath}",
        _READ,
        files.node_file_properties,
    ),
    Route("reboot_node", "POST", "/pools/{poolId}/nodes/{nodeId}/reboot", _WRITE, nodes.reboot),
    Route("reimage_node", "POST", "/pools/{poolId}/nodes/{nodeId}/reimage", _WRITE, nodes.reimage),
    Route(
        "get_node_remote_login_settings",
        "GET",
        "/pools/{poolId}/nodes/{nodeId}/remoteloginsettings",
        _READ,
        nodes.remote_login,
    ),
    Route("start_node", "POST", "/pools/{poolId}/nodes/{nodeId}/start", _WRITE, nodes.start),
    Route(
        "upload_node_logs", "POST", "/pools/{poolId}/nodes/{nodeId}/uploadbatchservicelogs", _WRITE, nodes.upload_logs
    ),
    Route("create_node_user", "POST", "/pools/{poolId}/nodes/{nodeId}/users", _WRITE, nodes.create_user),
    Route("delete_node_user", "DELETE", "/pools/{poolId}/nodes/{nodeId}/users/{userName}", _WRITE, nodes.delete_user),
    Route("replace_node_user", "PUT", "/pools/{poolId}/nodes/{nodeId}/users/{userName}", _WRITE, nodes.replace_user),
    Route("remove_nodes", "POST", "/pools/{poolId}/removenodes", _WRITE, pools.remove_nodes),
    Route("resize_pool", "POST", "/pools/{poolId}/resize", _WRITE, pools.resize),
    Route("stop_pool_resize", "POST", "/pools/{poolId}/stopresize", _WRITE, pools.stop_resize),
    Route("replace_pool_properties", "POST", "/pools/{poolId}/updateproperties", _WRITE, pools.replace_properties),
    Route(
        "list_pool_usage_metrics",
        "GET",
        "/poolusagemetrics",
        _READ,
        pools.usage_metrics,
        ("maxresults", "startTime", "endtime", "$filter", "$skiptoken"),
    ),
    Route(
        "list_supported_images",
        "GET",
        "/supportedimages",
        _READ,
        pools.supported_images,
        ("maxresults", "$filter", "$skiptoken"),
    ),
)


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | set[str]:
    """The route and its parameters, or the methods this path does have (none: no such path)."""
    methods: set[str] = set()
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match is not None:
            if route.method == method:
                return route, match.groupdict()
            methods.add(route.method)
    return methods
