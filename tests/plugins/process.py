"""A plugin as the engine sees it: an executable that prints a port, and gRPC."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc, status_pb2

from local.deployment.project import clean_environment
from local.plugins.protocol.property_values import from_struct, to_struct

PLUGINS = Path(__file__).resolve().parents[2] / "local" / "plugins"


class Plugin:
    """One running plugin; `stop` ends it as the engine does."""

    def __init__(self, name: str, cwd: Path, environment: dict[str, str], engine: str = "127.0.0.1:1") -> None:
        executable = PLUGINS / name / f"pulumi-resource-{name}"
        self.process = subprocess.Popen(
            [str(executable), "--logtostderr", engine],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=clean_environment() | {"PULUMI_STANDIN_PYTHON": sys.executable} | environment,
            process_group=0,
            text=True,
        )
        assert self.process.stdout
        line = self.process.stdout.readline().strip()
        assert line.isdigit(), f"{line!r} is no port: {self.process.communicate()}"
        self.channel = grpc.insecure_channel(f"127.0.0.1:{line}")
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)

    def configure(self, **settings: str) -> None:
        name = "x:config:"
        self.stub.Configure(
            pb.ConfigureRequest(variables={name + k: v for k, v in settings.items()}), wait_for_ready=True, timeout=30
        )

    def check(
        self, token: str, news: dict, olds: dict | None = None, seed: bytes = b"seed", name: str = "thing"
    ) -> tuple[dict[str, Any], list[str]]:
        answer = self.stub.Check(
            pb.CheckRequest(urn=urn(token, name), news=to_struct(news), olds=to_struct(olds or {}), randomSeed=seed)
        )
        return from_struct(answer.inputs), [failure.reason for failure in answer.failures]

    def diff(self, token: str, old: dict, new: dict) -> Any:
        return self.stub.Diff(pb.DiffRequest(urn=urn(token), old_inputs=to_struct(old), news=to_struct(new)))

    def create(self, token: str, inputs: dict, preview: bool = False, timeout: float = 0) -> tuple[str, dict[str, Any]]:
        answer = self.stub.Create(
            pb.CreateRequest(urn=urn(token), properties=to_struct(inputs), preview=preview, timeout=timeout)
        )
        return answer.id, from_struct(answer.properties)

    def update(self, token: str, id_: str, olds: dict, inputs: dict, preview: bool = False) -> dict[str, Any]:
        answer = self.stub.Update(
            pb.UpdateRequest(id=id_, urn=urn(token), olds=to_struct(olds), news=to_struct(inputs), preview=preview)
        )
        return from_struct(answer.properties)

    def read(self, token: str, id_: str, state: dict, inputs: dict | None) -> tuple[str, dict, dict]:
        request = pb.ReadRequest(id=id_, urn=urn(token), properties=to_struct(state))
        if inputs is not None:
            request.inputs.CopyFrom(to_struct(inputs))
        answer = self.stub.Read(request)
        return answer.id, from_struct(answer.properties), from_struct(answer.inputs)

    def delete(self, token: str, id_: str) -> None:
        self.stub.Delete(pb.DeleteRequest(id=id_, urn=urn(token)))

    def invoke(self, token: str, args: dict) -> dict[str, Any]:
        return from_struct(getattr(self.stub.Invoke(pb.InvokeRequest(tok=token, args=to_struct(args))), "return"))

    def stop(self) -> int:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        code = self.process.wait(10)
        self.channel.close()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream
            stream.close()
        return code


def refusal(call: Callable[[], object]) -> grpc.RpcError:
    """The error that a call ends with."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


def message_of(error: grpc.RpcError) -> str:
    """The error's message for people."""
    return error.details() or ""


def urn(token: str, name: str = "thing") -> str:
    return f"urn:pulumi:stack::project::{token}::{name}"


def init_failed(error: grpc.RpcError) -> pb.ErrorResourceInitFailed:
    """The record of a half-made resource in a gRPC error."""
    for key, value in error.trailing_metadata() or ():  # type: ignore[attr-defined]
        if key == "grpc-status-details-bin":
            detail = pb.ErrorResourceInitFailed()
            assert status_pb2.Status.FromString(value).details[0].Unpack(detail)
            return detail
    raise AssertionError(f"no half-made resource in {error}")
