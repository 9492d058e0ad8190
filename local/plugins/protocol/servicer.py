"""Pulumi's ResourceProvider service on top of a `Provider`: decoding, encoding, and the map from errors to statuses.

RPCs that the engine tolerates as UNIMPLEMENTED are left to the generated base class: Handshake (azure-native and docker
have none), Call, Construct, List, Parameterize, GetSchema.

It is not built on `pulumi.provider.experimental`, the SDK's own server for providers. As of pulumi 3.272.0 (each point
tried by running it) that server
- cannot tell the engine of a half-made resource: every exception becomes status UNKNOWN without details, so the engine
  would forget what a cloud has begun to make;
- puts the Python stack into the message that people read;
- gives `diff` no old inputs, and `check` neither the engine's proposed name nor its mode of naming;
- cannot tell a `read` for an import from one for a refresh, and its answer to a refresh wipes the inputs;
- sends `changes=True` of `diff_config` as DIFF_NONE, cannot announce support for automatic naming, and has no Attach;
- runs on one event loop, which a build or a poll would block.
What would be left of it after overriding these is less than this module (`tests/plugins/test_property_values.py`
fails when a new version can do more). Its property values: see `property_values`.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc, status_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from local.plugins.protocol.errors import Cancelled, InitFailed, PluginError
from local.plugins.protocol.property_values import from_struct, to_struct, top_level
from local.plugins.protocol.provider import Difference, Naming, Provider, Target

Answer = TypeVar("Answer")


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Stateless but for the provider it serves."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    # -- the plugin ----------------------------------------------------------------------------------------------

    def Attach(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._provider.log.connect(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=self._provider.version)

    def Cancel(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Sent at the end of every run as well: it must neither fail nor end the process."""
        self._provider.cancelled.set()
        return empty_pb2.Empty()

    def CheckConfig(self, request: Any, context: grpc.ServicerContext) -> pb.CheckResponse:
        def work() -> pb.CheckResponse:
            failures = self._provider.check_config(from_struct(request.news))
            return pb.CheckResponse(inputs=request.news, failures=[pb.CheckFailure(**f._asdict()) for f in failures])

        return self._guarded(context, work)

    def DiffConfig(self, request: Any, context: grpc.ServicerContext) -> pb.DiffResponse:
        return pb.DiffResponse()  # empty: the engine compares by itself, as with the real azure-native

    def Configure(self, request: Any, context: grpc.ServicerContext) -> pb.ConfigureResponse:
        def work() -> pb.ConfigureResponse:
            self._provider.configure({key.rsplit(":", 1)[-1]: value for key, value in request.variables.items()})
            return pb.ConfigureResponse(supportsPreview=True, supports_autonaming_configuration=True)

        return self._guarded(context, work)

    # -- resources -----------------------------------------------------------------------------------------------

    def Check(self, request: Any, context: grpc.ServicerContext) -> pb.CheckResponse:
        def work() -> pb.CheckResponse:
            inputs, failures = self._provider.check(
                Target.of(request), from_struct(request.olds), from_struct(request.news), _naming(request)
            )
            return pb.CheckResponse(
                inputs=to_struct(inputs), failures=[pb.CheckFailure(**f._asdict()) for f in failures]
            )

        return self._guarded(context, work)

    def Diff(self, request: Any, context: grpc.ServicerContext) -> pb.DiffResponse:
        def work() -> pb.DiffResponse:
            return _encode_diff(
                self._provider.diff(Target.of(request), from_struct(request.old_inputs), from_struct(request.news))
            )

        return self._guarded(context, work)

    def Create(self, request: Any, context: grpc.ServicerContext) -> pb.CreateResponse:
        def work() -> pb.CreateResponse:
            resource_id, outputs = self._provider.create(
                Target.of(request), from_struct(request.properties), preview=request.preview, timeout=request.timeout
            )
            return pb.CreateResponse(id=resource_id, properties=to_struct(outputs))

        return self._guarded(context, work, from_struct(request.properties))

    def Update(self, request: Any, context: grpc.ServicerContext) -> pb.UpdateResponse:
        def work() -> pb.UpdateResponse:
            outputs = self._provider.update(
                Target.of(request),
                request.id,
                from_struct(request.olds),
                from_struct(request.news),
                preview=request.preview,
                timeout=request.timeout,
            )
            return pb.UpdateResponse(properties=to_struct(outputs))

        return self._guarded(context, work, from_struct(request.news))

    def Read(self, request: Any, context: grpc.ServicerContext) -> pb.ReadResponse:
        def work() -> pb.ReadResponse:
            inputs = from_struct(request.inputs) if request.HasField("inputs") and request.inputs.fields else None
            resource = self._provider.read(Target.of(request), request.id, from_struct(request.properties), inputs)
            if resource is None:
                return pb.ReadResponse()
            return pb.ReadResponse(
                id=resource.id, properties=to_struct(resource.outputs), inputs=to_struct(resource.inputs)
            )

        return self._guarded(context, work)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        def work() -> empty_pb2.Empty:
            self._provider.delete(
                Target.of(request), request.id, from_struct(request.properties), timeout=request.timeout
            )
            return empty_pb2.Empty()

        return self._guarded(context, work)

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> pb.InvokeResponse:
        def work() -> pb.InvokeResponse:
            result = self._provider.invoke(request.tok, from_struct(request.args))
            answer = pb.InvokeResponse()
            getattr(answer, "return").CopyFrom(to_struct(result))  # `return` is a keyword in Python
            return answer

        return self._guarded(context, work)

    # -- errors --------------------------------------------------------------------------------------------------

    def _guarded(
        self, context: grpc.ServicerContext, work: Callable[[], Answer], inputs: dict[str, Any] | None = None
    ) -> Answer:
        """Run `work`; no exception reaches the wire as anything but a status with a sentence."""
        try:
            return work()
        except InitFailed as error:
            _abort_with_resource(context, error, inputs or {})
        except PluginError as error:
            context.abort(error.code, str(error))
        except Exception as error:
            if self._provider.cancelled.is_set():
                context.abort(Cancelled.code, f"cancelled ({type(error).__name__})")
            traceback.print_exc(file=sys.stderr)
            context.abort(
                grpc.StatusCode.INTERNAL,
                f"a bug in the plugin: {type(error).__name__}: {error}; the stack trace is in the plugin's log",
            )


