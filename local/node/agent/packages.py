"""Application packages: zip files of the account's auto-storage, unpacked below the node root's `applications` folder.

Facts (learn.microsoft.com/azure/batch/batch-application-packages, and the printed environment of a Linux node, 2019): a
pool's packages are installed at each boot, before the start task; a task's before its command; a package that is on the
node already is used as it is. On Linux the environment variables keep the application's case and have `_` for periods,
hyphens and number signs; the one without a version means the application's default version. The folder's name is
application, version and the time of activation, so that a package which was uploaded anew is another folder.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from aiohttp import ClientError

from local.node.agent import failures
from local.node.agent.beneath import Beneath
from local.node.agent.config import AgentConfig
from local.node.agent.tokens import TokenRefused
from local.node.agent.transfer import Transfer
from local.node.contract import ApplicationPackage

FOLDER: Final = "applications"
VARIABLE: Final = "AZ_BATCH_APP_PACKAGE_"
DOWNLOAD: Final = "package-"
"""Begins the names of downloaded zip files, in the agent's own folder, until they are unpacked."""
_READABLE = 0o444  # for every user: tasks run as different ones
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError)
"""What `zipfile` raises for an archive that it cannot unpack; RuntimeError when that is encrypted."""


class Packages:
    """The application packages of a node."""

    def __init__(self, config: AgentConfig, transfer: Transfer) -> None:
        self._config = config
        self._transfer = transfer
        self._installing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def ensure(self, packages: Iterable[ApplicationPackage]) -> None:
        """Have all of them on the node. Raises RunFailed with ApplicationPackageError for the first that fails."""
        for package in packages:
            async with self._installing[package.folder]:  # tasks that need the same package wait for one download
                try:
                    if not await asyncio.to_thread(self._is_installed, package):
                        await self._install(package)
                except (ClientError, TimeoutError, TokenRefused) as error:
                    raise _failed(package, f"Resource download failed: {error}") from error
                except _BROKEN as error:
                    raise _failed(package, f"The package is no zip file that can be unpacked: {error}") from error
                except OSError as error:
                    raise _failed(package, f"The package could not be unpacked: {error}") from error

    def _is_installed(self, package: ApplicationPackage) -> bool:
        with Beneath.at(self._config.root_path) as root:
            try:
                return stat.S_ISDIR(root.stat(f"{FOLDER}/{package.folder}").st_mode)
            except FileNotFoundError:
                return False

    async def _install(self, package: ApplicationPackage) -> None:
        if not package.url:
            raise _failed(package, "Resource download failed: the package was deleted, or is not active")
        with tempfile.NamedTemporaryFile(dir=self._config.state, prefix=DOWNLOAD) as file:
            await self._transfer.download(package.url, package.identity_client_id, file)  # type: ignore[arg-type]
            file.flush()
            await asyncio.to_thread(self._unpack, file.name, package.folder)

    def _unpack(self, file: str, folder: str) -> None:
        """Unpack beside the folder, which gets its name when it is whole: a kill leaves nothing that looks done."""
        part = f".{folder}.part"
        with Beneath.at(self._config.root_path) as root, root.folder(FOLDER, make=True) as applications:
            _remove(applications, part)  # of an agent that was killed
            try:
                with zipfile.ZipFile(file) as archive, applications.folder(part, make=True) as target:
                    for member in archive.infolist():
                        _extract(archive, member, target)
                os.rename(part, folder, src_dir_fd=applications.fileno(), dst_dir_fd=applications.fileno())
            finally:
                _remove(applications, part)


def variables(root: str, packages: Iterable[ApplicationPackage]) -> dict[str, str]:
    """The environment variables that lead to the packages' folders."""
    found: dict[str, str] = {}
    for package in packages:
        path = f"{root}/{FOLDER}/{package.folder}"
        names = [f"{package.application}_{package.version}"] if package.version else []
        names += [package.application] if package.is_default or not package.version else []
        found |= {VARIABLE + re.sub(r"[^A-Za-z0-9]", "_", name): path for name in names}
    return found


def _extract(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Beneath) -> None:
    """One file or folder, by its rights in the archive and readable for all [guess: Azure's own agent is not public].

    A name that leads out of the folder is refused, as `..` and absolute names are the package's mistake or worse.
    """
    names = member.filename.split("/")
    if ".." in names or member.filename.startswith("/"):
        raise ValueError(f"its entry {member.filename!r} leads out of the package")
    if member.is_dir():
        target.folder(member.filename, make=True).__exit__()
        return
    mode = (member.external_attr >> 16) & 0o777 | _READABLE
    with archive.open(member) as content, os.fdopen(target.create_file(member.filename, mode=mode), "wb") as file:
        shutil.copyfileobj(content, file)


def _remove(applications: Beneath, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        applications.delete(name, recursive=True)


def _failed(package: ApplicationPackage, reason: str) -> failures.RunFailed:
    return failures.RunFailed(failures.application_package(package.application, package.version, reason))
