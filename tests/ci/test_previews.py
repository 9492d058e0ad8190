"""The real stacks and the bootstrap, previewed by the real CLI with the policy pack.

They are what was accepted, for everybody alike.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ci import golden
from local.deployment import offline, project
from local.deployment.project import Stack

pytestmark = pytest.mark.thorough

PROVIDER_ID = "11111111-2222-3333-4444-555555555555"


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> tuple[Stack, dict[str, Any]]:
    """Stack prod and the digest of its preview."""
    stack = offline.prepare(tmp_path_factory.mktemp("prod"), "prod")
    return stack, offline.digest(stack)


def differs(stack: str, now: str) -> str:
    """The difference, with the command that accepts it: what a failing test shows."""
    changes = golden.difference(stack, golden.accepted(stack), now)
    return changes and f"{changes}\n\nIf it is meant: {golden.ACCEPT}"


def test_the_preview_of_prod_is_the_accepted_one_and_keeps_the_policies(prod: tuple[Stack, dict[str, Any]]) -> None:
    assert differs("prod", golden.render("prod", prod[1])) == ""


def test_the_preview_of_dev_is_the_same_for_another_user_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".pulumi").mkdir(parents=True)
    (home / ".pulumi" / "credentials.json").write_text('{"current": "https://nowhere.invalid"}')
    elsewhere = {
        # the CLI that the set-up built is this user's
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
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
        assert differs("dev", golden.preview("dev")) == ""
    finally:
        os.umask(umask)


def test_the_preview_of_the_bootstrap_is_the_accepted_one_and_keeps_the_policies() -> None:
    assert differs(golden.BOOTSTRAP, golden.preview(golden.BOOTSTRAP)) == ""


def deployed(digest: Mapping[str, Any]) -> dict[str, Any]:
    """The state that a stack would have after an `up` of this plan, as `pulumi stack import` takes it."""
    resources: list[dict[str, Any]] = []
    for step in digest["steps"]:
        state = {key: value for key, value in step["newState"].items() if key not in ("sourcePosition", "stackTrace")}
        if provider := state.get("provider"):
            urn = provider.rpartition("::")[0]
            state |= {"id": f"/made/{state['urn'].rpartition('::')[2]}", "provider": f"{urn}::{PROVIDER_ID}"}
            if urn not in {item["urn"] for item in resources}:
                kind = urn.split("::")[2]
                inputs = {"version": urn.rpartition("default_")[2].replace("_", ".")}
                resources.append({"urn": urn, "custom": True, "id": PROVIDER_ID, "type": kind, "inputs": inputs})
        resources.append(state)
    manifest = {"time": "2026-11-26T00:00:00Z", "magic": "", "version": ""}
    return {"version": 3, "deployment": {"manifest": manifest, "resources": resources}}


def test_a_mistyped_destroy_of_prod_removes_nothing(prod: tuple[Stack, dict[str, Any]]) -> None:
    stack, digest = prod
    project.ask(stack, "stack", "import", stdin=json.dumps(deployed(digest)))
    before = project.ask(stack, "stack", "export")
    done = project.capture(stack, "destroy", "--yes")
    assert done.returncode != 0
    assert "because it is protected" in done.stdout
    kept = json.loads(project.ask(stack, "stack", "export"))["deployment"]["resources"]
    assert len(kept) == len(json.loads(before)["deployment"]["resources"]) > len(digest["steps"])
