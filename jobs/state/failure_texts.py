"""Why a task failed, in words: what its exit code or the service's failure code means, and what to do about it.

Failure codes: learn.microsoft.com/azure/batch/batch-job-task-error-checking and the REST reference. Exit codes above
128 are a signal's number plus 128 (docker, and every shell); 125 to 127 are docker's own
(https://docs.docker.com/engine/containers/run/#exit-status).
"""

from __future__ import annotations

import re
import signal
from typing import Final

from ..service.batch import Failure, TaskState

CODES: Final = {
    "FailureExitCode": "the program ran and ended with a failure",
    "TaskEnded": "ended before it finished: by `cancel`, by its wall clock (max_wall_clock), or with its job",
    "CommandProgramNotFound": "the program does not exist in the image; correct `command` or `entrypoint`",
    "CommandLaunchFailed": "the program could not be started; look at its file's rights and at the image's platform",
    "ContainerInvalidImage": "the image could not be had; check its name and digest (images) and the pool's registry",
    "ContainerError": "the container could not be made or started; look at the run options and the image",
    "BlobNotFound": "an input blob does not exist; correct its address",
    "BlobAccessDenied": "the node's identity may not read an input blob; give it Storage Blob Data Reader",
    "BlobDownloadMiscError": "an input blob could not be downloaded; run the task again",
    "FileUploadContainerNotFound": "the job's container does not exist; run up, which makes it",
    "FileUploadAccessDenied": "the node's identity may not write to the job's container; run up, which grants it",
    "FileUploadMiscError": "an output could not be uploaded; run the task again",
    "ResourceFileCreateFailed": "an input file could not be written; look at the node's free space",
    "DiskFull": "the node's disk is full; collect, delete old jobs, or use larger nodes",
}
OWN: Final = "the program's own code"
EXITS: Final = {
    125: "docker could not run the container: its options or image are wrong",
    126: "the program was found and cannot be executed: its rights, its platform, or /tmp without container.tmp_exec",
    127: "the program was not found in the image",
    135: "ended by SIGBUS: mostly shared memory (/dev/shm) that is full; container.shm_size gives more",
    137: "killed (signal 9): out of memory (/tmp and /dev/shm count), over its wall clock, or ended with its job",
    143: "ended on request (signal 15): cancelled, or its node was needed",
}


# What programs write when their container gives them too little, and which key of the job file gives more. The texts
# are those of Linux and its libraries (errno(3)); they only add a hint to what the exit code says.
NEEDS: Final = (
    (
        r"/dev/shm.*No space left|No space left.*/dev/shm|Bus error|insufficient shared memory|shm_open",  # noqa: S108
        "shm_size",
        "more shared memory",
    ),
    (r"/tmp/.*No space left|No space left.*/tmp", "tmp_size", "a larger /tmp (in memory)"),  # noqa: S108
    (
        r"Resource temporarily unavailable|can't start new thread|[Cc]annot fork|unable to create (?:native )?thread"
        r"|pthread_create failed|fork: retry|BlockingIOError: \[Errno 11\]",
        "pids_limit",
        "more processes and threads",
    ),
    (
        r"/tmp/[^\n]*Permission denied|failed to map segment from shared object",  # noqa: S108
        "tmp_exec",
        "programs and libraries in /tmp",
    ),
    (
        r"Read-only file system|Errno 30",
        "writable",
        "more writable places; or use /tmp (TMPDIR) or the working directory",
    ),
    (r"Too many open files|Errno 24", "ulimits.nofile", "more open files"),
    (r"cannot (?:lock|pin) memory|ibv_reg_mr|RLIMIT_MEMLOCK", "ulimits.memlock", "more locked memory"),
    (r"core file size|File size limit exceeded", "ulimits.fsize", "larger files"),
)


def container_needs(exit_code: int | None, output: str) -> list[str]:
    """Which keys of the job file's `container` may help, given the end of what a failed task wrote."""
    found = [
        f"its output looks as if it needs {what}: container.{key} of the job file gives it"
        for expression, key, what in NEEDS
        if re.search(expression, output)
    ]
    if exit_code == 126 and not found:
        found = ["if the program is in /tmp: container.tmp_exec of the job file lets it run"]
    return found


def exit_words(code: int) -> str:
    """What an exit code means, as far as its number says."""
    if code in EXITS:
        return EXITS[code]
    if 128 < code < 160:
        try:
            return f"ended by {signal.Signals(code - 128).name}"
        except ValueError:
            return f"ended by signal {code - 128}"
    return OWN


def in_short(exit_code: int | None, failure: Failure | None) -> str:
    """What is worth a word beside the exit code; empty when that says it all.

    `FailureExitCode` only says once more, in two sentences, that the code is not 0: the number's own meaning is told.
    """
    if failure is not None and failure.code != "FailureExitCode":
        return failure.words()
    words = "" if exit_code is None else exit_words(exit_code)
    return "" if words == OWN else words


def why(task: TaskState) -> list[str]:
    """Lines that say why; empty for a task that did not fail."""
    if not task.completed or task.succeeded:
        return []
    lines = []
    if task.exit_code is not None:
        lines.append(f"exit code {task.exit_code}: {exit_words(task.exit_code)}")
    else:
        lines.append("it never started, or was ended before it could give an exit code")
    if task.failure is not None:
        lines.append(f"the service says: {task.failure.category}: {task.failure.words()}")
        if meaning := CODES.get(task.failure.code):
            lines.append(f"that means: {meaning}")
    if task.retries:
        lines.append(f"it ran {task.retries + 1} times; every run failed")
    return lines
