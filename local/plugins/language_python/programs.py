"""Processes of the language host: which interpreter runs them, how they are started, and how they end.

Every process has a group of its own, so that what it started ends with it. The host ends all of them when the engine
cancels the deployment, when the host is told to stop, and when the engine is gone.
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

GRACE_SECONDS: Final = 3.0  # from SIGTERM to SIGKILL
CHUNK_BYTES: Final = 65536


class ProgramNotStarted(Exception):
    """The interpreter or the program is not there; the message says fact, cause and next step."""


@dataclass(frozen=True)
class Interpreter:
    """The Python of a project or policy pack: `runtime.options.virtualenv` of its file, else the host's own."""

    executable: Path
    virtualenv: Path | None = None

    @classmethod
    def choose(cls, root: Path, options: Mapping[str, object]) -> Interpreter:
        """`root` is the folder of the project file, which a relative `virtualenv` is relative to.

        Raises `ProgramNotStarted` for a virtual environment that is not there, and for a toolchain other than pip.
        """
        toolchain = options.get("toolchain") or "pip"
        if toolchain != "pip":
            raise ProgramNotStarted(
                f"runtime.options.toolchain is {toolchain!r}\n"
                "  cause: the language host that stands in for the official one knows virtual environments only\n"
                "  next:  write `toolchain: pip`, or use an official installation of Pulumi"
            )
        folder = options.get("virtualenv")
        if not folder:
            return cls(Path(sys.executable))
        virtualenv = root / str(folder)
        python = virtualenv / "bin" / "python"
        if not python.exists():
            raise ProgramNotStarted(
                f"there is no Python at {python}\n"
                f"  cause: runtime.options.virtualenv is {folder!r}, and no virtual environment is there\n"
                "  next:  make setup"
            )
        return cls(python, virtualenv)

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """`base` as it is in an activated virtual environment."""
        environment = dict(base)
        if self.virtualenv:
            environment["VIRTUAL_ENV"] = str(self.virtualenv)
            environment["PATH"] = f"{self.virtualenv / 'bin'}{os.pathsep}{base.get('PATH', os.defpath)}"
            environment.pop("PYTHONHOME", None)
        environment["PYTHONUNBUFFERED"] = "1"
        return environment


class Programs:
    """The processes that run now."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self.cancelled = threading.Event()

    def run(self, command: Sequence[str], folder: str | None, environment: Mapping[str, str]) -> int:
        """Run a program to its end, with the host's own stdout and stderr; its exit code (negative: a signal).

        Raises `ProgramNotStarted`.
        """
        process = self._start(command, folder, environment, None)
        try:
            return process.wait()
        finally:
            self._forget(process)

    def stream(
        self, command: Sequence[str], folder: str | None, environment: Mapping[str, str], stopped: threading.Event
    ) -> Iterator[tuple[str, bytes] | int]:
        """Run a program; yields ("stdout" or "stderr", bytes) as they come, and at last its exit code.

        `stopped` ends it early. Raises `ProgramNotStarted`.
        """
        process = self._start(command, folder, environment, subprocess.PIPE)
        pieces: queue.Queue[tuple[str, bytes] | None] = queue.Queue()

        def forward(name: str, stream: IO[bytes]) -> None:
            while piece := stream.read1(CHUNK_BYTES):  # pyright: ignore[reportAttributeAccessIssue]
                pieces.put((name, piece))
            pieces.put(None)

        def end_early() -> None:
            stopped.wait()
            self._end(process)

        assert process.stdout is not None and process.stderr is not None
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
            threading.Thread(target=forward, args=(name, stream), daemon=True).start()
        threading.Thread(target=end_early, daemon=True).start()
        try:
            open_streams = 2
            while open_streams:
                piece = pieces.get()
                if piece is None:
                    open_streams -= 1
                else:
                    yield piece
            yield process.wait()
        finally:
            stopped.set()
            self._end(process)
            self._forget(process)

    def end_all(self) -> None:
        """End every process, and refuse to start another one."""
        self.cancelled.set()
        with self._lock:
            running = list(self._running)
        enders = [threading.Thread(target=self._end, args=(process,)) for process in running]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()

    def _start(
        self, command: Sequence[str], folder: str | None, environment: Mapping[str, str], output: int | None
    ) -> subprocess.Popen[bytes]:
        with self._lock:
            if self.cancelled.is_set():
                raise ProgramNotStarted("the deployment was cancelled before the program started")
            try:
                process = subprocess.Popen(
                    command,
                    cwd=folder or None,
                    env=dict(environment),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    process_group=0,
                )
            except OSError as error:
                raise ProgramNotStarted(
                    f"{error.filename or command[0]} cannot be started: {error.strerror}\n  next:  make setup"
                ) from error
            self._running.add(process)
        return process

    def _forget(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running.discard(process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """SIGTERM to the whole group, then SIGKILL after the grace."""
        try:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(GRACE_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
