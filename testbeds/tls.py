"""TLS for servers that tests and benchmarks make on 127.0.0.1, each folder with an authority of its own."""

from __future__ import annotations

import ssl
from pathlib import Path

from local.azure.platform import certificates
from local.paths import Paths


def server_context(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A context for 127.0.0.1 and localhost, and the file of the authority that clients have to trust."""
    paths = Paths(folder)
    paths.ensure(sockets=False)
    return certificates.server_context(paths), paths.ca
