"""What of the data plane is there, how far, and where that is known from: generated from routes, bodies and code.

`python -m local.azure.batch.data_plane.coverage` prints it. Guesses are marked in the code, where they are made, and
listed here once each.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local.azure.batch.data_plane import bodies
from local.azure.batch.data_plane.routes import ROUTES
from local.azure.batch.data_plane.schema import Kind, Later, ListOf, Object

DOCUMENT, RECORDED = "documents", "recorded traffic"
PACKAGE = Path(__file__).parent.parent

KNOWN_FROM: dict[str, str] = {
    **{route.operation: DOCUMENT for route in ROUTES},
    **dict.fromkeys(
        (
            "create_job",
            "list_jobs",
            "delete_job",
            "get_job",
            "update_job",
            "replace_job",
            "create_task_collection",
            "disable_job",
            "enable_job",
            "terminate_job",
            "list_job_preparation_and_release_task_status",
            "get_job_task_counts",
            "create_task",
            "list_tasks",
            "delete_task",
            "get_task",
            "replace_task",
            "reactivate_task",
            "terminate_task",
            "list_task_files",
            "download_task_file",
            "get_task_file_properties",
            "delete_task_file",
            "create_job_schedule",
            "list_jobs_from_schedule",
            "create_pool",
            "list_pools",
            "get_pool",
            "pool_exists",
            "update_pool",
            "delete_pool",
            "resize_pool",
            "stop_pool_resize",
            "replace_pool_properties",
            "remove_nodes",
            "enable_pool_auto_scale",
            "disable_pool_auto_scale",
            "evaluate_pool_auto_scale",
            "list_nodes",
            "get_node",
            "reboot_node",
            "enable_node_scheduling",
            "disable_node_scheduling",
            "create_node_user",
            "upload_node_logs",
            "list_pool_node_counts",
            "list_supported_images",
            "list_node_files",
            "download_node_file",
        ),
        f"{RECORDED}, {DOCUMENT}",
    ),
}
"""Where the behaviour of each operation is known from; what of it is a guess all the same is in the list of guesses."""

LIMITED: dict[str, str] = {
    "upload_node_logs": "one file with what the service knows of the node: local nodes have no agent of Azure's",
    "list_pool_usage_metrics": "the time window is checked; there are never any metrics",
    "list_node_extensions": "shows the pool's extensions as provisioned, with a message that local nodes execute none",
    "get_node_extension": "as list_node_extensions",
}
"""Operations that do less than Azure's."""

_NOT_MOUNTED = "not mounted: the pool's nodes are unusable, and their error MountConfigurationError says so"
WITHOUT_EFFECT: dict[str, str] = {
    "vmSize": "every node is the same size here",
    "resizeTimeout": "a resize ends when its nodes are there",
    "virtualMachineConfiguration.imageReference": "nodes boot one Linux image",
    "virtualMachineConfiguration.nodeAgentSKUId": "nodes boot one Linux image",
    "virtualMachineConfiguration.windowsConfiguration": "there are no Windows nodes",
    "virtualMachineConfiguration.dataDisks": "nodes have one disk",
    "virtualMachineConfiguration.osDisk": "nodes have one disk",
    "virtualMachineConfiguration.licenseType": "there are no Windows nodes",
    "virtualMachineConfiguration.diskEncryptionConfiguration": "disks are those of the machine",
    "virtualMachineConfiguration.nodePlacementConfiguration": "there is one zone",
    "virtualMachineConfiguration.extensions": "not executed on local nodes, as the status of each says",
    "virtualMachineConfiguration.securityProfile": "nodes are containers or processes",
    "virtualMachineConfiguration.serviceArtifactReference": "nodes boot one Linux image",
    "networkConfiguration": "nodes share one network, with a subnet too; NAT pools are shown, ssh is mapped",
    "mountConfiguration[].azureFileShareConfiguration": _NOT_MOUNTED,
    "mountConfiguration[].nfsMountConfiguration": _NOT_MOUNTED,
    "mountConfiguration[].cifsMountConfiguration": _NOT_MOUNTED,
    "upgradePolicy": "nodes are not upgraded",
    "taskSchedulingPolicy.jobDefaultOrder": "jobs of one priority are served by age",
}
"""Properties that are checked, kept and shown, and change nothing on local nodes. `networkConfiguration` is that of
pools and of jobs."""


PARTLY: dict[str, str] = {
    "mountConfiguration": "blob containers of the local Azure are mounted, by rclone, on nodes of the docker executor",
    "azureBlobFileSystemConfiguration.blobfuseOptions": "`allow_other` and `ro`; the others change nothing",
}
"""Properties of which a part works."""

