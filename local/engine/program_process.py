"""The user's program as a child process: started with its settings on stdin, its output shown as it comes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from local.engine.codec import Secret, plain
from local.engine.program import REPORTED

PROGRAM_THREADS: Final = 256
CHECKOUT: Final = Path(__file__).resolve().parents[2]


class ProgramProcess:
    """One run of `__main__.py`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        paths = [str(CHECKOUT), *filter(None, [environment.get("PYTHONPATH")])]
        variables = {**environment, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "local.engine.program"],
            cwd=folder,
            env=variables,
            process_group=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, settings: Mapping[str, Any], say: Callable[[str], None]) -> int:
        """Give it its settings, pass on what it prints, wait for its end. 0 if all is well, REPORTED if it told why."""
        process = self._process
        assert process.stdin and process.stdout and process.stderr
        with contextlib.suppress(BrokenPipeError), process.stdin:
            json.dump({**settings, "parent": os.getpid(), "threads": PROGRAM_THREADS}, process.stdin)

        def pass_on(stream: Any) -> None:
            with stream:
                for line in stream:
                    say(line.rstrip("\n"))

        errors = threading.Thread(target=pass_on, args=(process.stderr,), name="stderr of the program")
        errors.start()
        pass_on(process.stdout)
        errors.join()
        return process.wait()

    def kill(self) -> None:
        """No grace."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)


def config_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The stack's configuration in the form the SDK takes."""
    return {
        "config": {key: plain(value) for key, value in config.items()},
        "secret_keys": [key for key, value in config.items() if isinstance(value, Secret)],
    }


__all__ = ["REPORTED", "ProgramProcess", "config_settings"]
