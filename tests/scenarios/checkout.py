"""A clone of this checkout in an empty folder, used as a new user would: by `make` and `python -m`."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parent.parent.parent
# What set-up made already; made again it would only cost time.
SHARED = (".venv", "local/azure/blobs/node_modules")


@dataclass(frozen=True)
class Run:
    """A finished command: its exit code, stdout, and both streams together."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


class Checkout:
    """Tracked and new files of the source, copied; its own `.local`, so nothing of a developer's is touched."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / ".local"
        listed = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=SOURCE, check=True, capture_output=True, text=True
        ).stdout
        for name in listed.splitlines():
            if (SOURCE / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(SOURCE / name, root / name)
        for name in SHARED:
            (root / name).symlink_to(SOURCE / name)
        self.python = root / ".venv" / "bin" / "python"

    @property
    def environment(self) -> dict[str, str]:
        return {key: value for key, value in os.environ.items() if not key.startswith("LOCAL_AZURE")}

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """A command in the background, in a process group of its own."""
        return subprocess.Popen(
            argv,
            cwd=self.root,
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *argv: str, seconds: float = 300.0) -> Run:
        process = self.start(*argv)
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
            raise AssertionError(f"{' '.join(argv)} took over {seconds} s\n{out}\n{err}") from None
        return Run(process.returncode, out, err)

    def make(self, target: str, *settings: str, expect: int = 0) -> Run:
        done = self.run("make", target, *settings)
        assert done.code == expect, f"make {target}: exit code {done.code}\n{done.text}"
        return done

    def module(self, *arguments: str, expect: int = 0) -> Run:
        done = self.run(str(self.python), "-m", *arguments)
        assert done.code == expect, f"python -m {' '.join(arguments)}: exit code {done.code}\n{done.text}"
        return done

    def jobs(self, *words: str, expect: int = 0) -> Run:
        return self.module("jobs", *words, expect=expect)

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file as a user would; the old text must be there."""
        text = (self.root / name).read_text()
        assert old in text, f"{name} does not contain {old!r}"
        (self.root / name).write_text(text.replace(old, new))

    @property
    def cloud(self) -> dict[str, Any]:
        return json.loads((self.home / "cloud.json").read_text())

    def outputs(self) -> dict[str, Any]:
        return json.loads(self.module("local", "pulumi", "stack", "output", "--json").out)

    def processes(self) -> dict[str, int]:
        return json.loads(self.module("local", "status", "--json").out)["processes"]

    def last_job(self, run: Run) -> str:
        found = re.findall(r"hello-\d{8}-\d{6}", run.text)
        assert found, f"no job id in\n{run.text}"
        return found[-1]
