"""A stack as the Pulumi CLI sees it: a folder with a project file, a stack file, state, and an environment.

The project file is the real one with three changes: `main` and `virtualenv` are absolute, and `plugins` names our
stand-ins. With an official installation of Pulumi only the two providers are named; with a CLI that was built here the
language host is ours, too. The folder lies in the local Azure's home, so nothing of the user's own Pulumi (login,
`~/.pulumi`, PULUMI_* variables, backends) is read or changed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from local.errors import LocalError
from local.paths import CHECKOUT, PRIVATE_UMASK, write_private
from local.processes.supervisor import die_with_parent
from tools.setup.pulumi_cli import Installation, find

PLUGINS = CHECKOUT / "local" / "plugins"
PROVIDERS = {"azure-native": PLUGINS / "azure-native", "docker": PLUGINS / "docker"}
POLICY = CHECKOUT / "policy"  # the pack whose rules every preview checks
LANGUAGE_HOST = PLUGINS / "language-python"
EXECUTOR_VARIABLE = "PULUMI_STANDIN_EXECUTOR"  # read by local/plugins/language_python
# Variables that would lead the CLI or the plugins to the user's own Pulumi or Azure.
FOREIGN = ("PULUMI_", "ARM_", "AZURE_")


@dataclass(frozen=True)
class Stack:
    """One stack of the project. `environment` is added to the CLI's, and reaches program and plugins."""

    name: str
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    program: Path = CHECKOUT  # the folder of `__main__.py` and of the real project file

    @property
    def passphrase_file(self) -> Path:
        return self.folder / "passphrase"

    @property
    def settings_file(self) -> Path:
        return self.folder / f"Pulumi.{self.name}.yaml"

    @property
    def state_file(self) -> Path:
        return self.folder / ".pulumi" / "stacks" / project_name(self.program) / f"{self.name}.json"


def project_name(program: Path = CHECKOUT) -> str:
    return str(read_yaml(program / "Pulumi.yaml")["name"])


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML file that must hold a map. Raises `LocalError`, which names the line of a mistake."""
    try:
        body = yaml.safe_load(file.read_text())
    except UnicodeDecodeError as error:
        raise LocalError(f"{file} is not UTF-8 text", cause=str(error), next_step="save it as UTF-8") from None
    except yaml.YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        line = f", line {mark.line + 1}" if mark else ""
        raise LocalError(
            f"{file}{line}: not YAML", cause=" ".join(str(problem).split()), next_step="correct it"
        ) from None
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise LocalError(
            f"{file} must be a map of keys to values, got {type(body).__name__}", next_step="Pulumi.dev.yaml shows how"
        )
    return body


def read_deployment(stack: Stack) -> dict[str, Any]:
    """The deployment in the stack's state file, as `pulumi stack export` shows it; empty for a stack without state.

    Raises `LocalError` for a file that is not a state.
    """
    if not stack.state_file.exists():
        return {}
    try:
        latest = json.loads(stack.state_file.read_text())["checkpoint"].get("latest") or {}
        return {**latest}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LocalError(
            f"{stack.state_file} is not a Pulumi checkpoint",
            cause=f"something else changed it ({type(error).__name__}: {error})",
            next_step=f"restore it ({stack.state_file.name}.bak is the one before), or forget everything deployed "
            "locally: python -m local reset --yes",
        ) from None


def installation() -> Installation:
    """The CLI that the set-up found or built. Raises `LocalError` if there is none."""
    cli = find()
    if cli is None:
        raise LocalError("there is no Pulumi CLI", cause="the set-up did not run to its end", next_step="make setup")
    return cli


def project_file(cli: Installation, program: Path = CHECKOUT) -> dict[str, Any]:
    """The content of the Pulumi.yaml in a stack's folder: the one in the folder `program`, changed as said above."""
    body = read_yaml(program / "Pulumi.yaml")
    options = body["runtime"]["options"]
    plugins: dict[str, Any] = {"providers": [{"name": name, "path": str(path)} for name, path in PROVIDERS.items()]}
    if not cli.official:
        plugins["languages"] = [{"name": "python", "path": str(LANGUAGE_HOST)}]
    return {
        **body,
        "main": str(program),
        "runtime": {**body["runtime"], "options": {**options, "virtualenv": str(program / options["virtualenv"])}},
        "plugins": plugins,
    }


