"""Runs the stock azure-cli against a local Azure of its own and says what differs from Azure.

    .venv/bin/python -m tests.clients.azure_cli --az ENV/bin/az [--section Storage]

azure-cli is no dependency of ours (its environment pins other versions): install it anywhere, for instance with
`uv venv ENV && uv pip install --python ENV azure-cli`. Without it the exit code is 2, so that nothing passes unnoticed;
1 when a command answers something else than Azure, 0 when all are as they should be.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
import tempfile
import textwrap
import time
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

from local.deployment.project import clean_environment
from local.testing.azure import LocalAzure
from tests.clients.azure_cli_commands import NOT_HERE, SECTIONS, Command

MISSING = 2
_WIDTH = 118
_DRIVER = Path(__file__).with_name("azure_cli_driver.py")
_TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AZURE_CORE_INSTANCE_DISCOVERY")
_MACHINE = {
    "imageReference": {"publisher": "microsoft-dsvm", "offer": "ubuntu-hpc", "sku": "2204", "version": "latest"},
    "nodeAgentSKUId": "batch.node.ubuntu 22.04",
}
_ROLE = {
    "Name": "Pool Reader", "IsCustom": True, "Description": "Reads pools.",
    "Actions": ["Microsoft.Batch/batchAccounts/pools/read"], "NotActions": [],
}  # fmt: skip


VALUES = (
    "role_definition", "role_definition2", "pool_json", "job_json", "task_json", "tasks_json", "arm", "tenant",
    "subscription", "client_id", "client_secret", "deployer", "group", "storage", "registry", "batch", "file",
    "download", "zip", "folder", "downloads", "node_file", "task_file", "tomorrow",
)  # fmt: skip
"""What `prepare` gives names to."""


class Cli:
    """azure-cli in its own Python, with a configuration folder of its own."""

    def __init__(self, python: Path, azure: LocalAzure, folder: Path) -> None:
        environment = {
            **clean_environment(),
            **{name: value for name, value in azure.environment().items() if name in _TRUST},
            "AZURE_CONFIG_DIR": str(folder / "config"),
            "AZURE_CORE_COLLECT_TELEMETRY": "false", "AZURE_CORE_NO_COLOR": "true",
            "AZURE_CORE_ONLY_SHOW_ERRORS": "true", "AZURE_CORE_LOGIN_EXPERIENCE_V2": "false",
            "AZURE_EXTENSION_USE_DYNAMIC_INSTALL": "no", "AZURE_CORE_DISABLE_CONFIRM_PROMPT": "true",
            "NO_PROXY": "127.0.0.1,localhost",
        }  # fmt: skip
        self._process = subprocess.Popen(
            [python, _DRIVER], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def __call__(self, words: list[str]) -> dict[str, Any]:
        """The exit code, result and error of one command."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            return {"code": 1, "result": None, "error": "azure-cli's process ended"}
        return json.loads(line)


def words(text: str, values: Mapping[str, str]) -> list[str]:
    """A command's words; `@20` is a space inside of one, `{name}` a value, `{{` a brace."""
    return [word.format(**values).replace("@20", " ") for word in shlex.split(text)]


def at(result: Any, path: str) -> Any:
    """The value at `a.b.0.c` in a result; `len` counts; the empty path is the result itself."""
    for step in path.split(".") if path else ():
        if step == "len":
            return len(result or ())
        if isinstance(result, list) and step.isdigit():
            result = result[int(step)] if int(step) < len(result) else None
        else:
            result = result.get(step) if isinstance(result, dict) else None
    return result


def problem(command: Command, answer: Mapping[str, Any], values: Mapping[str, str]) -> str | None:
    """What is not as it should be."""
    error = str(answer["error"])
    if command.refused is not None:
        if answer["code"] == 0:
            return f"accepted, expected a refusal with {command.refused!r}"
        return None if command.refused in error else f"refused with other words than {command.refused!r}: {error}"
    if answer["code"] != 0:
        return error or f"exit code {answer['code']}"
    for path, wanted in command.answers.items():
        wanted = wanted.format(**values) if isinstance(wanted, str) else wanted
        found = at(answer["result"], path)
        if found != wanted:
            return f"{path} is {found!r}, expected {wanted!r}"
    return None


