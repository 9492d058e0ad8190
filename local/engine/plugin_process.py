"""One plugin as a process: found, started, watched, stopped. What is said to it is in `provider_client`.

Contract (facts/pulumi.md 2.3): the executable is `pulumi-resource-<name>`; its last argument is the engine's address;
the first line of its stdout is its port; later output is only shown if it dies. It has its own process group; stop is
Cancel (by the caller), SIGINT to the group, 5 s, SIGKILL.
"""

from __future__ import annotations

import collections
import contextlib
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Final

from local.engine.errors import PluginFailed

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 5.0


class PluginProcess:
    """A running plugin and its port. Whoever starts it stops it."""

    def __init__(self, package: str, folder: Path, engine: str, cwd: Path, environment: Mapping[str, str]) -> None:
        self.package = package
        executable = (folder / f"pulumi-resource-{package}").resolve()
        try:
            self._process = subprocess.Popen(
                [str(executable), engine],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                env=dict(environment),
                process_group=0,
            )
        except OSError as error:
            raise PluginFailed(
                f"plugin {package} cannot be started: {executable}: {error.strerror}. "
                "Check plugins.providers in the project file."
            ) from error
        self._output: collections.deque[str] = collections.deque(maxlen=200)
        assert self._process.stdout and self._process.stderr
        try:
            self.port = self._read_port(self._process.stdout)
        except BaseException:
            self.kill()
            raise
        self._readers = [
            threading.Thread(target=self._drain, args=(stream,), daemon=True, name=f"output of plugin {package}")
            for stream in (self._process.stdout, self._process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The process id, which is also its group's."""
        return self._process.pid

    def _read_port(self, stdout: IO[bytes]) -> int:
        line, deadline = b"", time.monotonic() + START_SECONDS
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise PluginFailed(f"plugin {self.package} printed no port within {START_SECONDS:.0f} s")
            byte = os.read(stdout.fileno(), 1)
            if not byte:
                break
            line += byte
        if line.strip().isdigit():
            return int(line)
        assert self._process.stderr
        self.kill()
        said = self._process.stderr.read().decode(errors="replace").strip()
        raise PluginFailed(
            f"plugin {self.package} did not start: expected a port, got {line.decode()!r}\n{said}".strip()
        )

    def _drain(self, stream: IO[bytes]) -> None:
        for line in stream:
            self._output.append(line.decode(errors="replace"))

    def obituary(self, wait: float = 1.0) -> str | None:
        """Why the process is gone, if it is; a connection breaks a moment before its process can be seen to be dead."""
        try:
            code = self._process.wait(wait)
        except subprocess.TimeoutExpired:
            return None
        for reader in self._readers:
            reader.join(0.5)
        said = "".join(self._output)[-2000:].strip()
        return f"plugin {self.package} exited with {code}" + (f": {said}" if said else "")

    def stop(self) -> None:
        """SIGINT to the group, a moment's grace, SIGKILL."""
        if self._process.poll() is None:
            self._signal(signal.SIGINT)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        self._close()

    def kill(self) -> None:
        """No grace."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _close(self) -> None:
        for reader in self._readers:
            reader.join(1)
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()
