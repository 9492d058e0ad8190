"""Runs azure-batch's own live tests, from its source package, against a local Azure of its own.

    pip download --no-deps --no-binary :all: azure-batch==15.1.0 && tar xf azure_batch-15.1.0.tar.gz
    .venv/bin/python -m tests.clients.azure_batch_live azure_batch-15.1.0/tests [arguments of pytest]

The tests are Microsoft's, unchanged; `stand_in/devtools_testutils` stands for their tools, which are not published.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from local.node.noop import NoopExecutor
from local.testing.azure import DATA_CONTRIBUTOR, LocalAzure

USAGE = 2
_ALLOCATION_SECONDS = 0.5  # a test stops a resize while it goes on
ROOT = Path(__file__).resolve().parents[2]
_STAND_IN = Path(__file__).with_name("stand_in")


def main() -> int:
    """Run and report: pytest's exit code."""
    if len(sys.argv) < 2 or not (Path(sys.argv[1]) / "test_batch.py").is_file():
        print(__doc__, file=sys.stderr)
        return USAGE
    folder = Path(sys.argv[1]).resolve()
    with (
        LocalAzure(executor=NoopExecutor(create_seconds=_ALLOCATION_SECONDS)) as azure,
        azure.account("usersub") as account,
    ):
        environment = {
            **os.environ, **azure.environment(), "PYTHONPATH": os.pathsep.join([str(_STAND_IN), str(folder)]),
            "BATCH_USERSUB_ACCOUNT_NAME": account.name, "BATCH_RESOURCE_GROUP": account.resource_group,
            "AZURE_TEST_RUN_LIVE": "true",
        }  # fmt: skip
        azure.assign(azure.cloud.subscription_scope, DATA_CONTRIBUTOR, azure.cloud.settings.deployer_object_id)
        command = [
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto", "-c", os.devnull,
            "--rootdir", str(folder), str(folder / "test_batch.py"), *sys.argv[2:],
        ]  # fmt: skip
        return subprocess.run(command, cwd=folder, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
