"""Where the set-up puts things. The only module of the set-up that knows paths."""

from __future__ import annotations

import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent.parent
VENV = CHECKOUT / ".venv"
PYTHON = VENV / "bin" / "python"
REQUIREMENTS = CHECKOUT / "requirements-dev.txt"
AZURITE = CHECKOUT / "local" / "azure" / "blobs"
PULUMI_MODULE = CHECKOUT / "tools" / "pulumi"
UV_REQUIREMENTS = CHECKOUT / "tools" / "setup" / "requirements-uv.txt"
GO_REQUIREMENTS = CHECKOUT / "tools" / "setup" / "requirements-go.txt"


def home() -> Path:
    """The local Azure's folder of this checkout (`LOCAL_AZURE_HOME`, else `.local`)."""
    return Path(os.environ.get("LOCAL_AZURE_HOME") or CHECKOUT / ".local").absolute()


def cache() -> Path:
    """What all checkouts of a user share: the Pulumi CLI that was built, uv. May be deleted at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "azure-batch-platform"


def engine_home() -> Path:
    """State of a Docker engine that we start: it belongs to the machine's user, not to one checkout."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "azure-batch-platform" / "engine"


def unlink_shared(folder: Path) -> None:
    """Let go of a folder that is a link, before it is filled anew: what it points to belongs to another checkout."""
    if folder.is_symlink():
        folder.unlink()
