"""Promotion: the copy by digest, the one line of the stack file, and what cannot be promoted."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from ci import promote
from tests.infra.recording import ROOT

OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "ab" * 32
SOURCE = f"abpdev.azurecr.io/docker-worker@{NEW}"
FILE = f"config:\n  p:worker:\n    image: docker-worker@{OLD}   # by ci.promote\n  p:sql: {{server: s}}\n"


def test_the_image_is_copied_by_digest_and_named_in_one_line() -> None:
    promotion = promote.plan(SOURCE, "abpprod.azurecr.io", FILE)
    assert promotion.copy == (
        "az",
        "acr",
        "import",
        "--name",
        "abpprod.azurecr.io",
        "--source",
        SOURCE,
        "--image",
        f"docker-worker:sha256-{'ab' * 6}",
        "--force",
    )
    assert promotion.text == FILE.replace(OLD, NEW)


def test_a_shared_registry_needs_no_copy() -> None:
    assert promote.plan(SOURCE, "ABPDEV.azurecr.io", FILE).copy is None


def test_a_name_with_a_server_keeps_one() -> None:
    file = FILE.replace("docker-worker@", "old.azurecr.io/docker-worker@")
    assert f"image: abpprod.azurecr.io/docker-worker@{NEW}   #" in promote.plan(SOURCE, "abpprod.azurecr.io", file).text


def test_without_a_registry_only_the_digest_changes() -> None:
    file = FILE.replace("docker-worker@", "own.azurecr.io/team/worker@")
    promotion = promote.plan(SOURCE, None, file)
    assert promotion.copy is None and promotion.text == file.replace(OLD, NEW)


@pytest.mark.parametrize(
    ("source", "text", "words"),
    [
        ("abpdev.azurecr.io/docker-worker:dev", FILE, "no image by digest"),
        ("", FILE, "no image by digest"),
        (SOURCE, "config:\n  p:worker:\n    base_image: python:3\n", "has 0 lines"),
        (SOURCE, FILE * 2, "has 2 lines"),
    ],
)
def test_what_cannot_be_promoted_is_refused(source: str, text: str, words: str) -> None:
    with pytest.raises(promote.PromotionError, match=words):
        promote.plan(source, "abpprod.azurecr.io", text)


def test_the_stack_file_of_prod_can_be_promoted_to() -> None:
    text = promote.plan(SOURCE, "abpprod.azurecr.io", (ROOT / "Pulumi.prod.yaml").read_text()).text
    assert yaml.safe_load(text)["config"]["azure-batch-platform:worker"] == {"image": f"docker-worker@{NEW}"}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    (tmp_path / "Pulumi.prod.yaml").write_text(FILE)
    made: list[str] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        made.append(" ".join(command[:3]))
        out = SOURCE if "worker_image" in command else "abpprod.azurecr.io"
        return subprocess.CompletedProcess(command, 0, out, "")

    monkeypatch.setattr(promote, "ROOT", tmp_path)
    monkeypatch.setattr(promote.subprocess, "run", run)
    return made


def test_the_command_copies_then_writes(calls: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert promote.main(["--from", "dev", "--to", "prod"]) == 0
    assert calls == ["pulumi stack output", "pulumi stack output", "az acr import"]
    assert (tmp_path / "Pulumi.prod.yaml").read_text() == FILE.replace(OLD, NEW)
    assert capsys.readouterr().out == f"Pulumi.prod.yaml: names {NEW}\n"
    assert promote.main(["--from", "dev", "--to", "prod"]) == 0
    assert "already" in capsys.readouterr().out


def test_a_dry_run_touches_nothing(calls: list[str], tmp_path: Path) -> None:
    assert promote.main(["--from", "dev", "--to", "prod", "--dry-run", "--registry", "x.azurecr.io"]) == 0
    assert calls == ["pulumi stack output"]
    assert (tmp_path / "Pulumi.prod.yaml").read_text() == FILE


def test_before_the_first_up_only_the_digest_is_named(calls: list[str], tmp_path: Path) -> None:
    assert promote.main(["--from", "dev", "--to", "prod", "--name-only"]) == 0
    assert calls == ["pulumi stack output"]
    assert (tmp_path / "Pulumi.prod.yaml").read_text() == FILE.replace(OLD, NEW)


def test_a_failed_copy_leaves_the_file(monkeypatch: pytest.MonkeyPatch, calls: list[str], tmp_path: Path) -> None:
    real = promote.subprocess.run

    def failing(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        if command[0] == "az":
            return subprocess.CompletedProcess(command, 1, "", "")
        return real(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(promote.subprocess, "run", failing)
    assert promote.main(["--from", "dev", "--to", "prod"]) == 1
    assert (tmp_path / "Pulumi.prod.yaml").read_text() == FILE


def test_a_stack_that_does_not_exist_is_told(calls: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert promote.main(["--from", "dev", "--to", "nowhere"]) == 2
    assert "Pulumi.nowhere.yaml" in capsys.readouterr().err
