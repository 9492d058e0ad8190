"""A stack of a small program, deployed by the real Pulumi CLI with the plugins of this checkout."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.deployment.project import clean_environment

PLUGINS = Path(__file__).resolve().parents[3] / "local" / "plugins"
LANGUAGE_HOST = PLUGINS / "language-python"
SECONDS = 240
"""Far more than a command takes, for machines with a lot to do."""


@dataclass(frozen=True)
class Cli:
    """Which CLI, the folder of a language host for it (None: it has its own), and the environment that both need."""

    pulumi: Path
    language_host: Path | None
    environment: dict[str, str]


class Stack:
    """One project with one stack in a folder of its own; `environment` says which cloud the plugins reach."""

    def __init__(self, cli: Cli, folder: Path, home: Path, environment: dict[str, str]) -> None:
        self._cli = cli
        self.folder = folder
        passphrase = folder / "passphrase"
        passphrase.write_text("for tests")
        (folder / "backend").mkdir()
        clean = {name: value for name, value in clean_environment().items() if not name.startswith("DOCKER_")}
        self._environment = {
            **clean,
            "PULUMI_HOME": str(home),
            "PULUMI_BACKEND_URL": f"file://{folder / 'backend'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(passphrase),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_DIY_BACKEND_DISABLE_CHECKPOINT_BACKUPS": "true",
            "PULUMI_STANDIN_PYTHON": sys.executable,
            **cli.environment,
            **environment,
        }
        providers = [{"name": name, "path": str(PLUGINS / name)} for name in ("azure-native", "docker")]
        plugins: dict[str, Any] = {"providers": providers}
        if cli.language_host == LANGUAGE_HOST:
            plugins["languages"] = [{"name": "python", "path": str(LANGUAGE_HOST)}]
        runtime = {"name": "python", "options": {"toolchain": "pip", "virtualenv": sys.prefix}}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "p", "runtime": runtime, "plugins": plugins}))
        self.run("stack", "init", "s")

    def program(self, *lines: str) -> None:
        """The program, below the imports that all of them have."""
        head = "import pulumi\nimport pulumi_docker as docker\nfrom pulumi_azure_native import batch, resources\n"
        (self.folder / "__main__.py").write_text(head + "\n".join(lines) + "\n")

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command of the CLI, in a process group of its own as from a terminal."""
        return subprocess.Popen(
            [str(self._cli.pulumi), *arguments, "--non-interactive"],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            text=True,
        )

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Run a command to its end; what it printed. It has to succeed, or to fail (which of its codes depends)."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=SECONDS)
        assert (process.returncode != 0) is fails, (
            f"pulumi {' '.join(arguments)} ended with {process.returncode}:\n{output}"
        )
        return output

    def up(self, fails: bool = False) -> str:
        return self.run("up", "--yes", "--skip-preview", "--stack", "s", fails=fails)

    def preview(self) -> list[dict[str, Any]]:
        """The steps of a preview, as the CLI's JSON has them."""
        output = self.run("preview", "--json", "--stack", "s")
        return json.loads(output[output.index("\n{") if not output.startswith("{") else 0 :])["steps"]

    def resources(self) -> dict[str, dict[str, Any]]:
        """What the state file holds, by the resources' names in the program."""
        state = json.loads((self.folder / "backend" / ".pulumi" / "stacks" / "p" / "s.json").read_text())
        resources = state["checkpoint"]["latest"].get("resources") or []
        return {resource["urn"].rsplit("::", 1)[1]: resource for resource in resources}
