"""The request bodies of the data plane: which of azure-batch's models each operation takes, and what models do not say.

Properties, types, words, required and read-only come from the SDK's models (15.1.0, REST 2025-06-01), lengths and
ranges from the documentation of each property: those are the tables here. The next version of the SDK is then a diff of
these.
"""

from __future__ import annotations

from local.azure.batch.data_plane.endpoints import ENDPOINTS
from local.azure.batch.data_plane.schema import Choice, Duration, Kind, ListOf, ModelReader, Number, Object, Text

MAX_TASKS_PER_COLLECTION = 100
MAX_BODY_BYTES = 1024 * 1024
MAX_DEPENDENCY_CHARACTERS = 64_000
MAX_RELEASE_SECONDS = 15 * 60

ID = Text(64, r"[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, hyphens and underscores")
NAME = Text(1024)
_REQUIRED_TEXT = Text(pattern=r"(?s).+", words="expected a text that is not empty")
_RETRIES = Number(-1, 2**31 - 1)
_SLOTS = Number(1, 256)
_COUNT = Number(0, 2**31 - 1)
_PRIORITY = Number(-1000, 1000)
_PARALLEL = Number(-1, 2**31 - 1)
_AT_LEAST_5_MINUTES = Duration("PT5M")
_AT_LEAST_1_MINUTE = Duration("PT1M")
AUTOSCALE_INTERVAL = Duration("PT5M", "PT168H")

_DEFINES_JOB = ("BatchJobCreateOptions", "BatchJobUpdateOptions", "BatchJob", "BatchJobSpecification")
_CREATES_POOL = ("BatchPoolCreateOptions", "BatchPoolSpecification")
_DEFINES_POOL = ("BatchPoolCreateOptions", "BatchPoolUpdateOptions", "BatchPoolSpecification")

_RULES: dict[tuple[str, str], Kind] = {
    **{
        (model, "displayName"): NAME
        for model in (
            "BatchJobCreateOptions",
            "BatchJob",
            "BatchJobSpecification",
            *_DEFINES_POOL,
            "BatchTaskCreateOptions",
            "BatchJobManagerTask",
            "BatchJobScheduleCreateOptions",
        )
    },
    **{
        (model, "id"): ID
        for model in (
            "BatchJobCreateOptions",
            "BatchTaskCreateOptions",
            "BatchPoolCreateOptions",
            "BatchJobScheduleCreateOptions",
            "BatchJobManagerTask",
            "BatchJobPreparationTask",
            "BatchJobReleaseTask",
        )
    },
    **{(model, "priority"): _PRIORITY for model in _DEFINES_JOB},
    **{(model, "maxParallelTasks"): _PARALLEL for model in _DEFINES_JOB},
    **{
        (model, "maxTaskRetryCount"): _RETRIES
        for model in (
            "BatchJobConstraints",
            "BatchTaskConstraints",
            "BatchStartTask",
        )
    },
    **{(model, "requiredSlots"): _SLOTS for model in ("BatchTaskCreateOptions", "BatchJobManagerTask")},
    **{(model, "taskSlotsPerNode"): _SLOTS for model in _DEFINES_POOL},
    **{(model, "vmSize"): _REQUIRED_TEXT for model in _DEFINES_POOL},
    **{
        (model, name): _COUNT
        for name in ("targetDedicatedNodes", "targetLowPriorityNodes")
        for model in (
            *_CREATES_POOL,
            "BatchPoolResizeOptions",
        )
    },
    **{
        (model, "resizeTimeout"): _AT_LEAST_5_MINUTES
        for model in (
            *_CREATES_POOL,
            "BatchPoolResizeOptions",
            "BatchNodeRemoveOptions",
        )
    },
    **{
        (model, "autoScaleEvaluationInterval"): AUTOSCALE_INTERVAL
        for model in (
            *_CREATES_POOL,
            "BatchPoolEnableAutoScaleOptions",
        )
    },
    ("BatchPoolInfo", "poolId"): Text(64, r"(?s).+", "expected a pool's id"),
    ("BatchAutoPoolSpecification", "autoPoolIdPrefix"): Text(
        20, r"[A-Za-z0-9_-]{1,20}", "1 to 20 letters, digits, hyphens and underscores"
    ),
    ("BatchTaskDependencies", "taskIds"): ListOf(ID),
    ("BatchJobScheduleConfiguration", "recurrenceInterval"): _AT_LEAST_1_MINUTE,
    ("BatchJobScheduleConfiguration", "startWindow"): _AT_LEAST_1_MINUTE,
    ("MultiInstanceSettings", "numberOfInstances"): Number(1, 2**31 - 1),
    ("MultiInstanceSettings", "coordinationCommandLine"): _REQUIRED_TEXT,
    ("BatchNodeRemoveOptions", "nodeList"): ListOf(Text(), 100, least=1),
    ("BatchNodeUserCreateOptions", "name"): Text(20, r"(?s).+", "expected 1 to 20 characters"),
    ("UserAccount", "name"): Text(20, r"(?s).+", "expected 1 to 20 characters"),
    ("NetworkConfiguration", "endpointConfiguration"): ENDPOINTS,
    # Words that the service writes in another case than the SDK's models (recorded):
    ("BatchTaskSchedulingPolicy", "nodeFillType"): Choice(("Spread", "Pack")),
    ("OutputFileUploadConfiguration", "uploadCondition"): Choice(("TaskSuccess", "TaskFailure", "TaskCompletion")),
    ("BatchNodePlacementConfiguration", "policy"): Choice(("Regional", "Zonal")),
    ("BatchPublicIpAddressConfiguration", "provision"): Choice(("BatchManaged", "UserManaged", "NoPublicIPAddresses")),
}

