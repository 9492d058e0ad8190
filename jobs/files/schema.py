"""docs/jobfile.schema.json, for editors: `python -m jobs.files.schema > docs/jobfile.schema.json`. A test compares.

The schema knows shapes; placeholders, secrets and everything that two keys have to agree on is checked by `validate`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from .model.job import JobFile


def schema() -> dict[str, Any]:
    """JSON schema 2020-12 of a job file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **JobFile.model_json_schema(by_alias=True),
        "title": "Job file of python -m jobs",
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2) + "\n")
