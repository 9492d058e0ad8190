"""File systems of the pool's `mountConfiguration`, mounted below the node root's `fsmounts` at each boot.

A blob container is mounted by rclone, which stands for blobfuse: both are FUSE file systems over the blob service, and
upload a file when it is closed. Facts (learn.microsoft.com/azure/batch/virtual-file-mount): blobfuse mounts as root, so
that by default only admin tasks see what is there (`-o allow_other` opens it for all); a mount that fails makes the
node unusable; the log of a mount is `fsmounts/KIND-PATH.log`.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Iterable
from typing import Final

from local.node.agent import failures
from local.node.agent.beneath import Beneath
from local.node.agent.config import AgentConfig
from local.node.contract import FileSystemMount

FOLDER: Final = "fsmounts"
_READY_SECONDS = 30.0
_LOOK_SECONDS = 0.05
_STOP_SECONDS = 10.0


class Mounts:
    """The mounted file systems of a node."""

    def __init__(self, config: AgentConfig) -> None:
        self._config = config
        self._processes: list[asyncio.subprocess.Process] = []

    async def mount(self, wanted: Iterable[FileSystemMount]) -> None:
        """Mount them all. Raises RunFailed for the first that cannot be mounted."""
        for one in wanted:
            if one.refusal:
                raise failures.RunFailed(failures.mount(one.path, one.refusal))
            if not self._config.isolated:
                reason = "the process executor mounts nothing; start the local Azure with the docker executor"
                raise failures.RunFailed(failures.mount(one.path, reason))
            await self._mount(one)

    async def close(self) -> None:
        """Unmount everything; what was written is uploaded first."""
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
        if self._processes:
            await asyncio.wait([asyncio.create_task(one.wait()) for one in self._processes], timeout=_STOP_SECONDS)

    async def _mount(self, one: FileSystemMount) -> None:
        folder, log = self._config.root_path / FOLDER / one.path, f"{one.kind}-{one.path.replace('/', '-')}.log"
        with Beneath.at(self._config.root_path) as root:
            with root.folder(f"{FOLDER}/{one.path}", make=True):
                pass
            output = root.create_file(f"{FOLDER}/{log}")
        try:
            remote = f":azureblob:{one.container}"
            # The signed URL is in the environment of root's process, not on a command line that every task can read.
            environment = {**os.environ, "RCLONE_AZUREBLOB_SAS_URL": one.url, "RCLONE_CONFIG": "/dev/null"}
            await self._check(remote, environment, output, one)
            process = await asyncio.create_subprocess_exec(
                "rclone",
                "mount",
                remote,
                str(folder),
                *mount_options(one.options),
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        except FileNotFoundError as error:
            raise failures.RunFailed(failures.mount(one.path, f"{error.filename} is not on the node")) from error
        finally:
            os.close(output)
        self._processes.append(process)
        deadline = asyncio.get_running_loop().time() + _READY_SECONDS
        while not await asyncio.to_thread(os.path.ismount, folder):  # a mount has no event that one could wait for
            if process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise failures.RunFailed(
                    failures.mount(one.path, f"rclone did not mount it: {FOLDER}/{log} has its words")
                )
            await asyncio.sleep(_LOOK_SECONDS)

    async def _check(self, remote: str, environment: dict[str, str], output: int, one: FileSystemMount) -> None:
        """That the container can be listed: rclone would mount one that does not exist as an empty folder."""
        process = await asyncio.create_subprocess_exec(
            "rclone",
            "lsf",
            "--max-depth",
            "1",
            "--retries",
            "1",
            "--low-level-retries",
            "3",
            remote,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=output,
        )
        if await process.wait():
            log = f"{FOLDER}/{one.kind}-{one.path.replace('/', '-')}.log"
            reason = f"the container {one.container} cannot be listed: {log} says why"
            raise failures.RunFailed(failures.mount(one.path, reason))


def mount_options(blobfuse_options: str) -> list[str]:
    """rclone's options for those of blobfuse that mean something to it: `-o allow_other` and `-o ro`.

    The others tune caches and time-outs of blobfuse, which is not here.
    """
    words = shlex.split(blobfuse_options)
    given = {option for word in words for option in word.removeprefix("-o").split(",")}
    options = ["--vfs-cache-mode", "writes", "--vfs-write-back", "0s", "--dir-cache-time", "1s"]
    options += ["--allow-other"] if "allow_other" in given or "--allow-other" in given else []
    return options + (["--read-only"] if given & {"ro", "--read-only"} else [])
