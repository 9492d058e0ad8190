"""Container tasks: the `docker create` that Batch's node agent makes of a task's container settings.

Facts: the node root is mounted at its own path, or only what `containerHostBatchBindMounts` names; the working
directory is the task's or the image's; run options are extra `docker create` arguments and come last, so that they win;
an empty command line leaves the image's own entry point and command. By default a container runs as the task user.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from local.node.agent import failures
from local.node.agent.accounts import Account
from local.node.agent.beneath import Beneath
from local.node.agent.config import AgentConfig
from local.node.agent.engine import Engine, EngineError
from local.node.agent.environment import container_environment, mount_sources
from local.node.contract import ContainerInfo, ContainerSettings, RunSpec

LABEL = "org.local-azure.run"
ENVIRONMENT_FILE = "env-"  # begins the names of files, in the agent's own folder, that live while `docker create` runs
_PROGRAM_MISSING = ("executable file not found", "no such file or directory")


@dataclass
class Container:
    """A started container of a run."""

    engine: Engine
    container_id: str
    _ended: asyncio.Task[int]

    async def wait(self) -> int:
        """The container's exit code, when all its output is in the files."""
        return await self._ended

    async def signal(self, name: str) -> None:
        """Signal the container's first process."""
        await self.engine.kill(self.container_id, name)

    async def info(self) -> ContainerInfo:
        """`docker inspect`; a container run with `--rm` is gone by now."""
        try:
            state = (await self.engine.inspect(self.container_id))["State"]
        except EngineError:
            return ContainerInfo(container_id=self.container_id, state="exited")
        status = "exited" if state["Status"] == "removing" else state["Status"]
        return ContainerInfo(container_id=self.container_id, state=status, error=state.get("Error", ""))


async def create(config: AgentConfig, run: RunSpec, settings: ContainerSettings, account: Account) -> str:
    """Create the run's container and return its id; RunFailed carries the client's words."""
    environment = container_environment(config, run, account)
    # Values with a newline do not fit into an environment file; the client takes those from its own environment.
    long = {name: value for name, value in environment.items() if "\n" in value}
    with tempfile.NamedTemporaryFile("w", dir=config.state, prefix=ENVIRONMENT_FILE) as file:  # mkstemp: mode 0600
        file.writelines(f"{name}={value}\n" for name, value in environment.items() if name not in long)
        file.flush()
        arguments = create_arguments(config, run, settings, account, file.name, long)
        process = await asyncio.create_subprocess_exec(
            "docker",
            *arguments,
            env={**os.environ, **long},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    if process.returncode:
        raise failures.RunFailed(failures.container_refused(err.decode(errors="replace").strip()))
    return out.decode().split()[-1]


def create_arguments(
    config: AgentConfig,
    run: RunSpec,
    settings: ContainerSettings,
    account: Account,
    environment_file: str,
    from_client: Iterable[str] = (),
) -> list[str]:
    """The words after `docker`. Nothing secret is among them: values are in the 0600 file."""
    try:
        options, command = shlex.split(settings.run_options), shlex.split(run.command_line)
    except ValueError as error:
        raise failures.RunFailed(failures.container_refused(f"{error}: {settings.run_options!r}")) from error
    words = ["create", "--label", f"{LABEL}={run.run_id}", "--env-file", environment_file]
    words += [word for name in from_client for word in ("--env", name)]
    words += [word for mount in _volumes(config, run, settings) for word in ("--volume", mount)]
    words += [word for name, address in config.hosts.items() for word in ("--add-host", f"{name}:{address}")]
    if settings.working_directory == "taskWorkingDirectory":
        words += ["--workdir", str(config.root_path / run.directory / "wd")]
    if _user(options) is None:
        words += ["--user", f"{account.uid}:{account.gid}"]
    return [*words, *options, settings.image, *command]


def _volumes(config: AgentConfig, run: RunSpec, settings: ContainerSettings) -> list[str]:
    if settings.bind_mounts is None:
        return [f"{config.root}:{config.root}"]
    sources = mount_sources(run)
    mounts = []
    for mount in settings.bind_mounts:
        source = sources.get(str(mount.get("source", "")).lower())
        if source is None:
            known = ", ".join(sources)
            reason = f"containerHostBatchBindMounts: unknown source {mount.get('source')!r}; this task has {known}"
            raise failures.RunFailed(failures.container_refused(reason))
        with Beneath.at(config.root_path) as root, root.folder(source, make=True):
            source = str(config.root_path / source)  # walked to without a link: the engine would follow one
        mounts.append(f"{source}:{source}" + (":ro" if _read_only(mount) else ""))
    return mounts


def _read_only(mount: Mapping[str, object]) -> bool:
    return bool(mount.get("isReadOnly", mount.get("is_read_only", False)))


def reader_of(settings: ContainerSettings, account: Account) -> Account:
    """Whose rights a container's files are read with afterwards: its own user's, as far as its options say a number.

    A name is the image's to resolve, so the task user's rights must do then.
    """
    user, _, group = (_user(shlex.split(settings.run_options)) or "").partition(":")
    if not user.isdecimal():
        return account
    gid = int(group) if group.isdecimal() else 0  # docker's default for a number without a group
    return Account(f"{account.name} ({user}:{gid})", int(user), gid, switch=account.switch)


def _user(options: list[str]) -> str | None:
    """The value of docker's `--user` in any of its spellings; the last one wins, as it does for docker."""
    found: str | None = None
    for position, word in enumerate(options):
        if word in ("-u", "--user"):
            found = options[position + 1] if position + 1 < len(options) else ""
        elif word.startswith("--user="):
            found = word.removeprefix("--user=")
        elif word.startswith("-u") and (word[2:3] == "=" or word[2:3].isdigit()):
            found = word[2:].removeprefix("=")
    return found


async def start(engine: Engine, container_id: str, out: BinaryIO, err: BinaryIO) -> Container:
    """Attach, then start. RunFailed when the image has no such program."""
    tty = bool((await engine.inspect(container_id))["Config"].get("Tty"))
    started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def life() -> int:
        async with engine.attached(container_id, tty, out, err):
            ended = asyncio.create_task(engine.wait(container_id))
            try:
                await asyncio.sleep(0)
                await engine.start(container_id)
            except EngineError as error:
                ended.cancel()
                started.set_exception(error)
                raise
            started.set_result(None)
            return await ended

    task = asyncio.create_task(life())
    try:
        await asyncio.wait({task, started}, return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            await task
        started.result()
    except EngineError as error:
        await asyncio.gather(task, return_exceptions=True)
        raise failures.RunFailed(_start_failure(str(error))) from error
    return Container(engine, container_id, task)


def _start_failure(message: str) -> failures.FailureInfo:
    if any(text in message.lower() for text in _PROGRAM_MISSING):
        return failures.program_not_found("of the container", message)
    return failures.launch_failed(message)
