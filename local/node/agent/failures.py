"""Why runs and nodes fail, in the service's words: every failure code the agent gives is in this file.

Documented or recorded codes: FailureExitCode, TaskEnded, CommandProgramNotFound, CommandLaunchFailed, BlobNotFound,
BlobAccessDenied, BlobDownloadMiscError, FileUploadContainerNotFound, ApplicationPackageError. Marked [guess]: the code
or text is ours, because no public source shows the service's.
"""

from __future__ import annotations

from local.node.contract import FailureInfo

USER, SERVER = "usererror", "servererror"
INVALID_IMAGE = "ContainerInvalidImage"


class RunFailed(Exception):
    """A run cannot go on; carries what the service says of it."""

    def __init__(self, info: FailureInfo) -> None:
        super().__init__(f"{info.code}: {info.message}")
        self.info = info


def exit_code(code: int) -> FailureInfo:
    """A command ended with another code than 0 (text and details from a recorded task)."""
    del code  # the service's text does not name it; the exit code is a property of its own
    details = (
        ("Message", "The task process exited with an unexpected exit code"),
        ("AdditionalErrorCode", "FailureExitCode"),
    )
    message = "The task exited with an exit code representing a failure"
    return FailureInfo(category=USER, code="FailureExitCode", message=message, details=details)


def ended_by_user() -> FailureInfo:
    """A task was terminated through the service."""
    return FailureInfo(category=USER, code="TaskEnded", message="Task was ended by user request")


def wall_clock(seconds: float) -> FailureInfo:
    """A task ran longer than it may. The documents say ServerError and TaskEnded; the text is a [guess]."""
    message = f"The task exceeded its maximum wall clock time of {seconds:g} seconds and was ended"
    return FailureInfo(category=SERVER, code="TaskEnded", message=message)


def program_not_found(program: str, details: str = "") -> FailureInfo:
    """The first word of a command line is no program."""
    message = f"The specified command program is not found: {program!r}"
    hint = "The command line is not run in a shell; use /bin/sh -c '...' for shell built-ins, variables and pipes"
    return FailureInfo(
        category=USER, code="CommandProgramNotFound", message=message, details=(("Message", details or hint),)
    )


def launch_failed(reason: str) -> FailureInfo:
    """A command or container could not be started."""
    message = "Failed to launch the specified command program"
    return FailureInfo(category=USER, code="CommandLaunchFailed", message=message, details=(("Message", reason),))


def unknown_user(name: str) -> FailureInfo:
    """[guess]: a task names a user account that the pool does not have (the service may refuse the task earlier)."""
    message = f"The user account {name!r} does not exist on the node"
    return FailureInfo(category=USER, code="UserAccountNotFound", message=message)


def invalid_image(image: str, reason: str) -> FailureInfo:
    """The image cannot be pulled. The code is public for nodes; for tasks it is a [guess]."""
    message = "One or more container images specified are invalid"
    return FailureInfo(
        category=USER, code=INVALID_IMAGE, message=message, details=(("Image", image), ("Message", reason))
    )


def application_package(application: str, version: str, reason: str) -> FailureInfo:
    """An application package was not installed. Code, text and values are those that Microsoft's page on unusable nodes
    shows for a pool's package; that the text is the same for a task's is a [guess]."""
    reference = f"{application}:{version}" if version else application
    message = "One or more application packages specified for the pool are invalid"
    details = (("ApplicationPackageReference", reference), ("Message", reason))
    return FailureInfo(category=USER, code="ApplicationPackageError", message=message, details=details)


def mount(path: str, reason: str) -> FailureInfo:
    """A file system was not mounted. Text and values are those of learn.microsoft.com/azure/batch/virtual-file-mount,
    which shows the code in words ("Mount Configuration Error"); its spelling is a [guess]."""
    message = "An error was encountered while configuring specified mount(s)"
    details = (("Message", reason), ("MountConfigurationPath", path))
    return FailureInfo(category=USER, code="MountConfigurationError", message=message, details=details)


def container_refused(reason: str) -> FailureInfo:
    """[guess]: `docker create` refused the run options."""
    message = "The container could not be created from the task's container settings"
    return FailureInfo(category=USER, code="ContainerCreateFailed", message=message, details=(("Message", reason),))


def resource_file(status: int, url: str, reason: str) -> FailureInfo:
    """A resource file was not fetched."""
    code = {404: "BlobNotFound", 401: "BlobAccessDenied", 403: "BlobAccessDenied"}.get(status, "BlobDownloadMiscError")
    texts = {
        "BlobNotFound": "The specified Azure Blob(s) are not found",
        "BlobAccessDenied": "Access for one of the specified Azure Blob(s) is denied",
        "BlobDownloadMiscError": "Miscellaneous error encountered while downloading one of the specified Azure Blob(s)",
    }
    details = (("BlobSource", url), ("Message", reason), ("HttpStatusCode", str(status)))
    return FailureInfo(category=USER, code=code, message=texts[code], details=details)


def upload(status: int, url: str, reason: str) -> FailureInfo:
    """An output file was not uploaded. FileUploadContainerNotFound is documented; the other codes are [guess]."""
    codes = {404: "FileUploadContainerNotFound", 401: "FileUploadAccessDenied", 403: "FileUploadAccessDenied"}
    code = codes.get(status, "FileUploadMiscError")
    texts = {
        "FileUploadContainerNotFound": "The specified container was not found while uploading an output file",
        "FileUploadAccessDenied": "Access was denied while uploading an output file",
        "FileUploadMiscError": "Miscellaneous error encountered while uploading an output file",
    }
    details = (("Container", url), ("Message", reason), ("HttpStatusCode", str(status)))
    return FailureInfo(category=USER, code=code, message=texts[code], details=details)
