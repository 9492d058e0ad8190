"""The rows of docs/coming-from-the-portal.md: what can be taken over, and its id."""

from __future__ import annotations

import re

from infra.naming import Names
from tests.infra.recording import ROOT

ROWS = re.findall(
    r"^\| [^|]+ \| `(azure-native:\S+) (\S+)` \| `(\S+)` \|$",
    (ROOT / "docs" / "coming-from-the-portal.md").read_text(),
    re.MULTILINE,
)


def expected_id(row: tuple[str, str, str], names: Names) -> str:
    """The id of a row for the stack of these names, and the family hello."""
    group = f"/subscriptions/{names.subscription_id}/resourceGroups/{names.resource_group}"
    storage = f"{group}/providers/Microsoft.Storage/storageAccounts/{names.storage_account}"
    text = row[2].replace("STORAGE/", f"{storage}/").replace("GROUP/", f"{group}/").replace("FAMILY", "hello")
    text = text.replace("PREFIX-STACK", f"{names.prefix}-{names.stack}").replace("SUB/", f"{names.subscription_id}/")
    return re.sub("NAME$", names.registry, text)
