"""Make the database of the stack "local" and open it to the node identity, as docs/sql.md says for a real server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from local.azure.sql.errors import SqlError
from local.azure.sql.provision import provision as run_script
from local.errors import LocalError
from local.paths import CHECKOUT, Paths


def provision(paths: Paths, outputs: Mapping[str, Any]) -> None:
    """Generate the script from the stack's outputs with the program's own generator, and run it as administrator."""
    script = subprocess.run(
        [sys.executable, "-m", "infra.sql"],
        cwd=CHECKOUT,
        input=json.dumps(outputs),
        text=True,
        capture_output=True,
        check=False,
    )
    if script.returncode:
        raise LocalError(
            f"the database script was not made: {script.stderr.strip()}",
            next_step="python -m local pulumi stack output --json | python -m infra.sql",
        )
    try:
        run_script(paths, outputs["sql"]["database"], script.stdout)
    except SqlError as error:
        raise LocalError(
            f"the database {outputs['sql']['database']} was not opened to the node identity",
            cause=f"SQL error {error.shown_number}: {error}",
            next_step="python -m local pulumi stack output --json | python -m infra.sql   shows the script",
        ) from error