_REQUIRED = {
    "OutputFileDestination": ("container",),
    "BatchPoolCreateOptions": ("virtualMachineConfiguration",),
    "BatchPoolSpecification": ("virtualMachineConfiguration",),
    "BatchAutoPoolSpecification": ("pool",),
}
"""What a property's text says must be there, or nothing works without."""

_ENTITY_NAMES = {
    **dict.fromkeys(("BatchJobCreateOptions", "BatchJobUpdateOptions", "BatchJob"), "CloudJob"),
    **dict.fromkeys(("BatchPoolCreateOptions", "BatchPoolUpdateOptions", "BatchPoolReplaceOptions"), "CloudPool"),
    **dict.fromkeys(
        ("BatchJobScheduleCreateOptions", "BatchJobScheduleUpdateOptions", "BatchJobSchedule"), "CloudJobSchedule"
    ),
    **dict.fromkeys(("BatchTaskCreateOptions", "BatchTask"), "CloudTask"),
    "BatchPoolSpecification": "PoolSpecification",
    "BatchJobSpecification": "JobSpecification",
    "BatchPoolInfo": "PoolInformation",
    "BatchMetadataItem": "MetadataItem",
    "BatchJobDisableOptions": "JobDisableParameter",
    "BatchJobTerminateOptions": "JobTerminateParameter",
    "BatchPoolResizeOptions": "PoolResizeParameter",
    "BatchNodeRemoveOptions": "NodeRemoveParameter",
    "BatchNodeUserCreateOptions": "ComputeNodeUser",
    "BatchNodeUserReplaceOptions": "NodeUpdateUserParameter",
    "BatchNodeRebootOptions": "NodeRebootParameter",
    "BatchNodeReimageOptions": "NodeReimageParameter",
    "BatchNodeDisableSchedulingOptions": "NodeDisableSchedulingParameter",
    "BatchNodeIdentityReference": "ComputeNodeIdentityReference",
    "ContainerRegistryReference": "ContainerRegistry",
    "BatchTaskContainerSettings": "TaskContainerSettings",
    "BatchStartTask": "StartTask",
    "OutputFileUploadConfiguration": "OutputFileUploadOptions",
    "BatchAffinityInfo": "AffinityInformation",
    "BatchVmImageReference": "ImageReference",
    "BatchContainerConfiguration": "ContainerConfiguration",
}
"""The service's names of its types, as errors have them: the REST API's older names (recorded: CloudPool) [guess: the
rest of them, from the names that earlier SDKs had]."""

_TOKEN_SETTINGS = {
    "authenticationTokenSettings": Object({"access": ListOf(Choice(("job",)))}, name="AuthenticationTokenSettings")
}
_MORE = {"BatchTaskCreateOptions": _TOKEN_SETTINGS, "BatchJobManagerTask": _TOKEN_SETTINGS}
"""What the models of 15.1.0 have not any more, and those of every earlier version had: the service still has it
[guess: also for requests of 2025-06-01]."""

_read = ModelReader(_RULES, _REQUIRED, _ENTITY_NAMES, _MORE).body

TASK = _read("BatchTaskCreateOptions")
TASK_UPDATE = Object({"constraints": _read("BatchTaskConstraints")}, name="CloudTask")
JOB = _read("BatchJobCreateOptions")
JOB_UPDATE = _read("BatchJobUpdateOptions")
JOB_REPLACE = Object(JOB.properties, ("poolInfo",), "CloudJob", _read("BatchJob").read_only - set(JOB.properties))
"""PUT: the SDK sends the job it read; what cannot change must be as it is (checked by the operation)."""
JOB_DISABLE = _read("BatchJobDisableOptions")
JOB_TERMINATE = _read("BatchJobTerminateOptions")
JOB_SCHEDULE = _read("BatchJobScheduleCreateOptions")
JOB_SCHEDULE_UPDATE = _read("BatchJobScheduleUpdateOptions")
JOB_SCHEDULE_REPLACE = Object(
    JOB_SCHEDULE.properties,
    ("schedule", "jobSpecification"),
    "CloudJobSchedule",
    _read("BatchJobSchedule").read_only - set(JOB_SCHEDULE.properties),
)
POOL = _read("BatchPoolCreateOptions")
POOL_UPDATE = _read("BatchPoolUpdateOptions")
POOL_REPLACE = _read("BatchPoolReplaceOptions")
POOL_RESIZE = _read("BatchPoolResizeOptions")
POOL_ENABLE_AUTOSCALE = _read("BatchPoolEnableAutoScaleOptions")
POOL_EVALUATE_AUTOSCALE = _read("BatchPoolEvaluateAutoScaleOptions")
NODES_REMOVE = _read("BatchNodeRemoveOptions")
NODE_USER = _read("BatchNodeUserCreateOptions")
NODE_USER_UPDATE = _read("BatchNodeUserReplaceOptions")
NODE_REBOOT = _read("BatchNodeRebootOptions")
NODE_REIMAGE = _read("BatchNodeReimageOptions")
NODE_DEALLOCATE = _read("BatchNodeDeallocateOptions")
NODE_DISABLE_SCHEDULING = _read("BatchNodeDisableSchedulingOptions")
NODE_LOGS = _read("UploadBatchServiceLogsOptions")
