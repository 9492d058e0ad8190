"""Reading `.local/cloud.json`: what the running local Azure says of itself (design 3.2)."""

from __future__ import annotations

import json
from typing import Any

from local.azure.paths import Paths
from local.errors import LocalError
from local.supervisor import supervisor_pid


def read_cloud(paths: Paths) -> dict[str, Any]:
    """The file's content; `LocalError` if the local Azure does not run."""
    if supervisor_pid(paths) is None:
        raise LocalError("the local Azure does not run", next_step="python -m local start   (or: make up)")
    return json.loads(paths.cloud_json.read_text())
