"""Which account, as whom: what wins over what, and what is said when something is missing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from jobs.errors import UsageError
from jobs.service.connection import ClientSecret, NotDeployed, SharedKey, connect
from jobs.service.storage import AzureBlobs
from tests.jobs.fakes import OUTPUTS

KEYS = {"AZURE_BATCH_ACCOUNT": "a", "AZURE_BATCH_ACCESS_KEY": "a2V5", "AZURE_BATCH_ENDPOINT": "http://127.0.0.1:1"}
CLOUD = {
    "authority": "https://127.0.0.1:2",
    "tenant_id": "t",
    "client_id": "c",
    "client_secret": "s",
    "ca": ".local/ca.pem",
}


@pytest.fixture
def outputs_file(tmp_path: Path) -> Path:
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(OUTPUTS))
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / ".local"
    folder.mkdir()
    (folder / "cloud.json").write_text(json.dumps(CLOUD))
    return folder


def test_the_three_variables_win_and_need_no_stack(outputs_file: Path) -> None:
    found = connect("dev", None, KEYS)
    assert found.credential == SharedKey(account="a", key="a2V5")
    assert found.batch_endpoint == "http://127.0.0.1:1"
    assert found.outputs is None
    assert connect(None, outputs_file, KEYS).outputs is not None


def test_two_of_the_three_variables_do_not_count(outputs_file: Path, home: Path) -> None:
    variables = {**KEYS, "LOCAL_AZURE_HOME": str(home)}
    del variables["AZURE_BATCH_ACCESS_KEY"]
    assert connect(None, outputs_file, variables).credential is None


def test_the_local_stack_takes_credential_and_ca_from_its_folder(outputs_file: Path, home: Path) -> None:
    found = connect("local", outputs_file, {"LOCAL_AZURE_HOME": str(home)})
    assert found.credential == ClientSecret(
        authority="https://127.0.0.1:2", tenant_id="t", client_id="c", client_secret="s"
    )
    assert found.ca == home / "ca.pem"
    assert "s" not in repr(found.credential).replace("client_secret", "").split("client_id='c'")[1]


def test_an_outputs_file_alone_uses_azure_identity(outputs_file: Path) -> None:
    found = connect(None, outputs_file, {})
    assert found.credential is None
    assert found.batch_endpoint == "https://account.westeurope.batch.azure.com"  # ARM's has no scheme


def test_blobs_are_read_with_the_roots_that_the_environment_names(
    outputs_file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As they are listed: a company's proxy that opens TLS has roots of its own."""
    roots = tmp_path / "roots.pem"
    roots.touch()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(roots))
    blobs = AzureBlobs(connect(None, outputs_file, {}))
    assert blobs._http.connection_pool_kw["ca_certs"] == str(roots)


def test_nothing_at_all_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--stack NAME or --outputs FILE"):
        connect(None, None, {"LOCAL_AZURE_HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("stack", "command"),
    [
        ("dev", "pulumi stack output --json --stack dev"),
        ("local", "-m local pulumi stack output --json --stack local"),
    ],
)
def test_outputs_come_from_the_tool_that_deployed(
    monkeypatch: pytest.MonkeyPatch, home: Path, stack: str, command: str
) -> None:
    asked: list[str] = []

    def run(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(" ".join(words))
        return subprocess.CompletedProcess(words, 0, json.dumps(OUTPUTS), "")

    monkeypatch.setattr(subprocess, "run", run)
    found = connect(stack, None, {"LOCAL_AZURE_HOME": str(home)})
    assert asked[0].endswith(command)
    assert found.outputs is not None
    assert found.outputs.pools == {"default": "default-1a2b"}


def test_a_stack_without_outputs_is_not_deployed_and_its_cloud_is_known(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, 0, "{}", ""))
    for stack, subscription in (("dev", "given"), ("local", "of cloud.json")):
        (home / "cloud.json").write_text(json.dumps(CLOUD | {"subscription_id": "of cloud.json"}))
        with pytest.raises(NotDeployed, match="the stack is not deployed") as error:
            connect(stack, None, {"LOCAL_AZURE_HOME": str(home), "ARM_SUBSCRIPTION_ID": "given"})
        assert (error.value.stack, error.value.cloud.subscription_id) == (stack, subscription)
        assert (error.value.cloud.ca is None) is (stack == "dev")


def test_what_the_tool_says_is_part_of_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        subprocess, "run", lambda words, **_: subprocess.CompletedProcess(words, 1, "", "no stack named 'dev'")
    )
    with pytest.raises(UsageError, match="no stack named 'dev'"):
        connect("dev", None, {})


def test_a_missing_tool_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match=r"(?s:there is no Pulumi CLI on PATH.*use --outputs FILE)"):
        connect("dev", None, {})


def test_outputs_of_another_project_name_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "outputs.json"
    path.write_text('{"pools": {}}')
    with pytest.raises(UsageError, match="no output batch_endpoint, blob_endpoint"):
        connect(None, path, {})


def test_a_token_is_never_sent_over_http(tmp_path: Path) -> None:
    path = tmp_path / "outputs.json"
    path.write_text(json.dumps(OUTPUTS | {"batch_endpoint": "http://127.0.0.1:1"}))
    with pytest.raises(UsageError, match="only sent over https"):
        connect(None, path, {})