def prepare(azure: LocalAzure, folder: Path) -> dict[str, str]:
    """Files and names that commands use."""
    for name in ("config", "folder", "downloads"):
        (folder / name).mkdir()
    (folder / "file.txt").write_text("hello, blob\n")
    (folder / "folder" / "one.txt").write_text("1")
    with zipfile.ZipFile(folder / "app.zip", "w") as archive:
        archive.writestr("run.sh", "echo app")
    settings = azure.cloud.settings
    documents: dict[str, Any] = {
        "role_definition": {**_ROLE, "AssignableScopes": [azure.cloud.subscription_scope]},
        "role_definition2": {
            **_ROLE, "Description": "changed", "AssignableScopes": [azure.cloud.subscription_scope],
        },
        "pool_json": {
            "id": "json", "vmSize": "standard_d2s_v3", "virtualMachineConfiguration": _MACHINE,
            "targetDedicatedNodes": 1, "taskSlotsPerNode": 2,
        },
        "job_json": {"id": "fromjson", "poolInfo": {"poolId": "json"}, "priority": 3},
        "task_json": {"id": "two", "commandLine": "hostname"},
        "tasks_json": [{"id": "three", "commandLine": "hostname"}, {"id": "four", "commandLine": "hostname"}],
    }  # fmt: skip
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return {
        **{name: str(folder / f"{name}.json") for name in documents},
        "arm": azure.cloud.arm_url, "tenant": settings.tenant_id, "subscription": settings.subscription_id,
        "client_id": settings.client_id, "client_secret": settings.client_secret,
        "deployer": settings.deployer_object_id, "group": f"{azure.cloud.subscription_scope}/resourceGroups/cli",
        "storage": "clistorage1", "registry": "cliregistry1", "batch": "clibatch1",
        "file": str(folder / "file.txt"), "download": str(folder / "downloaded.txt"), "zip": str(folder / "app.zip"),
        "folder": str(folder / "folder"), "downloads": str(folder / "downloads"),
        "node_file": str(folder / "node.txt"), "task_file": str(folder / "task.txt"),
        "tomorrow": f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%MZ}",
    }  # fmt: skip


def run(python: Path, sections: list[str]) -> Iterator[tuple[str, Command, str | None, float]]:
    """Section, command, what differs (or None), seconds. Sections before a wanted one run, too: they build on them."""
    with tempfile.TemporaryDirectory(prefix="az-") as name, LocalAzure() as azure:
        folder = Path(name)
        values = prepare(azure, folder)
        with Cli(python, azure, folder) as cli:
            for section, commands in SECTIONS.items():
                for command in commands:
                    began = time.monotonic()
                    try:
                        answer = cli(words(command.text, values))
                        wrong = problem(command, answer, values)
                        for kept, path in command.keep.items():
                            values[kept] = str(at(answer["result"], path))
                    except KeyError as missing:
                        wrong = f"not run: {missing} was not made by an earlier command"
                    yield section, command, wrong, time.monotonic() - began
                if sections and section == sections[-1]:
                    return


def interpreter(az: str | None) -> Path | None:
    """The Python that has azure-cli: beside `az`, or what the Debian package has."""
    found = az or shutil.which("az")
    if found is None:
        return None
    for name in ("python", "python3"):
        candidate = Path(found).absolute().parent / name
        if (
            candidate.exists()
            and subprocess.run([candidate, "-c", "import azure.cli.core"], check=False).returncode == 0
        ):
            return candidate
    return None


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients.azure_cli", description=__doc__)
    parser.add_argument("--az", help="the `az` to run (default: the one on PATH)")
    parser.add_argument("--section", action="append", default=[], choices=list(SECTIONS), help="run up to this one")
    parser.add_argument("--table", action="store_true", help="run nothing: write the list of docs/clients.md to stdout")
    arguments = parser.parse_args()
    if arguments.table:
        print(markdown())
        return 0
    python = interpreter(arguments.az)
    if python is None:
        print("azure-cli was not found. Install it, then name it with --az ENV/bin/az.", file=sys.stderr)
        return MISSING
    wrong, count, began = 0, 0, time.monotonic()
    for section, command, difference, seconds in run(python, arguments.section):
        count += 1
        wrong += difference is not None
        if difference is not None:
            print(f"[{section}] az {command.text}\n    {difference[:1500]}", file=sys.stderr)
        else:
            print(f"[{section}] az {command.text.split(' --')[0]}: as Azure ({seconds:.1f} s)", file=sys.stderr)
    print(f"{count - wrong} of {count} commands as Azure, {time.monotonic() - began:.0f} s", file=sys.stderr)
    return 1 if wrong else 0


def markdown() -> str:
    """The commands by section, as docs/clients.md lists them."""
    lines: list[str] = []
    for section, commands in SECTIONS.items():
        names = [name(one) + (" (refused)" if one.refused else "") for one in commands]
        counted = [
            f"`{one}`" + (f" x {names.count(one)}" if names.count(one) > 1 else "") for one in dict.fromkeys(names)
        ]
        text = f"**{section}** ({len(commands)}): " + ", ".join(counted) + "."
        lines += [*textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False), ""]
    lines += ["| not run | why |", "|---|---|", *(f"| `{what}` | {why} |" for what, why in NOT_HERE.items())]
    return "\n".join(lines)


def name(command: Command) -> str:
    """The command without its arguments: `batch pool create`."""
    return command.text.split(" --")[0]


if __name__ == "__main__":
    sys.exit(main())
