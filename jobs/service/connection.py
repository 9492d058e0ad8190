"""Which Batch account and containers to talk to, and as whom. The only reader of the environment.

Three ways, first match wins: AZURE_BATCH_ACCOUNT + _ACCESS_KEY + _ENDPOINT (any Batch-like endpoint, no stack, shared
key); `--outputs FILE`; `--stack NAME` (`pulumi stack output --json`). The stack `local` takes its credential and CA
from `.local/cloud.json` (folder: LOCAL_AZURE_HOME), others from azure-identity.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from .. import text
from ..errors import UsageError

KEY_VARIABLES: Final = ("AZURE_BATCH_ACCOUNT", "AZURE_BATCH_ACCESS_KEY", "AZURE_BATCH_ENDPOINT")
HOME_VARIABLE: Final = "LOCAL_AZURE_HOME"
LOCAL: Final = "local"
AZURE_ARM: Final = "https://management.azure.com"
CHECKOUT: Final = Path(__file__).resolve().parents[2]  # where the program and the settings of its stacks are
PULUMI_SECONDS: Final = 120  # the Pulumi CLI asks its backend, or runs the program for a preview


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What `jobs` needs of a stack's outputs (exported by `infra/outputs.py`)."""

    batch_endpoint: str
    blob_endpoint: str
    pools: Mapping[str, str]
    worker_image: str
    job_containers: Mapping[str, str]
    identity_client_id: str
    identity_resource_id: str
    sql_server: str
    sql_database: str
    registry_server: str = ""
    pool_images: Mapping[str, str] = field(default_factory=dict)  # pool id -> the image its start task fetches
    batch_account: str = ""
    resource_group: str = ""
    subscription_id: str = ""
    location: str = ""

    @classmethod
    def parse(cls, data: Mapping[str, Any], origin: str) -> Outputs:
        """From the outputs' JSON; a missing one is told by name."""
        needed = ("batch_endpoint", "blob_endpoint", "pools", "worker_image", "job_containers", "worker_identity")
        if missing := [name for name in needed if name not in data]:
            raise UsageError(
                f"{origin}: no output {', '.join(missing)}; the stack is not deployed, or not this project's",
                next_step="run up",
            )
        identity, sql = data["worker_identity"], data.get("sql") or {}
        return cls(
            batch_endpoint=data["batch_endpoint"],
            blob_endpoint=data["blob_endpoint"],
            # the id in the account: an ARM id ends with it
            pools={name: pool["id"].rpartition("/")[2] for name, pool in data["pools"].items()},
            worker_image=data["worker_image"],
            job_containers=data["job_containers"],
            identity_client_id=identity["client_id"],
            identity_resource_id=identity["resource_id"],
            sql_server=sql.get("server") or "",
            sql_database=sql.get("database") or "",
            registry_server=data.get("registry_server") or "",
            pool_images={pool["id"].rpartition("/")[2]: pool.get("image") or "" for pool in data["pools"].values()},
            batch_account=data.get("batch_account") or "",
            resource_group=data.get("resource_group") or "",
            subscription_id=data.get("subscription_id") or "",
            location=data.get("location") or "",
        )


@dataclass(frozen=True, kw_only=True)
class SharedKey:
    account: str
    key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class ClientSecret:
    """An application of the local Azure's directory."""

    authority: str
    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Connection:
    """Everything that `client.py` and `storage.py` need. `credential` None: whatever azure-identity finds.

    `home` is the local Azure's folder, None for every other stack. `subscription_id` is the one that the local Azure or
    the environment names.
    """

    batch_endpoint: str
    credential: SharedKey | ClientSecret | None
    outputs: Outputs | None = None
    ca: Path | None = None
    arm: str = AZURE_ARM
    home: Path | None = None
    subscription_id: str = ""


class NotDeployed(UsageError):
    """The stack has no outputs: nothing of it is there yet. `cloud` reaches Azure's management, and nothing else."""

    def __init__(self, error: UsageError, stack: str, cloud: Connection) -> None:
        super().__init__(error.fact, cause=error.cause, next_step=error.next_step)
        self.stack = stack
        self.cloud = cloud


def connect(stack: str | None, outputs_file: Path | None, environment: Mapping[str, str]) -> Connection:
    """Find the connection. Raises `UsageError`."""
    given = [name for name in KEY_VARIABLES if environment.get(name)]
    if len(given) == len(KEY_VARIABLES):
        account, key, endpoint = (environment[name] for name in KEY_VARIABLES)
        outputs = None if outputs_file is None else Outputs.parse(_read(outputs_file), str(outputs_file))
        return Connection(
            batch_endpoint=_url(endpoint, http_allowed=True),
            credential=SharedKey(account=account, key=key),
            outputs=outputs,
        )
    home = _home(environment)
    cloud = home / "cloud.json"
    if stack is None and outputs_file is None:
        if not cloud.exists():
            raise UsageError(
                f"no stack is given, and there is no {cloud}",
                next_step="use --stack NAME or --outputs FILE, or start the local Azure (make up)",
            )
        stack = LOCAL
    if outputs_file is not None:
        outputs = Outputs.parse(_read(outputs_file), str(outputs_file))
    else:
        assert stack is not None
        found = _ask(stack, home)
        try:
            outputs = Outputs.parse(found, f"stack {stack}")
        except UsageError as error:
            if found:
                raise
            raise NotDeployed(error, stack, _cloud(stack, home, environment)) from error
    return replace(_cloud(stack, home, environment), batch_endpoint=_url(outputs.batch_endpoint), outputs=outputs)


