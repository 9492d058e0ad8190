"""The request bodies of the data plane, from azure-batch 15.1.0's models (REST 2025-06-01), with the documented limits.

A test compares the property names with the SDK's models, so that none is forgotten. Choices are written here in the
data plane's spelling; ARM's spelling of the same words is brought to this one (`hooks/pool_shapes.py` uses that).
"""

from __future__ import annotations

from local.azure.batch.data_plane.schema import Choice, Duration, Flag, Later, ListOf, Number, Object, Text, Time

MAX_TASKS_PER_COLLECTION = 100
MAX_BODY_BYTES = 1024 * 1024
MAX_DEPENDENCY_CHARACTERS = 64_000
MAX_RELEASE_SECONDS = 15 * 60

AUTOSCALE_INTERVAL = Duration("PT5M", "PT168H")

ID = Text(64, r"[A-Za-z0-9_-]{1,64}", "1 to 64 letters, digits, hyphens and underscores")
NAME = Text(1024)
COMMAND = Text()
INT32 = Number(-(2**31), 2**31 - 1)

IDENTITY_REFERENCE = Object({"resourceId": Text()}, ("resourceId",), "ComputeNodeIdentityReference")
ENVIRONMENT = ListOf(Object({"name": Text(), "value": Text()}, ("name",), "EnvironmentSetting"))
METADATA = ListOf(Object({"name": Text(), "value": Text()}, ("name", "value"), "MetadataItem"))

REGISTRY = Object(
    {"username": Text(), "password": Text(), "registryServer": Text(), "identityReference": IDENTITY_REFERENCE},
    name="ContainerRegistry",
)

CONTAINER_SETTINGS = Object(
    {
        "imageName": Text(),
        "containerRunOptions": Text(),
        "registry": REGISTRY,
        "workingDirectory": Choice(("taskWorkingDirectory", "containerImageDefault")),
        "containerHostBatchBindMounts": ListOf(
            Object(
                {
                    "source": Choice(("Shared", "Startup", "VfsMounts", "Task", "JobPrep", "Applications")),
                    "isReadOnly": Flag(),
                },
                name="ContainerHostBatchBindMountEntry",
            )
        ),
    },
    ("imageName",),
    "TaskContainerSettings",
)

RESOURCE_FILES = ListOf(
    Object(
        {
            "autoStorageContainerName": Text(),
            "storageContainerUrl": Text(),
            "httpUrl": Text(),
            "blobPrefix": Text(),
            "filePath": Text(),
            "fileMode": Text(),
            "identityReference": IDENTITY_REFERENCE,
        },
        name="ResourceFile",
    )
)

OUTPUT_FILES = ListOf(
    Object(
        {
            "filePattern": Text(),
            "destination": Object(
                {
                    "container": Object(
                        {
                            "containerUrl": Text(),
                            "path": Text(),
                            "identityReference": IDENTITY_REFERENCE,
                            "uploadHeaders": Later("headers of output files"),
                        },
                        ("containerUrl",),
                        "OutputFileBlobContainerDestination",
                    )
                },
                ("container",),
                "OutputFileDestination",
            ),
            "uploadOptions": Object(
                {"uploadCondition": Choice(("tasksuccess", "taskfailure", "taskcompletion"))},
                ("uploadCondition",),
                "OutputFileUploadOptions",
            ),
        },
        ("filePattern", "destination", "uploadOptions"),
        "OutputFile",
    )
)

USER_IDENTITY = Object(
    {
        "username": Text(),
        "autoUser": Object(
            {"scope": Choice(("task", "pool")), "elevationLevel": Choice(("nonadmin", "admin"))},
            name="AutoUserSpecification",
        ),
    },
    name="UserIdentity",
)

TASK_CONSTRAINTS = Object(
    {"maxWallClockTime": Duration(), "retentionTime": Duration(), "maxTaskRetryCount": Number(-1, 2**31 - 1)},
    name="TaskConstraints",
)

TASK_ID_RANGE = Object({"start": INT32, "end": INT32}, ("start", "end"), "TaskIdRange")
DEPENDENCIES = Object({"taskIds": ListOf(ID), "taskIdRanges": ListOf(TASK_ID_RANGE)}, name="TaskDependencies")

EXIT_OPTIONS = Object(
    {"jobAction": Choice(("none", "disable", "terminate")), "dependencyAction": Choice(("satisfy", "block"))},
    name="ExitOptions",
)
EXIT_CODE = Object({"code": INT32, "exitOptions": EXIT_OPTIONS}, ("code", "exitOptions"), "ExitCodeMapping")
EXIT_CODE_RANGE = Object(
    {"start": INT32, "end": INT32, "exitOptions": EXIT_OPTIONS}, ("start", "end", "exitOptions"), "ExitCodeRangeMapping"
)
EXIT_CONDITIONS = Object(
    {
        "exitCodes": ListOf(EXIT_CODE),
        "exitCodeRanges": ListOf(EXIT_CODE_RANGE),
        "preProcessingError": EXIT_OPTIONS,
        "fileUploadError": EXIT_OPTIONS,
        "default": EXIT_OPTIONS,
    },
    name="ExitConditions",
)