def write_project_file(stack: Stack, cli: Installation) -> None:
    """Make the stack's folder and its project file."""
    stack.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = yaml.safe_dump(project_file(cli, stack.program), sort_keys=False).encode()
    file = stack.folder / "Pulumi.yaml"
    if not file.exists() or file.read_bytes() != content:
        write_private(file, content)


def variables(stack: Stack, cli: Installation) -> dict[str, str]:
    """The environment variables that tell the CLI which stack, state and plugins to use."""
    settings = {
        "PATH": os.pathsep.join([str(cli.pulumi.parent), os.environ.get("PATH", os.defpath)]),
        "PULUMI_HOME": str(stack.folder / "home"),
        "PULUMI_BACKEND_URL": f"file://{stack.folder}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(stack.passphrase_file),
        "PULUMI_STACK": stack.name,
        "PULUMI_OPTION_CWD": str(stack.folder),  # so that a person may type `pulumi` in any folder
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
        "PULUMI_SUPPRESS_NEO_LINK": "true",
        "PULUMI_DEBUG_COMMANDS": "true",  # `up --event-log` is one of them (`recovery`)
        **stack.environment,
    }
    if cli.executor is not None and not cli.official:
        settings[EXECUTOR_VARIABLE] = str(cli.executor)
    return settings


def clean_environment() -> dict[str, str]:
    """This process's environment without the variables of the user's own Pulumi and Azure (`FOREIGN`)."""
    return {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}


def environment(stack: Stack, cli: Installation) -> dict[str, str]:
    """The whole environment of the CLI: `clean_environment` and `variables`."""
    return clean_environment() | variables(stack, cli)


def run(stack: Stack, *arguments: str) -> int:
    """Run the CLI with this process's stdout and stderr; returns its exit code.

    Ctrl-C reaches the CLI, too, which ends in good order; only then `KeyboardInterrupt` is raised here.
    """
    cli = installation()
    write_project_file(stack, cli)
    interrupted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: interrupted.append(number))
    try:
        code = subprocess.Popen(
            [cli.pulumi, *arguments],
            cwd=stack.folder,
            env=environment(stack, cli),
            umask=PRIVATE_UMASK,
            preexec_fn=die_with_parent(signal.SIGINT),
        ).wait()
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupted:
        raise KeyboardInterrupt
    return code


def capture(stack: Stack, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the CLI with its output captured, and without questions."""
    cli = installation()
    write_project_file(stack, cli)
    return subprocess.run(
        [cli.pulumi, *arguments, "--non-interactive", "--color=never"],
        cwd=stack.folder,
        env=environment(stack, cli),
        text=True,
        input=stdin or "",
        capture_output=True,
        check=False,
        umask=PRIVATE_UMASK,
    )


def ask(stack: Stack, *arguments: str, stdin: str | None = None) -> str:
    """Run the CLI with its output captured; returns its stdout. Raises `LocalError` with its error message."""
    done = capture(stack, *arguments, stdin=stdin)
    if done.returncode:
        raise LocalError(
            f"`pulumi {' '.join(arguments[:2])}` failed on stack {stack.name} (exit code {done.returncode})",
            cause=(done.stderr.strip() or done.stdout.strip()).removeprefix("error: "),
            next_step=f"python -m local pulumi {' '.join(arguments[:2])}",
        )
    return done.stdout


def become(stack: Stack, arguments: Sequence[str]) -> int:
    """Replace this process by the CLI: signals, terminal and exit code are then its own. Does not return."""
    cli = installation()
    write_project_file(stack, cli)
    os.chdir(stack.folder)
    os.execve(cli.pulumi, ["pulumi", *arguments], environment(stack, cli))  # noqa: S606  no shell is meant


def ensure_stack(stack: Stack) -> None:
    """Make the stack in its backend unless it is there."""
    if not stack.state_file.exists():
        ask(stack, "stack", "init", stack.name)
