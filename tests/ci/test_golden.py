"""Golden previews: the text of a digest, the difference, and the command. Previews are made in test_previews.py."""

from __future__ import annotations

import copy
import random
from pathlib import Path
from typing import Any

import pytest

from ci import golden
from local.deployment import offline
from local.errors import LocalError
from tests.infra.recording import PASSWORDS, ROOT, stack_config

STACK = "urn:pulumi:dev::project::pulumi:pulumi:Stack::project-dev"
COMPONENT = "urn:pulumi:dev::project::platform:Pool::pool"
POOL = "urn:pulumi:dev::project::platform:Pool$azure-native:batch:Pool::pool"
ACCOUNT = "urn:pulumi:dev::project::azure-native:batch:BatchAccount::batch"


def step(urn: str, **state: Any) -> dict[str, Any]:
    kind = urn.split("::")[2].rsplit("$", 1)[-1]
    return {"op": "create", "urn": urn, "newState": {"urn": urn, "type": kind, **state}}


def digest() -> dict[str, Any]:
    return {
        "steps": [
            step(STACK),
            step(COMPONENT, parent=STACK),
            step(
                POOL,
                parent=COMPONENT,
                inputs={
                    "vmSize": "Standard_D4ads_v5",
                    "accountName": golden.UNKNOWN,
                    "identity": {"ids": [golden.UNKNOWN]},
                    "slots": 2.0,
                    "share": 0.5,
                    "userAccounts": "[secret]",
                    "startTask": {"commandLine": f"/bin/sh -c 'set -eu; echo \"a; b\"; {'true; ' * 20}exit 0'"},
                },
                propertyDependencies={"accountName": [ACCOUNT], "identity": [COMPONENT, ACCOUNT]},
            ),
            step(ACCOUNT, parent=STACK, protect=True, inputs={"text": "one\ntwo", "number": "2404"}),
            step("urn:pulumi:dev::project::pulumi:providers:azure-native::default_3_29_0", inputs={"version": "3"}),
            {"op": "delete", "urn": "urn:pulumi:dev::project::a:b:C::old", "oldState": {}},
        ],
        "duration": 12345,
        "diagnostics": [{"message": "warning: from /home/somebody"}],
    }


EXPECTED = """\
pulumi:pulumi:Stack project-dev

azure-native:batch:BatchAccount batch
  parent: pulumi:pulumi:Stack project-dev
  protect: true
  inputs:
    number: '2404'
    text: |-
      one
      two

platform:Pool pool
  parent: pulumi:pulumi:Stack project-dev

azure-native:batch:Pool pool
  parent: platform:Pool pool
  inputs:
    accountName: '[computed from batch]'
    identity:
      ids:
        - '[computed from batch, pool]'
    share: 0.5
    slots: 2
    startTask:
      commandLine: |-
        /bin/sh -c 'set -eu;
        echo "a; b";
        {true}
        exit 0'
    userAccounts: '[secret]'
    vmSize: Standard_D4ads_v5
""".replace("{true}", "\n        ".join(["true;"] * 20))


def test_a_digest_becomes_text_that_can_be_reviewed_line_by_line() -> None:
    header, _, body = golden.render("dev", digest()).partition("\n\n")
    assert header.startswith("# What `pulumi up -s dev` would make from nothing: 4 resources")
    assert all(line.startswith("#") for line in header.splitlines())
    assert body == EXPECTED


def test_the_order_of_steps_keys_and_dependencies_makes_no_difference() -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shuffled(value[key]) for key in random.sample(sorted(value), len(value))}
        return value

    for seed in range(20):
        random.seed(seed)
        other = copy.deepcopy(digest())
        random.shuffle(other["steps"])
        for one in other["steps"]:
            for urns in one.get("newState", {}).get("propertyDependencies", {}).values():
                random.shuffle(urns)
        other["steps"] = [shuffled(one) for one in other["steps"]]
        assert golden.render("dev", other) == golden.render("dev", digest())


def test_what_follows_from_the_workers_source_has_a_label() -> None:
    kind = "docker:index/image:Image"
    inputs = {"build": {"contextDigest": "1f", "args": {"REVISION": "2e", "VERSION": "1.0"}}}
    text = golden.render("dev", {"steps": [step(f"urn:pulumi:dev::project::{kind}::worker", inputs=inputs)]})
    assert "contextDigest: '[hash of the files in worker/]'" in text
    assert "REVISION: '[git tree of worker/docker_worker]'" in text
    assert "VERSION: '1.0'" in text


def test_a_difference_is_a_unified_diff_of_what_was_accepted_and_what_is() -> None:
    before = golden.render("dev", digest())
    after = before.replace("vmSize: Standard_D4ads_v5", "vmSize: Standard_D2ads_v5")
    lines = golden.difference("dev", before, after).splitlines()
    assert lines[:2] == ["--- ci/golden/dev.txt", "+++ preview of dev, now"]
    assert [line for line in lines[2:] if line[0] in "+-"] == [
        "-    vmSize: Standard_D4ads_v5",
        "+    vmSize: Standard_D2ads_v5",
    ]
    assert golden.difference("dev", before, before) == ""


@pytest.fixture
def one_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The command with one stack, whose preview is the digest above; its golden files lie in the folder returned."""
    monkeypatch.setattr(golden, "FOLDER", tmp_path / "golden")
    monkeypatch.setattr(golden, "names", lambda: ["dev"])
    monkeypatch.setattr(offline, "prepare", lambda _folder, _stack: None)
    monkeypatch.setattr(offline, "digest", lambda _stack: digest())
    return tmp_path / "golden"


def test_the_command_shows_a_difference_accepts_it_and_then_finds_none(
    one_stack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert golden.main([]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("--- ci/golden/dev.txt\n+++ preview of dev, now\n")
    assert err == "The preview of dev is not the accepted one. If it is meant: make golden\n"
    assert golden.main(["--accept"]) == 0
    assert (one_stack / "dev.txt").read_text() == golden.render("dev", digest())
    capsys.readouterr()
    assert golden.main(["dev"]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_preview_that_fails_is_told_in_its_own_words_and_changes_no_file(
    one_stack: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_stack: object) -> dict[str, Any]:
        raise LocalError("`pulumi preview` of stack dev failed")

    monkeypatch.setattr(offline, "digest", fail)
    assert golden.main(["--accept"]) == 2
    assert capsys.readouterr().err == "error: `pulumi preview` of stack dev failed\n"
    assert not one_stack.exists()


@pytest.mark.parametrize("stack", offline.stacks())
def test_golden_previews_hold_no_secret_and_no_path_of_a_machine(stack: str) -> None:
    text = golden.accepted(stack)
    assert text.count("\nazure-native:") > 10
    assert "[secret]" in text
    placeholders = (ROOT / "local" / "offline" / f"{stack}.yaml").read_text()
    passwords = [line.split(": ")[1] for line in placeholders.splitlines() if "Password: " in line]
    assert len(passwords) == (len(PASSWORDS) if "users" in stack_config(stack) else 0)
    assert not [word for word in (*passwords, str(ROOT), str(Path.home()), "/tmp") if word in text]
