"""A private PostgreSQL: made in `state/sql/postgres` of the home, run as a child of the SQL server, on a Unix socket.

PostgreSQL refuses to run as root. So under root it runs as Debian's user `postgres`, in a mount namespace of its own
where its folder stands at /mnt: the folders above it (a home of mode 0700) need not be opened to that user.
Nobody else reaches the socket: its folder has mode 0700. kill -9 of the SQL server ends PostgreSQL too (the kernel
sends it SIGQUIT), and the next start recovers what was committed from the log, as after kill -9 of PostgreSQL itself.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

from local.azure.sql.stores.postgres.client import Client, Lost, Refused
from local.paths import Paths

_PROGRAMS: Final = ("/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/17/bin")
_SOCKET: Final = ".s.PGSQL.5432"
_USER: Final = "postgres"  # Debian's user, and the cluster's superuser
_MOUNT_POINT: Final = "/mnt"  # in the child's own mount namespace only
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.02
_SETTINGS: Final = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "deadlock_timeout": "200ms",  # 1 s by default: how long two sessions wait before one is the victim (1205)
    "log_min_messages": "panic",  # errors of clients are answered to them and not logged
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
}


class ClusterError(Exception):
    """PostgreSQL cannot be run here: fact, cause and next step."""


def socket_of(paths: Paths) -> Path:
    """Where the cluster of this home listens: a short path, because the kernel allows 108 bytes."""
    return paths.sockets / "sql" / _SOCKET


class Cluster:
    """`with Cluster(paths):` PostgreSQL runs until the block ends. Enter it on the main thread: it dies with it."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._folder = paths.state / "sql" / "postgres"
        self._process: subprocess.Popen[bytes] | None = None
        self._as_root = os.geteuid() == 0

    def __enter__(self) -> Cluster:
        binaries = programs()
        if not (self._folder / "data" / "PG_VERSION").exists():
            self._make(binaries)
        self._end_leftover()
        self._link()
        where = Path(_MOUNT_POINT) if self._as_root else self._paths.sockets
        data = where / "data" if self._as_root else self._folder / "data"
        sockets = where / "socket" if self._as_root else self._paths.sockets / "sql"
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [f"{binaries}/postgres", "-D", str(data), "-k", str(sockets), *settings]
        self._process = subprocess.Popen(self._within(command), stdin=subprocess.DEVNULL)
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGINT)  # "fast": sessions are ended, what was committed is on disk
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def running(self) -> bool:
        """Whether PostgreSQL lives."""
        return self._process is not None and self._process.poll() is None

    def _make(self, binaries: str) -> None:
        """initdb, into a folder that gets its name only when it is whole."""
        folder, new = self._folder, self._folder.with_name("postgres.new")
        shutil.rmtree(new, ignore_errors=True)
        for made in (new, new / "data", new / "socket"):
            made.mkdir(mode=0o700, parents=True)
            if self._as_root:
                user = _account()
                os.chown(made, user.pw_uid, user.pw_gid)
        data = f"{_MOUNT_POINT}/data" if self._as_root else str(new / "data")
        command = [f"{binaries}/initdb", "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-locale"]
        done = subprocess.run(
            self._within([*command, "--no-sync"], folder=new), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ClusterError(
                f"initdb ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-600:]}; "
                "PostgreSQL's folder could not be made (under root this needs the right to mount). "
                "Look at the message, mend that, then start again"
            )
        new.rename(folder)

    def _within(self, command: list[str], folder: Path | None = None) -> list[str]:
        """The command, run as a user that PostgreSQL accepts (not root), which ends when our process does."""
        if not self._as_root:
            return ["setpriv", "--pdeathsig", "QUIT", *command]
        user = _account()
        drop = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", "--no-new-privs"]
        script = 'mount --bind "$0" "$1" && cd "$1" && shift && exec "$@"'
        inside = ["sh", "-c", script, str(folder or self._folder), _MOUNT_POINT]
        return ["unshare", "--mount", *inside, *drop, "--pdeathsig", "QUIT", *command]

    def _link(self) -> None:
        link = self._paths.sockets / "sql"
        link.unlink(missing_ok=True)
        link.symlink_to((self._folder / "socket").resolve())

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                return Client(socket_of(self._paths), user=_USER, database="postgres").close()
            except (Lost, Refused) as error:
                if not self.running:
                    raise ClusterError(
                        f"PostgreSQL ended with {self._process.returncode} while it started; its folder is "
                        f"{self._folder}. Read the lines above, then start again"
                    ) from error
                if time.monotonic() > end:
                    raise ClusterError(
                        f"PostgreSQL did not answer within {START_SECONDS:.0f} s ({error}); "
                        "the machine is too loaded. Start again"
                    ) from error
            time.sleep(_LOOK_SECONDS)

    def _end_leftover(self) -> None:
        """End the PostgreSQL of a killed server, and forget a pid file whose process is another program by now."""
        file = self._folder / "data" / "postmaster.pid"
        end, stopping = time.monotonic() + STOP_SECONDS, False
        while True:
            pid = _postmaster(file)
            if pid is None:
                return file.unlink(missing_ok=True)
            if not stopping:
                os.kill(pid, signal.SIGQUIT)
                stopping = True
            if time.monotonic() > end:
                raise ClusterError(f"PostgreSQL, process {pid}, does not end. Kill it, then start again: kill -9 {pid}")
            time.sleep(_LOOK_SECONDS)


def _postmaster(file: Path) -> int | None:
    """The process of a pid file, if it works in the file's folder."""
    try:
        pid = int(file.read_text().split("\n", 1)[0])
        ours = os.path.samestat(Path(f"/proc/{pid}/cwd").stat(), file.parent.stat())
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return pid if ours else None


def programs() -> str:
    """The folder of PostgreSQL's programs."""
    for folder in _PROGRAMS:
        if Path(folder, "initdb").exists() and Path(folder, "postgres").exists():
            return folder
    raise ClusterError(
        f"PostgreSQL is not in {_PROGRAMS[0]}; the SQL server's databases are kept there. "
        "Install it: apt-get install postgresql   (make setup does)"
    )


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_USER)
    except KeyError:
        raise ClusterError(
            f"this machine has no user {_USER!r}, as whom PostgreSQL runs instead of root. "
            "Debian's package makes it: apt-get install postgresql"
        ) from None