_OLD_NODES = "pools of virtual machines have no versions of an operating system: those of cloud services are retired"
_NO_CERTIFICATES = "certificates were retired on 29 February 2024"
_COMBINED = "recorded traffic answers JobPreparationTaskOrReleaseTaskNotSpecified"
_FOR_OLD_FILES = "of operations on files that the REST API has not any more"
UNANSWERED: dict[str, str] = {
    "UnsupportedHeader": "headers that nobody knows are not looked at, as of any HTTP server",
    "UnsupportedProperty": "recorded traffic answers InvalidRequestBody for a property that there is not",
    "OutOfRangeQueryParameterValue": "recorded traffic answers InvalidQueryParameterValue",
    "RequestUrlFailedToParse": "the HTTP server in front refuses what is no URL, with an answer of its own",
    "OutOfRangeInput": "a property out of range is answered with InvalidPropertyValue (recorded)",
    "InvalidInput": "a wrong property is answered with InvalidPropertyValue (recorded)",
    "InvalidMetadata": "which characters are not permitted is nowhere documented",
    "MetadataTooLarge": "the limit is nowhere documented",
    "InsufficientAccountPermissions": "a token without the right is answered with PermissionDenied (seen by users)",
    "AccountIsDisabled": "only Azure's billing disables an account",
    "OperationTimedOut": "operations do not wait",
    "ServerBusy": "throttling on purpose answers 429, as the service does today",
    "InvalidAutoScalingSettings": "a wrong part of the settings is answered by its name",
    **dict.fromkeys(
        (
            "OSVersionNotFound",
            "OSVersionDisabled",
            "OSVersionExpired",
            "PoolVersionEqualsUpgradeVersion",
            "PoolNotEligibleForOSVersionUpgrade",
            "UpgradePoolVersionConflict",
        ),
        _OLD_NODES,
    ),
    **dict.fromkeys(("CertificateNotFound", "CertificateExists", "CertificateBeingDeleted"), _NO_CERTIFICATES),
    **dict.fromkeys(("JobPreparationTaskNotRunOnNode", "JobReleaseTaskNotRunOnNode"), _FOR_OLD_FILES),
    **dict.fromkeys(("JobPreparationTaskNotSpecified", "JobReleaseTaskNotSpecified"), _COMBINED),
    "NodeAgentSKUNotFound": "recorded traffic answers InvalidPropertyValue for an image or an agent that there is not",
    "PoolBeingCreated": "a pool is there as soon as it is asked for",
    "JobDisabled": "no operation on a disabled job is documented as refused",
    "IOError": "what a node cannot read is answered with FileNotFound or NodeNotReady",
}
"""Documented codes that no request to the local Azure is answered with, and why. Each of the others is provoked in
`tests/azure/batch/data_plane/test_error_codes.py`."""


@dataclass(frozen=True)
class Guess:
    """A place in the code that says it guesses."""

    module: str
    line: int
    text: str


def coverage() -> str:
    """The page, in Markdown: operations, properties, guesses."""
    lines = ["# The Batch data plane of the local Azure", "", "## Operations", ""]
    lines += ["| operation | request | answered | known from |", "|---|---|---|---|"]
    for route in ROUTES:
        answered = LIMITED.get(route.operation, "yes") if route.handler else "refused: 501 NotImplemented"
        lines.append(
            f"| `{route.operation}` | {route.method} `{route.path}` | {answered} | {KNOWN_FROM[route.operation]} |"
        )
    lines += ["", "## Properties of bodies", "", "Names, types and words are those of the SDK's models.", ""]
    lines += ["| property | what it does |", "|---|---|"]
    for name, body in BODIES.items():
        lines += [f"| `{path}` | {effect} |" for path, effect in properties(body, name)]
    lines += ["", "## Error codes that are never answered", ""]
    lines += ["Every other documented code is answered to a request that a test makes.", ""]
    lines += ["| code | why |", "|---|---|", *(f"| `{code}` | {why} |" for code, why in UNANSWERED.items())]
    lines += ["", "## Guesses", "", "What nothing public says. The code marks each where it is made.", ""]
    lines += ["| where | guess |", "|---|---|"]
    lines += [f"| `{one.module}:{one.line}` | {one.text} |" for one in guesses()]
    return "\n".join(lines)


BODIES: dict[str, Object] = {
    "job": bodies.JOB,
    "task": bodies.TASK,
    "pool": bodies.POOL,
    "jobSchedule": bodies.JOB_SCHEDULE,
}


def properties(kind: Kind, path: str) -> Iterator[tuple[str, str]]:
    """Each property below `path` with what it does here; parts of one that has no effect are not listed."""
    if isinstance(kind, ListOf):
        yield from properties(kind.kind, f"{path}[]")
    elif isinstance(kind, Object):
        for name, item in kind.properties.items():
            here = f"{path}.{name}"
            if isinstance(item, Later):
                yield here, "refused: 501 NotImplemented"
                continue
            reason = next((why for tail, why in WITHOUT_EFFECT.items() if here.endswith(f".{tail}")), None)
            partly = next((why for tail, why in PARTLY.items() if here.endswith(f".{tail}")), "works")
            yield here, f"checked and shown only: {reason}" if reason else partly
            if reason is None:
                yield from properties(item, here)


def guesses() -> list[Guess]:
    """Every mark of a guess in the comments and texts of this package, in order of the modules."""
    marks = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path == Path(__file__):
            continue
        source = path.read_text()
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type not in (tokenize.COMMENT, tokenize.STRING) or "[guess" not in token.string:
                continue
            module = path.relative_to(PACKAGE).as_posix()
            for match in re.finditer(r"\[guess", token.string):
                line = token.start[0] + token.string[: match.start()].count("\n")
                marks.append(Guess(module, line, _sentence(token, match.start(), source)))
    return marks


def _sentence(token: tokenize.TokenInfo, at: int, source: str) -> str:
    """The sentence that a mark stands in; of a comment that is nothing but the mark, the line of code it is beside."""
    text = token.string
    begin = max(text.rfind(stop, 0, at) + len(stop) for stop in (". ", '"""', ".\n", "\n\n", "# "))
    end = text.find("]", at) + 1
    sentence = " ".join(text[begin:end].replace("#", " ").split())
    if sentence.startswith("[guess"):
        code = source.splitlines()[token.start[0] - 1].split("#")[0].strip()
        sentence = f"`{code.replace('|', '/')}` {sentence}"
    return sentence.replace("|", "/")


if __name__ == "__main__":
    print(coverage())
