"""What a preview of the stack "local" costs beside one of a one-resource program: `python -m benchmarks.preview`.

Both are `pulumi preview` by the same CLI with the same plugins, in turns. The one resource is a resource group of
azure-native: the least that a program can declare. Both stacks are empty, and both previews are offline (placeholders
of `local/offline`), so that neither a running local Azure nor a network is part of the figures. The first turn fills
the plugins' cache and is not counted.

Wall time is only worth reading on a machine that has nothing else to do. Processor time (user and system, of the CLI,
the language host, the program and the plugins together) depends less on the neighbours. Both are printed: minimum and
median of each program, and the ratio of the minima. `--turns N` (5) says how often; `--pulumi FILE`, `--language-host
FOLDER` and `--executor FILE` take another CLI than the one that set-up found.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from local.deployment.project import clean_environment
from tools.setup import pulumi_cli

ROOT = Path(__file__).resolve().parents[1]
PLUGINS = ROOT / "local" / "plugins"
ONE_RESOURCE = """from pulumi_azure_native import resources

resources.ResourceGroup("group", location="westeurope")
"""
PASSWORD = "correct-Horse-7-battery"


@dataclass
class Preview:
    """One program's project folder, and the seconds that its previews took."""

    name: str
    folder: Path
    environment: dict[str, str]
    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def prepare(self, pulumi: str, project: dict[str, Any]) -> None:
        self.folder.mkdir()
        runtime = {"name": "python", "options": {"toolchain": "pip", "virtualenv": sys.prefix}}
        (self.folder / "Pulumi.yaml").write_text(yaml.safe_dump({"runtime": runtime, **project}))
        self.pulumi(pulumi, "stack", "init", "local")

    def pulumi(self, pulumi: str, *words: str, given: str = "") -> None:
        subprocess.run(
            [pulumi, *words, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            check=True,
        )

    def measure(self, pulumi: str) -> None:
        used, began = _processor_seconds(), time.monotonic()
        self.pulumi(pulumi, "preview", "--stack", "local")
        self.wall.append(time.monotonic() - began)
        self.processor.append(_processor_seconds() - used)

    def row(self) -> str:
        figures = (min(self.wall), statistics.median(self.wall), min(self.processor), statistics.median(self.processor))
        return f"{self.name:<22}" + "".join(f"{seconds:>12.2f}" for seconds in figures)


def _processor_seconds() -> float:
    """Of all processes that ended under this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def installation(options: argparse.Namespace) -> tuple[str, str | None, dict[str, str]]:
    """The CLI, the folder of a language host for it, and what the two need in their environment."""
    if options.pulumi:
        return options.pulumi, options.language_host, {"PULUMI_STANDIN_EXECUTOR": options.executor or ""}
    cli = pulumi_cli.find()
    if cli is None:
        sys.exit("there is no Pulumi CLI; `make setup` finds or builds one, or give --pulumi FILE")
    if cli.official:
        return str(cli.pulumi), None, {}
    return str(cli.pulumi), str(PLUGINS / "language-python"), {"PULUMI_STANDIN_EXECUTOR": str(cli.executor)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.preview")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--pulumi")
    parser.add_argument("--language-host")
    parser.add_argument("--executor")
    arguments = parser.parse_args()
    pulumi, host, needed = installation(arguments)
    plugins: dict[str, Any] = {
        "providers": [{"name": name, "path": str(PLUGINS / name)} for name in ("azure-native", "docker")]
    }
    if host:
        plugins["languages"] = [{"name": "python", "path": host}]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "passphrase").write_text("of a benchmark")
        (folder / "state").mkdir()
        environment = clean_environment() | {
            "PYTHONDONTWRITEBYTECODE": "",  # as in `make`: compiled once, and not at each start
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(folder / "passphrase"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_STANDIN_OFFLINE": str(ROOT / "local" / "offline" / "dev.yaml"),
            "PULUMI_STANDIN_PYTHON": sys.executable,
            **needed,
        }
        one = Preview("one resource", folder / "one", environment)
        one.prepare(pulumi, {"name": "one", "plugins": plugins})
        (one.folder / "__main__.py").write_text(ONE_RESOURCE)
        stack = Preview("the stack local", folder / "stack", environment)
        stack.prepare(pulumi, {"name": "azure-batch-platform", "main": str(ROOT), "plugins": plugins})
        settings = yaml.safe_load((ROOT / "local" / "Pulumi.local.yaml").read_text())
        settings_file = stack.folder / "Pulumi.local.yaml"
        settings_file.write_text(yaml.safe_dump((yaml.safe_load(settings_file.read_text()) or {}) | settings))
        for key in ("adminPassword", "userPassword"):
            stack.pulumi(pulumi, "config", "set", "--secret", key, "--stack", "local", given=PASSWORD)
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
        for turn in range(arguments.turns + 1):
            for preview in (one, stack):
                preview.measure(pulumi)
                if turn == 0:
                    preview.wall.clear()
                    preview.processor.clear()
    print(f"{'seconds':<22}{'wall, min':>12}{'median':>12}{'cpu, min':>12}{'median':>12}")
    print(one.row())
    print(stack.row())
    wall, processor = min(stack.wall) / min(one.wall), min(stack.processor) / min(one.processor)
    print(f"{'ratio of the minima':<22}{wall:>10.2f} x{'':>12}{processor:>10.2f} x")


if __name__ == "__main__":
    main()