TASK = Object(
    {
        "id": ID,
        "displayName": NAME,
        "commandLine": COMMAND,
        "containerSettings": CONTAINER_SETTINGS,
        "resourceFiles": RESOURCE_FILES,
        "outputFiles": OUTPUT_FILES,
        "environmentSettings": ENVIRONMENT,
        "affinityInfo": Object({"affinityId": Text()}, ("affinityId",), "AffinityInformation"),
        "constraints": TASK_CONSTRAINTS,
        "requiredSlots": Number(1, 256),
        "userIdentity": USER_IDENTITY,
        "exitConditions": EXIT_CONDITIONS,
        "multiInstanceSettings": Later("multi-instance tasks"),
        "dependsOn": DEPENDENCIES,
        "applicationPackageReferences": Later("application packages"),
    },
    ("id", "commandLine"),
    "CloudTask",
)

TASK_UPDATE = Object({"constraints": TASK_CONSTRAINTS}, name="CloudTask")

JOB_CONSTRAINTS = Object(
    {"maxWallClockTime": Duration(), "maxTaskRetryCount": Number(-1, 2**31 - 1)}, name="JobConstraints"
)
POOL_INFO = Object({"poolId": Text(64), "autoPoolSpecification": Later("auto pools")}, ("poolId",), "PoolInformation")

JOB_PREPARATION = Object(
    {
        "id": ID,
        "commandLine": COMMAND,
        "containerSettings": CONTAINER_SETTINGS,
        "resourceFiles": RESOURCE_FILES,
        "environmentSettings": ENVIRONMENT,
        "constraints": TASK_CONSTRAINTS,
        "waitForSuccess": Flag(),
        "userIdentity": USER_IDENTITY,
        "rerunOnNodeRebootAfterSuccess": Flag(),
    },
    ("commandLine",),
    "JobPreparationTask",
)
JOB_RELEASE = Object(
    {
        "id": ID,
        "commandLine": COMMAND,
        "containerSettings": CONTAINER_SETTINGS,
        "resourceFiles": RESOURCE_FILES,
        "environmentSettings": ENVIRONMENT,
        "maxWallClockTime": Duration(),
        "retentionTime": Duration(),
        "userIdentity": USER_IDENTITY,
    },
    ("commandLine",),
    "JobReleaseTask",
)

PRIORITY = Number(-1000, 1000)
PARALLEL = Number(-1, 2**31 - 1)
ON_ALL_TASKS_COMPLETE = Choice(("noaction", "terminatejob"))
ON_TASK_FAILURE = Choice(("noaction", "performexitoptionsjobaction"))

_JOB_CHANGEABLE = {
    "priority": PRIORITY,
    "allowTaskPreemption": Later("task preemption", (False,)),
    "maxParallelTasks": PARALLEL,
    "constraints": JOB_CONSTRAINTS,
    "poolInfo": POOL_INFO,
    "onAllTasksComplete": ON_ALL_TASKS_COMPLETE,
    "networkConfiguration": Later("networks of jobs"),
    "metadata": METADATA,
}

JOB = Object(
    {
        **_JOB_CHANGEABLE,
        "id": ID,
        "displayName": NAME,
        "usesTaskDependencies": Flag(),
        "jobManagerTask": Later("job manager tasks"),
        "jobPreparationTask": JOB_PREPARATION,
        "jobReleaseTask": JOB_RELEASE,
        "commonEnvironmentSettings": ENVIRONMENT,
        "onTaskFailure": ON_TASK_FAILURE,
    },
    ("id", "poolInfo"),
    "CloudJob",
)

JOB_UPDATE = Object(_JOB_CHANGEABLE, name="CloudJob")

JOB_REPLACE = Object({**JOB.properties}, ("poolInfo",), "CloudJob")
"""PUT: the SDK sends the job it read; what cannot change must be as it is (checked by the operation)."""

JOB_DISABLE = Object(
    {"disableTasks": Choice(("requeue", "terminate", "wait"))}, ("disableTasks",), "JobDisableParameter"
)
JOB_TERMINATE = Object({"terminateReason": Text()}, name="JobTerminateParameter")

_DEALLOCATION = Choice(("requeue", "terminate", "taskcompletion", "retaineddata"))

POOL_RESIZE = Object(
    {
        "targetDedicatedNodes": Number(0),
        "targetLowPriorityNodes": Number(0),
        "resizeTimeout": Duration(),
        "nodeDeallocationOption": _DEALLOCATION,
    },
    name="PoolResizeParameter",
)
POOL_ENABLE_AUTOSCALE = Object(
    {"autoScaleFormula": Text(), "autoScaleEvaluationInterval": AUTOSCALE_INTERVAL}, name="PoolEnableAutoScaleParameter"
)
POOL_EVALUATE_AUTOSCALE = Object({"autoScaleFormula": Text()}, ("autoScaleFormula",), "PoolEvaluateAutoScaleParameter")
NODES_REMOVE = Object(
    {"nodeList": ListOf(Text(), 100), "resizeTimeout": Duration(), "nodeDeallocationOption": _DEALLOCATION},
    ("nodeList",),
    "NodeRemoveParameter",
)

NODE_USER = Object(
    {"name": Text(20), "isAdmin": Flag(), "expiryTime": Time(), "password": Text(), "sshPublicKey": Text()},
    ("name",),
    "ComputeNodeUser",
)
NODE_USER_UPDATE = Object(
    {"expiryTime": Time(), "password": Text(), "sshPublicKey": Text()}, name="NodeUpdateUserParameter"
)
NODE_REBOOT = Object({"nodeRebootOption": _DEALLOCATION}, name="NodeRebootParameter")
NODE_DISABLE_SCHEDULING = Object(
    {"nodeDisableSchedulingOption": Choice(("requeue", "terminate", "taskcompletion"))},
    name="NodeDisableSchedulingParameter",
)
