"""The comment of a rehearsed pull request, kept beside its picture: docs/pictures/plan-comment.md.

The rehearsal writes it (UPDATE_GOLDEN=1 pytest tests/scenarios/deployed/test_pipelines.py), `make pictures` makes the
picture of it. Ids that every local Azure makes up are replaced, so that it changes only when what it says does.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).resolve().parents[2] / "docs/pictures/plan-comment.md"
MUST_SHOW: Final = (
    "Refused by a policy",
    "`pool-on-supported-nodes`",
    "Data would be lost",
    "`storage:BlobContainer`",
    "**new generation** `default-",
    "of pool `default`",
    "is **deleted**",
    "Who may do what",
    "**gives** `Azure Batch Job Submitter`",
    "**takes away** `Azure Batch Data Contributor`",
    "Standard_NC6s_v3",
    "Stack `prod`: nothing changes",
)
"""What a reviewer must see of the change that the rehearsal makes."""
_MADE_UP: Final = (
    (re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "{0}1111111-2222-3333-4444-555555555555"),
    (re.compile(r"(?<=default-)[0-9a-f]{12}"), "{0}7c41d0e95a{0}"),
    (re.compile(r"(?<=abpdev|bpprod)[0-9a-f]{8}"), "3f0c71a{0}"),
)


def accept_if_asked(body: str) -> None:
    """Write the file, with ids by the order in which they come."""
    if not os.environ.get("UPDATE_GOLDEN"):
        return
    for pattern, form in _MADE_UP:
        order = list(dict.fromkeys(pattern.findall(body)))
        body = pattern.sub(
            lambda found, order=order, form=form: form.format("abcdef0123456789"[order.index(found[0])]), body
        )
    FILE.write_text(body.partition("\n")[2])  # without the marker
