"""Where this checkout is, and where its local Azure keeps its files: one home folder, a short one for Unix sockets.

Owns names and modes of folders; not what is in them. The ground of `local/`: it imports nothing of ours.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
"""The repository's root: the working directory of every command that we start."""

LOCAL_STACK = "local"
"""The name of the stack that is deployed to the local Azure."""
HOME_VARIABLE = "LOCAL_AZURE_HOME"
PRIVATE_UMASK = 0o077
"""Of every process of ours, children included: what the local Azure writes is for its owner only."""


def jobs_command(checkout: Path = CHECKOUT) -> str:
    """How a person in a checkout calls the program for jobs: by the script of its virtual environment, unless that is
    missing, or linked and so another checkout's."""
    environment = checkout / ".venv"
    ours = (environment / "bin" / "batch-jobs").exists() and not environment.is_symlink()
    return ".venv/bin/batch-jobs" if ours else ".venv/bin/python -m jobs"


class UnsafeFolder(Exception):
    """The socket folder belongs to somebody else."""


@dataclass(frozen=True)
class Paths:
    """The files and folders of one local Azure. `home` is `.local/` of the checkout unless it is given."""

    home: Path

    @classmethod
    def default(cls) -> Paths:
        """The home of this checkout, or what LOCAL_AZURE_HOME says."""
        given = os.environ.get(HOME_VARIABLE)
        return cls(Path(given).resolve() if given else CHECKOUT / ".local")

    @property
    def cloud_json(self) -> Path:
        """What clients need: addresses, ids and the deployer's secret (written by `local/azure/cloudfile.py`)."""
        return self.home / "cloud.json"

    @property
    def ca(self) -> Path:
        """The certificate authority's certificate, which clients trust."""
        return self.home / "ca.pem"

    @property
    def run(self) -> Path:
        """Process ids and readiness marks."""
        return self.home / "run"

    @property
    def state(self) -> Path:
        """The store and the keys."""
        return self.home / "state"

    @property
    def log(self) -> Path:
        """One log a process."""
        return self.home / "log"

    @property
    def stack(self) -> Path:
        """The local stack's settings and snapshot."""
        return self.home / "stack"

    @property
    def database(self) -> Path:
        """The store's file."""
        return self.state / "azure.db"

    @property
    def id(self) -> str:
        """What tells this home from another on the same machine, in names and labels."""
        return hashlib.sha256(str(self.home.resolve()).encode()).hexdigest()[:8]

    @property
    def sockets(self) -> Path:
        """Unix sockets: a short path, because the kernel allows 108 bytes."""
        return Path(tempfile.gettempdir()) / f"local-azure-{self.id}"

    def ensure(self, *, sockets: bool = True) -> None:
        """Make the folders, readable by their owner only; that of the sockets is needed while services run."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.run, self.state, self.log, self.stack, *([self.sockets] if sockets else [])):
            folder.mkdir(mode=0o700, exist_ok=True)
            owner = folder.lstat().st_uid
            if folder.is_symlink() or owner != os.geteuid():
                raise UnsafeFolder(
                    f"{folder} belongs to user {owner} (we are {os.geteuid()}) or is a link; "
                    "keys and sockets must not be kept there. Remove it and start again."
                )
            folder.chmod(0o700)


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 at once: a reader sees the old content or the new, never a part."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
