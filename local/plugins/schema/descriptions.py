"""The SDK's description of a resource type as plain data, cached in a file: a plugin then need not import the SDK.

Importing and reading the SDK's classes was more than half of what a plugin did in a preview. So what `sdk` describes is
kept per type, in the user's cache folder, under the package's version and a digest of the code that makes it: a new
version is read anew. Without a cache (no folder, no space, a file that is none) the SDK is read each time, with equal
results.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Final

from local.plugins.schema.types import PROVIDER_MODULE, PYTHON_PACKAGES, Description

_lock: Final = threading.Lock()


def description(token: str) -> Description | None:
    """What the installed SDK says of a type, None if it has no such type."""
    with _lock:
        return _description(token)


@functools.cache
def _description(token: str) -> Description | None:
    file = _file(token)
    if file is not None:
        with contextlib.suppress(OSError, ValueError, TypeError):
            return Description(**json.loads(file.read_bytes()))
    from local.plugins.schema import sdk

    described = sdk.describe(token)
    if described is not None and file is not None:
        with contextlib.suppress(OSError):
            _write(file, json.dumps(asdict(described), separators=(",", ":")))
    return described


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(descriptor, "w") as new:
        new.write(text)
    Path(name).replace(file)


def _file(token: str) -> Path | None:
    """Where a type's description is kept; None for what cannot be a type, or where there is no home."""
    package = token.removeprefix(PROVIDER_MODULE).split(":")[0]
    version = _version(package)
    home = os.environ.get("XDG_CACHE_HOME") or os.environ.get("HOME")
    if version is None or not home or not Path(home).is_absolute():
        return None
    cache = Path(home) if os.environ.get("XDG_CACHE_HOME") else Path(home) / ".cache"
    folder = cache / "azure-batch-platform" / "plugins" / f"{package}-{version}-{_code()}"
    return folder / (hashlib.sha256(token.encode()).hexdigest()[:32] + ".json")


@functools.cache
def _version(package: str) -> str | None:
    """The installed SDK's version, without importing the SDK."""
    spec = importlib.util.find_spec(PYTHON_PACKAGES[package]) if package in PYTHON_PACKAGES else None
    if spec is None or spec.origin is None:
        return None
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads((Path(spec.origin).parent / "pulumi-plugin.json").read_bytes())["version"])
    return None


@functools.cache
def _code() -> str:
    """A digest of the code that makes descriptions."""
    here = Path(__file__)
    code = b"".join(here.with_name(name).read_bytes() for name in ("descriptions.py", "types.py", "sdk.py"))
    return hashlib.sha256(code).hexdigest()[:16]
