"""docs/threat-model.md says what is proved, and names the proofs."""

from __future__ import annotations

import re

from tests.infra.recording import ROOT
from tests.scenarios.secret_values import PLACES

TEXT = (ROOT / "docs" / "threat-model.md").read_text()


def test_the_table_of_places_for_secrets_is_that_of_the_scenarios() -> None:
    section = TEXT.partition("## Where secrets may be")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", section, re.MULTILINE)[1:]
    assert rows == [(place.name, ", ".join(sorted(place.secrets)), place.why) for place in PLACES]


def test_every_proof_that_is_named_is_there() -> None:
    proofs = set(re.findall(r"`(tests/[\w/]+\.py)`", TEXT))
    assert len(proofs) > 5
    assert [proof for proof in proofs if not (ROOT / proof).is_file()] == []
