"""Runs Airflow's Batch hook and operator against a local Azure of its own.

    .venv/bin/python -m tests.clients.airflow_batch --python ENV/bin/python

ENV is an environment with apache-airflow-providers-microsoft-azure (no dependency of ours). Without it: code 2.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from local.testing.azure import LocalAzure

MISSING = 2
_DRIVER = Path(__file__).with_name("airflow_driver.py")
_HAS = "import airflow.providers.microsoft.azure.hooks.batch"


def main() -> int:
    """Run and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.clients.airflow_batch", description=__doc__)
    parser.add_argument("--python", required=True, help="the Python of the environment that has Airflow")
    python = Path(parser.parse_args().python).absolute()
    with tempfile.TemporaryDirectory(prefix="airflow-") as home:
        environment = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "false"}
        if subprocess.run([python, "-c", _HAS], env=environment, check=False).returncode:
            print(f"{python} has no apache-airflow-providers-microsoft-azure.", file=sys.stderr)
            return MISSING
        with LocalAzure() as azure, azure.account() as account:
            environment |= azure.environment()
            environment["AIRFLOW_CONN_AZURE_BATCH_DEFAULT"] = json.dumps({
                "conn_type": "azure_batch", "login": account.name, "password": account.key,
                "extra": {"account_url": account.url},
            })  # fmt: skip
            return subprocess.run([python, _DRIVER], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
