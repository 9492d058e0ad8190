"""The federated token lies in a file of its owner, is renewed while the work lasts, and is gone after it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from ci import federation
from ci.program import PipelineError
from tests.ci import github_server
from tests.ci.github_server import TOKEN, FakeGitHub


@pytest.fixture
def fake() -> Iterator[FakeGitHub]:
    with github_server.running() as running:
        yield running


def name_of(token: str) -> str:
    """An identity token's own id; an error if it is half of one."""
    return jwt.decode(token, options={"verify_signature": False})["jti"]


def environment(fake: FakeGitHub, token: str = TOKEN) -> dict[str, str]:
    return {
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{fake.url}/token?api-version=2.0",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": token,
        "ARM_CLIENT_ID": "client",
        "ARM_TENANT_ID": "tenant",
    }


def test_programs_are_told_where_the_token_is_and_it_is_for_its_owner_only(fake: FakeGitHub, tmp_path: Path) -> None:
    with federation.identity(environment(fake), tmp_path) as variables:
        file = Path(variables["AZURE_FEDERATED_TOKEN_FILE"])
        text = file.read_text()
        assert name_of(text) == "assertion-1"
        assert file.stat().st_mode & 0o777 == 0o600
        assert variables["AZURE_CLIENT_ID"] == "client" and variables["ARM_USE_OIDC"] == "true"
        assert text not in str(variables)
    assert list(tmp_path.iterdir()) == []


def test_a_long_deployment_has_its_token_renewed_also_after_an_outage(
    fake: FakeGitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(federation, "RETRY_SECONDS", 0.01)
    with federation.identity(environment(fake), tmp_path, every=0.01) as variables:
        file = Path(variables["AZURE_FEDERATED_TOKEN_FILE"])
        seen = {name_of(file.read_text())}
        deadline = time.monotonic() + 20
        while len(seen) < 4:
            assert time.monotonic() < deadline
            seen.add(name_of(file.read_text()))
    assert fake.assertions >= 4


def test_outside_of_a_workflow_nothing_is_changed(tmp_path: Path) -> None:
    with federation.identity({"ARM_CLIENT_ID": "x"}, tmp_path) as variables:
        assert variables == {}


def test_a_job_without_the_permission_is_told_which(fake: FakeGitHub, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="id-token: write"), federation.identity(environment(fake, "no"), tmp_path):
        pass


def test_a_job_without_its_variables_is_told_which(fake: FakeGitHub, tmp_path: Path) -> None:
    told = {key: value for key, value in environment(fake).items() if key != "ARM_TENANT_ID"}
    with pytest.raises(PipelineError, match="ARM_TENANT_ID not set"), federation.identity(told, tmp_path):
        pass
