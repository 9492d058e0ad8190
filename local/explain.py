"""The messages of `python -m local` for exceptions that libraries raise: Docker's SDK, azure-core, SQLite, the system.

An exception without a message here is a defect of ours and keeps its traceback.
"""

from __future__ import annotations

import sqlite3

from local.azure.platform.errors import AzureError
from local.azure.platform.faults import FaultRefused
from local.azure.platform.ports import NoPortLeft, PortInUse
from local.azure.sql.errors import SqlError
from local.errors import LocalError
from local.node.image import ImageBuildFailed
from local.paths import Paths, UnsafeFolder
from tools.setup import docker_engine
from tools.setup.docker_engine import EngineState

# Their texts have fact, cause and next step already.
EXPLAINED = (LocalError, UnsafeFolder, PortInUse, NoPortLeft, ImageBuildFailed, FaultRefused)


def explain(error: BaseException, paths: Paths) -> str | None:
    """The message for a user; None for a defect, which no user could mend."""
    if isinstance(error, EXPLAINED):
        return str(error)
    explained = _docker(error) or _azure(error, paths) or _machine(error, paths)
    return None if explained is None else str(explained)


def _docker(error: BaseException) -> Exception | None:
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    if isinstance(error, APIError):
        return LocalError("the Docker engine refused", cause=_line(error.explanation or error), next_step="docker info")
    if not isinstance(error, DockerException | RequestException):
        return None
    # Asked again, so that the same trouble reads the same here and in the set-up.
    state = docker_engine.state()
    if state is EngineState.RUNNING:
        return LocalError("the Docker engine broke off", cause=_line(error), next_step="the same command again")
    return docker_engine.trouble(state)


def _azure(error: BaseException, paths: Paths) -> Exception | None:
    from azure.core.exceptions import AzureError as SdkError
    from azure.core.exceptions import HttpResponseError

    if isinstance(error, SqlError):
        return LocalError("the database refused", cause=_line(error), next_step=f"its log: {paths.log / 'sql.log'}")
    if isinstance(error, AzureError | HttpResponseError):
        cause = _line(getattr(error, "message", error))
        return LocalError("the local Azure refused", cause=cause, next_step=f"its logs: {paths.log}")
    if isinstance(error, SdkError):
        return LocalError(
            "the local Azure does not answer",
            cause=_line(error),
            next_step=f"python -m local stop, then: python -m local start   (logs: {paths.log})",
        )
    return None


def _machine(error: BaseException, paths: Paths) -> Exception | None:
    if isinstance(error, sqlite3.OperationalError):  # locked, read-only, disk full: the file itself is good
        return LocalError(f"{paths.database} cannot be used", cause=_line(error), next_step="mend that, then try again")
    if isinstance(error, sqlite3.DatabaseError):
        return LocalError(
            f"{paths.database}, the local Azure's state, is damaged",
            cause=_line(error),
            next_step="restore it, or forget everything deployed locally: python -m local reset --yes",
        )
    if isinstance(error, OSError) and error.strerror:
        what = error.filename or "a system call"
        return LocalError(f"{what}: {error.strerror}", next_step="mend that, then the same command again")
    return None


def _line(text: object) -> str:
    return " ".join(str(text).split())
