"""Runs the bootstrap's program under the SDK with the recording monitor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.infra.recording import ROOT, SUBSCRIPTION, Run, run_program

PROGRAM: Final[Path] = ROOT / "bootstrap" / "__main__.py"
PROJECT: Final = "azure-batch-bootstrap"
OF_PROD: Final = "bbbbbbbb-0000-4000-8000-000000000000"
CONFIG: Final[Mapping[str, Any]] = {
    "location": "westeurope",
    "prefix": "abp",
    "repository": "team/platform",
    "environments": {
        "dev": {"subscription_id": SUBSCRIPTION},
        "prod": {"subscription_id": OF_PROD, "image_from": "dev"},
    },
}


def bootstrap(**changes: Any) -> Run:
    """The program's run with this configuration."""
    return run_program("shared", config={**CONFIG, **changes}, program=PROGRAM, project=PROJECT)
