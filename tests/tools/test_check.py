"""The static checks: every file is looked at, and each check finds its planted defect, which no other one finds."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools import audit, check, licences, pins
from tools.check import CHECKS, ROOT, Check, Result, tracked

pytestmark = pytest.mark.thorough

WORKFLOW = """\
name: planted
on: push
permissions: {{}}
concurrency: {{group: planted, cancel-in-progress: false}}
jobs:
  one:
    name: one
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions: {{}}
    steps:
      - run: {run}
"""
PLANTED = {
    "pyright": ("tools/typed.py", '"""Planted."""\n\nNUMBER: int = "text"\n'),
    "ruff": (
        "tools/dangerous.py",
        '"""Planted."""\n\nimport subprocess\n\nsubprocess.run("id", shell=True)  # noqa: PLW1510\n',
    ),
    "ruff format": ("tools/form.py", '"""Planted."""\n\nNUMBER   =   1\n'),
    "hadolint": ("worker/Dockerfile", "ARG BASE\nFROM ${BASE}\nRUN sudo id\nUSER 1000\n"),
    "shellcheck": ("tools/planted.sh", "#!/bin/sh\ncd /nowhere\nrm -rf ./*\n"),
    "zizmor": (".github/workflows/pasted.yml", WORKFLOW.format(run="echo ${{ github.ref_name }}")),
    "actionlint": (
        ".github/workflows/wrong.yml",
        WORKFLOW.format(run="echo hello").replace("-minutes: 5", "-minute: 5"),
    ),
    "pins": ("requirements.txt", "pyyaml==6.0.3\n"),
    "licences": ("requirements-dev.txt", "planted-package==1.0 --hash=sha256:" + "0" * 64 + "\n"),
}
"""Check -> a file, and a defect in it."""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """One tree with all defects, and what each check says of it."""
    root = tmp_path_factory.mktemp("planted")
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    for file, text in PLANTED.values():
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(text)
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / ".venv").symlink_to(ROOT / ".venv")
    (root / ".gitignore").write_text(".venv\n")
    installed = root / "packages" / "planted_package-1.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text(
        "Metadata-Version: 2.4\nName: planted-package\nVersion: 1.0\nLicense-Expression: AGPL-3.0-only\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(installed.parent))
        return {one.name: check.run(one, root) for one in CHECKS}


def test_every_check_has_a_planted_defect() -> None:
    assert set(PLANTED) == {one.name for one in CHECKS}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_defect_is_found_by_its_check_and_by_no_other(name: str, planted: dict[str, Result]) -> None:
    file = PLANTED[name][0]
    mark = "planted-package" if name == "licences" else Path(file).name
    assert planted[name].code != 0, planted[name].text
    assert mark in planted[name].text
    assert [other for other, result in planted.items() if other != name and mark in result.text] == []


def test_every_dockerfile_of_the_tree_is_checked() -> None:
    there = {
        str(path.relative_to(ROOT))
        for path in ROOT.rglob("*")
        if "ockerfile" in path.name and path.is_file() and not {"node_modules", ".venv", ".build"} & set(path.parts)
    }
    (hadolint,) = [one for one in CHECKS if one.name == "hadolint"]
    assert set(tracked(ROOT, hadolint.files)) == there
    assert {"worker/Dockerfile", "local/node/image_files/node.Dockerfile"} <= there


def test_every_shell_script_and_workflow_of_the_tree_is_checked() -> None:
    files = {one.name: set(tracked(ROOT, one.files)) for one in CHECKS}
    scripts = {
        name
        for name in tracked(ROOT, ["*"])
        if name.endswith(".sh") or re.match(rb"#!.*\b(ba)?sh\b", (ROOT / name).read_bytes()[:80])
    }
    assert files["shellcheck"] == {name for name in scripts if "node_modules" not in name}
    written = {str(path.relative_to(ROOT)) for path in (ROOT / ".github").rglob("*.yml") if path.name != "zizmor.yml"}
    assert files["zizmor"] == files["actionlint"] == written


def test_a_check_without_files_or_without_its_program_fails(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    assert "nothing was checked" in check.run(Check("x", "", ("hadolint",), ("*Dockerfile",)), tmp_path).text
    assert check.run(Check("x", "", ("no-such-program",)), tmp_path).code == 1


def test_one_failing_check_fails_them_all_and_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(one: Check) -> Result:
        return Result(one, int(one.name == "zizmor"), "the finding\n", 0.1)

    monkeypatch.setattr(check, "run", run)
    assert check.main() == 1
    shown = capsys.readouterr()
    assert shown.out == "the finding\n" and "zizmor found something" in shown.err


def test_the_table_in_the_documents_is_that_of_the_checks() -> None:
    rows = dict(re.findall(r"^\| ([a-z ]+) \| (.+) \|$", (ROOT / "docs" / "ci.md").read_text(), re.MULTILINE))
    assert {name: rows.get(name) for name in PLANTED} == {one.name: one.finds for one in CHECKS}


# -- pins --------------------------------------------------------------------------------------------------------------

HASH = "--hash=sha256:" + "a" * 64
UNPINNED = {
    "no version": f"pyyaml {HASH}\n",
    "a range": f"pyyaml>=6 {HASH}\n",
    "two versions": f"pyyaml==6.*,!=6.1 {HASH}\n",
    "no hash": "pyyaml==6.0.3\n",
    "an address": "pyyaml @ https://example.invalid/pyyaml.whl\n",
    "one of two": f"pyyaml==6.0.3 \\\n    {HASH}\npydantic==2.0\n",
}


@pytest.mark.parametrize("text", UNPINNED.values(), ids=UNPINNED)
def test_an_unpinned_package_is_found(text: str) -> None:
    assert len(list(pins.requirements(text))) == 1


def test_a_compiled_lock_is_pinned() -> None:
    text = f'# comment\npyyaml==6.0.3 ; python_version < "3.14" \\\n    {HASH} \\\n    {HASH}\n    # via x\n'
    text += f"requests[security]==2.0 {HASH}\n"
    assert list(pins.requirements(text)) == []


BY_NAME = (
    "      - uses: actions/checkout@v5\n",
    "      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8\n",
    "      - uses: actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8  # v4.0.0\n",
    "      - uses: actions/checkout@18c6903cd8c0fde910a37f88322edcfb5dd907a8  # v5.0.0\n",
    "    uses: somebody/else@08c6903cd8c0fde910a37f88322edcfb5dd907a8  # v5.0.0\n",
    "      image: python:3.12\n",
)


@pytest.mark.parametrize("text", BY_NAME)
def test_an_action_or_image_that_is_not_in_the_table_is_found(text: str) -> None:
    assert len(list(pins.workflow(text))) == 1


def test_a_base_image_by_tag_is_found_and_stages_and_arguments_are_none() -> None:
    digest = f"x@sha256:{'a' * 64}"
    good = f"ARG BASE\nFROM ${{BASE}} AS one\nFROM --platform=linux/amd64 {digest} AS two\nFROM one\nFROM scratch\n"
    assert list(pins.dockerfile(good)) == []
    assert len(list(pins.dockerfile("FROM python:3.12\n"))) == 1


# -- licences ----------------------------------------------------------------------------------------------------------

SAID = {
    ("MIT",): True,
    ("MIT License",): True,
    ("Apache-2.0",): True,
    ("BSD-3-Clause", "MIT"): True,
    ("GNU General Public License v3 (GPLv3)",): False,
    ("AGPL-3.0-only",): False,
    ("MIT", "GPL-2.0-or-later"): False,
    ("",): False,
    (): False,
    ("Proprietary",): False,
}


@pytest.mark.parametrize("said", SAID, ids=str)
def test_licences_that_bind_or_are_not_said_are_refused(said: tuple[str, ...]) -> None:
    assert licences.allowed("package", list(said)) is SAID[said]


# -- audit -------------------------------------------------------------------------------------------------------------

FINE = {"name": "pyyaml", "version": "6.0.3", "vulns": []}
REPORTS: dict[str, tuple[dict[str, Any], str]] = {
    "nothing was audited": ({"dependencies": []}, "no package was audited"),
    "all were skipped": (
        {"dependencies": [{"name": "pyyaml", "skip_reason": "not found on PyPI"}]},
        "not found on PyPI",
    ),
    "one was skipped": ({"dependencies": [FINE, {"name": "x", "skip_reason": "unknown"}]}, "x was not audited"),
    "a vulnerability": (
        {"dependencies": [{**FINE, "vulns": [{"id": "CVE-1", "fix_versions": ["6.1"]}]}]},
        "pyyaml 6.0.3 has CVE-1; fixed in 6.1",
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_an_audit_that_found_something_or_audited_nothing_fails(name: str) -> None:
    report, told = REPORTS[name]
    assert told in "\n".join(audit.problems("requirements.txt", report))


def test_an_audit_of_everything_without_a_finding_is_fine() -> None:
    assert list(audit.problems("requirements.txt", {"dependencies": [FINE]})) == []


@pytest.mark.parametrize(
    ("code", "out"), [(1, ""), (0, "No known vulnerabilities found"), (1, json.dumps({"dependencies": [FINE]}))]
)
def test_an_audit_that_failed_is_no_success(code: int, out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess([], code, out, "could not connect")
    monkeypatch.setattr(audit.subprocess, "run", lambda *args, **more: done)
    assert audit.main([]) == 1
