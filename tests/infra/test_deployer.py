"""Who deploys: one clear message when Azure does not say."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from infra.deployer import DeployerUnknown
from tests.infra import recording


class Refused(grpc.RpcError):
    """How the engine hands on what the provider answered."""

    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNKNOWN

    def details(self) -> str:
        return "AADSTS700082: the refresh token has expired"


def test_a_sign_in_that_fails_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(mocks: recording.CloudMocks, args: Any) -> Any:
        raise Refused

    monkeypatch.setattr(recording.CloudMocks, "call", refuse)
    run = recording.Run()
    with pytest.raises(DeployerUnknown) as refused:
        recording.run_program("dev", preview=True, run=run)
    text = str(refused.value)
    assert Refused().details() in text and "cause:" in text and "az login" in text
    assert run.resources == []  # nothing was registered
