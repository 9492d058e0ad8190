"""Property values: decoded, encoded, compared; and what the SDK's own cannot do, which is why ours exist."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf import struct_pb2
from pulumi.provider.experimental import provider as sdk_provider
from pulumi.provider.experimental.property_value import PropertyValue, PropertyValueType
from pulumi.provider.experimental.server import ProviderServicer
from pulumi.runtime import rpc
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc

from local.plugins.protocol.property_values import (
    UNKNOWN,
    UNKNOWN_MARKER,
    diff_values,
    from_struct,
    has_unknown,
    to_struct,
    top_level,
)


def struct(values: dict[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -7, 2**52, 1.5, 1e300, "", "text", [], [1, [UNKNOWN]], {}, {"a": {"b": [None]}}, UNKNOWN],
    ids=repr,
)
def test_a_value_comes_back_as_it_went(value: Any) -> None:
    back = from_struct(to_struct({"key": value}))["key"]
    assert back == value
    assert type(back) is type(value)


def test_marks_that_a_plugin_has_no_use_for_are_taken_off() -> None:
    secret = {rpc._special_sig_key: rpc._special_secret_sig, "value": {"a": "b"}}
    output = {rpc._special_sig_key: rpc._special_output_value_sig}
    assert from_struct(struct({"secret": secret, "known": output | {"value": 1}, "unknown": output})) == {
        "secret": {"a": "b"},
        "known": 1,
        "unknown": UNKNOWN,
    }


def test_what_is_no_property_value_is_refused_by_its_type() -> None:
    with pytest.raises(TypeError, match="not a property value: set"):
        to_struct({"key": {1}})


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ({"a": 1}, {"a": 1.0}, {}),
        ({"a": 1}, {"a": True}, {"a": "update"}),
        ({"a": 1}, {"a": UNKNOWN}, {"a": "update"}),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1]}}, {"a.b[1]": "delete"}),
        ({}, {"a.b": 1}, {'["a.b"]': "add"}),
        ({"a": {'x"y': 1}}, {"a": {'x"y': 2}}, {'a["x\\"y"]': "update"}),
        ({"a": [1]}, {"a": {"b": 1}}, {"a": "update"}),
    ],
)
def test_differences_are_named_by_path(old: Any, new: Any, changes: dict[str, str]) -> None:
    assert diff_values(old, new) == changes


@pytest.mark.parametrize(
    ("path", "first"), [("a", "a"), ("a.b", "a"), ("a[0].b", "a"), ('["x.y"].b', "x.y"), ('["a\\"b"][0]', 'a"b')]
)
def test_a_path_begins_with_a_property(path: str, first: str) -> None:
    assert top_level(path) == first


def test_an_unknown_is_found_however_deep_it_lies() -> None:
    assert has_unknown({"a": [{"b": UNKNOWN}]})
    assert not has_unknown({"a": [{"b": None}]})


def test_the_sdks_property_values_still_have_no_unknowns() -> None:
    """When this fails, a new version of the SDK may replace `property_values`."""
    assert PropertyValue.unmarshal(struct_pb2.Value(string_value=UNKNOWN_MARKER)).type is PropertyValueType.STRING
    with pytest.raises(ValueError, match="Unsupported value type"):
        PropertyValue.computed().marshal()


def test_the_sdks_provider_server_still_cannot_tell_of_a_half_made_resource() -> None:
    """When this fails, a new version of the SDK may replace `servicer`: an exception that carries details arrives."""

    class Failing(sdk_provider.Provider):
        async def create(self, request: Any) -> Any:
            error = grpc.RpcError("ARM began, then failed")
            error.trailing_metadata = lambda: (("grpc-status-details-bin", b"..."),)  # type: ignore[attr-defined]
            raise error

    Failing.__abstractmethods__ = frozenset()  # type: ignore[attr-defined]

    async def create() -> grpc.aio.AioRpcError:
        server = grpc.aio.server()
        servicer = ProviderServicer([], "1.0.0", Failing(), "127.0.0.1:1")
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await provider_pb2_grpc.ResourceProviderStub(channel).Create(pb.CreateRequest(urn="u"))
        await server.stop(0)
        return caught.value

    error = asyncio.run(create())
    assert error.code() == grpc.StatusCode.UNKNOWN
    assert "server.py" in (error.details() or ""), "the Python stack is still part of the message"
    assert not list(error.trailing_metadata() or ())