def _abort_with_resource(context: grpc.ServicerContext, error: InitFailed, inputs: dict[str, Any]) -> NoReturn:
    detail = any_pb2.Any()
    detail.Pack(
        pb.ErrorResourceInitFailed(
            id=error.resource_id, properties=to_struct(error.outputs), reasons=error.reasons, inputs=to_struct(inputs)
        )
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(error), details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(error))


def _naming(request: Any) -> Naming:
    modes = pb.CheckRequest.AutonamingOptions.Mode
    if not request.HasField("autonaming"):
        return Naming(request.randomSeed)
    options = request.autonaming
    return Naming(request.randomSeed, options.proposed_name or None, options.mode == modes.Value("DISABLE"))


def _encode_diff(difference: Difference) -> pb.DiffResponse:
    detailed = {}
    for path, kind in difference.changes.items():
        suffix = "_REPLACE" if top_level(path) in difference.replaces else ""
        detailed[path] = pb.PropertyDiff(kind=pb.PropertyDiff.Kind.Value(kind.upper() + suffix), inputDiff=True)
    return pb.DiffResponse(
        changes=pb.DiffResponse.DIFF_SOME if difference.changes else pb.DiffResponse.DIFF_NONE,
        diffs=sorted({top_level(path) for path in difference.changes}),
        replaces=sorted(difference.replaces),
        detailedDiff=detailed,
        hasDetailedDiff=True,
        deleteBeforeReplace=difference.delete_first,
    )
