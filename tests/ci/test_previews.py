"""The real stacks, previewed by the real CLI with the policy pack, are what was accepted: for everybody alike."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ci import golden


def differs(stack: str) -> str:
    """The difference, with the command that accepts it: what a failing test shows."""
    changes = golden.difference(stack, golden.accepted(stack), golden.preview(stack))
    return changes and f"{changes}\n\nIf it is meant: {golden.ACCEPT}"


def test_the_preview_of_prod_is_the_accepted_one_and_keeps_the_policies() -> None:
    assert differs("prod") == ""


def test_the_preview_of_dev_is_the_same_for_another_user_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".pulumi").mkdir(parents=True)
    (home / ".pulumi" / "credentials.json").write_text('{"current": "https://nowhere.invalid"}')
    elsewhere = {
        "HOME": str(home),
        "TZ": "Pacific/Auckland",
        "LC_ALL": "C",
        "PULUMI_BACKEND_URL": "https://nowhere.invalid",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "missing"),
        "ARM_SUBSCRIPTION_ID": "99999999-0000-4000-8000-000000000000",
        "ARM_LOCATION": "antarctica",
        "TMPDIR": str(tmp_path),
    }
    for name, value in elsewhere.items():
        monkeypatch.setenv(name, value)
    umask = os.umask(0o002)
    try:
        assert differs("dev") == ""
    finally:
        os.umask(umask)
