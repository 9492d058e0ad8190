"""`python -m local.azure`: the azure process. Nothing on stdout; exit 1 with one line when it cannot start."""

from __future__ import annotations

import asyncio
import logging
import sys

from local.azure.app import serve
from local.azure.control_plane.cloud import Cloud
from local.azure.executors import UnknownExecutor
from local.azure.platform.logs import log_to_stderr
from local.azure.platform.ports import NoPortLeft, PortInUse
from local.paths import Paths, UnsafeFolder


def main() -> int:
    """Serve until SIGTERM."""
    log_to_stderr()
    try:
        cloud = Cloud.open(Paths.default())
        asyncio.run(serve(cloud))
    except (PortInUse, NoPortLeft, UnsafeFolder, UnknownExecutor) as error:
        logging.getLogger("local.azure").error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
