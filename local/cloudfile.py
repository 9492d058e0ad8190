"""Reading `.local/cloud.json`: what the running local Azure says of itself (design 3.2)."""

from __future__ import annotations

import json
from typing import Any

from local.azure.paths import Paths
from local.errors import LocalError
from local.running import supervisor_pid


def read_cloud(paths: Paths) -> dict[str, Any]:
    """The file's content; `LocalError` if the local Azure does not run, or the file is not what it wrote."""
    if supervisor_pid(paths) is None:
        raise LocalError("the local Azure does not run", next_step="python -m local start   (or: make up)")
    try:
        return json.loads(paths.cloud_json.read_text())
    except (OSError, ValueError) as error:
        raise LocalError(
            f"{paths.cloud_json} cannot be read",
            cause=f"something else changed it ({error})",
            next_step="python -m local stop, then: python -m local start   (it is written again)",
        ) from None