def _cloud(stack: str | None, home: Path, environment: Mapping[str, str]) -> Connection:
    """How the stack's cloud is reached, before it is known where its Batch account is."""
    if stack != LOCAL:
        return Connection(
            batch_endpoint="", credential=None, subscription_id=environment.get("ARM_SUBSCRIPTION_ID", "")
        )
    cloud = home / "cloud.json"
    facts = _read(cloud, "Start the local Azure again (it is written then): python -m local stop, then start")
    try:
        credential = ClientSecret(
            authority=facts["authority"],
            tenant_id=facts["tenant_id"],
            client_id=facts["client_id"],
            client_secret=facts["client_secret"],
        )
        ca = Path(facts["ca"])
    except KeyError as error:
        raise UsageError(
            f"{cloud}: has no {error}", next_step="start the local Azure again: python -m local start"
        ) from error
    # A relative path is relative to the folder above HOME, where cloud.json's own example has it.
    return Connection(
        batch_endpoint="",
        credential=credential,
        ca=ca if ca.is_absolute() else home.resolve().parent / ca,
        arm=facts.get("arm") or AZURE_ARM,
        home=home,
        subscription_id=facts.get("subscription_id") or "",
    )


def _home(environment: Mapping[str, str]) -> Path:
    """The local Azure's folder: the one that is named, else of the folder where we are, else of this checkout."""
    if given := environment.get(HOME_VARIABLE):
        return Path(given)
    here, ours = Path(".local"), CHECKOUT / ".local"
    return ours if (ours / "cloud.json").exists() and not (here / "cloud.json").exists() else here


def _url(endpoint: str, *, http_allowed: bool = False) -> str:
    """ARM gives the endpoint without a scheme. Plain http only with a shared key, which is never sent itself."""
    if "://" not in endpoint:
        return f"https://{endpoint}"
    if not endpoint.startswith("https://") and not http_allowed:
        raise UsageError(
            f"batch_endpoint is {endpoint!r}; a token is only sent over https", next_step="correct the output"
        )
    return endpoint


def _read(path: Path, next_step: str = "give a file that `pulumi stack output --json` wrote") -> dict[str, Any]:
    try:
        data = json.loads(text.decode(path.read_bytes()))
    except text.TextError as error:
        raise UsageError(f"{path}:{error.line}: cannot be read: {error}", next_step=next_step) from error
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: cannot be read as JSON: {error}", next_step=next_step) from error
    if not isinstance(data, dict):
        raise UsageError(f"{path}: expected a JSON object, got {type(data).__name__}", next_step=next_step)
    return data


def _ask(stack: str, home: Path) -> dict[str, Any]:
    """The stack's outputs, from Pulumi."""
    return pulumi(stack, home, "stack", "output", "--json")


def pulumi(stack: str, home: Path | None, *words: str) -> dict[str, Any]:
    """What a command of Pulumi on a stack prints as JSON; `home` is the local Azure's folder.

    `python -m local pulumi` is the CLI with the backend of the stack `local`. Pulumi finds the program and its settings
    in the checkout, from whichever folder this is called.
    """
    outputs = words[:2] == ("stack", "output")
    what = f"the outputs of stack {stack!r} cannot be had" if outputs else f"what stack {stack!r} is to be is not known"
    otherwise = "use --outputs FILE" if outputs else "correct that, then ask again"
    words = (*words, "--stack", stack)
    command = [sys.executable, "-m", "local", "pulumi", *words] if stack == LOCAL else ["pulumi", *words]
    shown = " ".join(["python", *command[1:]] if stack == LOCAL else command)
    try:
        done = subprocess.run(
            command,
            cwd=CHECKOUT,
            env={**os.environ, **({HOME_VARIABLE: str(home.resolve())} if stack == LOCAL and home else {})},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PULUMI_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise UsageError(
            what,
            cause=f"there is no Pulumi CLI on PATH, and `{shown}` tells it",
            next_step="install it, or use --outputs FILE with what `pulumi stack output --json` printed elsewhere",
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(what, cause=f"`{shown}`: {error}", next_step=otherwise) from error
    if done.returncode != 0:
        said = done.stderr.strip().removeprefix("error: ") or done.stdout.strip() or f"exit code {done.returncode}"
        lines = "\n".join(f"    {line}" for line in said.splitlines())
        knows = "  next:" in said  # `python -m local` says what to do
        raise UsageError(what, cause=f"`{shown}` says:\n{lines}", next_step="" if knows else otherwise)
    try:
        return json.loads(done.stdout or "{}")
    except (ValueError, RecursionError) as error:
        raise UsageError(what, cause=f"`{shown}` did not print JSON: {error}", next_step=otherwise) from error
