"""The two gRPC services a Pulumi program talks to: ResourceMonitor and Engine.

Thin: decodes requests, hands them on, encodes the answers. What this engine does not do is refused by name; nothing is
ignored in silence. Features are advertised in GetDeploymentInfo, so the SDK itself refuses transforms, hooks and
`replace_with` (facts/pulumi.md section 0, point 9).
"""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from typing import Any, Final, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2_grpc
from pulumi.runtime.proto import resource_pb2 as pb

from local.engine.aliases import alias_urns
from local.engine.codec import UNKNOWN, UNKNOWN_TEXT, from_struct, has_secret, has_unknown, plain, to_struct
from local.engine.errors import (
    INVOKE_STATUS,
    REGISTRATION_STATUS,
    EngineBug,
    EngineError,
    ProgramError,
    ProviderError,
    Stopped,
    status_of,
)
from local.engine.execute import Executor
from local.engine.goal import Goal
from local.engine.providers import Providers
from local.engine.session import Session
from local.engine.urn import UNKNOWN_ID, Urn, is_provider, make_urn

T = TypeVar("T")
ORGANIZATION: Final = "organization"
THREADS: Final = 512  # a handler blocks while its resource is made; must exceed the program's 256, or Log starves
SEVERITIES: Final = {0: "debug", 1: "info", 2: "warning", 3: "error"}
FEATURES: Final = [
    pb.RESOURCE_MONITOR_FEATURE_SECRETS,
    pb.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    pb.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    pb.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
]
REFUSED: Final = (
    "Call",
    "ExistsResource",
    "RegisterStackTransform",
    "RegisterStackInvokeTransform",
    "RegisterResourceHook",
    "RegisterErrorHook",
    "RegisterPackage",
    "StartDebugging",
)
OtherStack = Callable[[str], Mapping[str, Any] | None]


class Monitor(resource_pb2_grpc.ResourceMonitorServicer, engine_pb2_grpc.EngineServicer):
    """What the program sees of the engine."""

    def __init__(self, session: Session, executor: Executor, providers: Providers, other_stack: OtherStack) -> None:
        self._session, self._executor, self._providers = session, executor, providers
        self._other_stack = other_stack
        self._root = ""
        for method in REFUSED:
            setattr(self, method, _refusal(method))

    # -- ResourceMonitor

    def GetDeploymentInfo(self, request: Any, context: grpc.ServicerContext) -> pb.DeploymentInfo:
        """Who we are and what we can."""
        return pb.DeploymentInfo(
            project=self._session.snapshot.project,
            stack=self._session.snapshot.stack,
            organization=ORGANIZATION,
            dryRun=self._session.preview,
            parallel=self._session.parallel,
            supportedFeatures=FEATURES,
        )

    def SupportsFeature(self, request: Any, context: grpc.ServicerContext) -> pb.SupportsFeatureResponse:
        """The older way to ask: only SDKs that know GetDeploymentInfo are served."""
        return pb.SupportsFeatureResponse(hasSupport=False)

    def RegisterResource(self, request: Any, context: grpc.ServicerContext) -> pb.RegisterResourceResponse:
        """A resource of the program."""
        urn = self._urn(request)
        with self._answering(context, urn):
            return self._register(urn, request)

    def ReadResource(self, request: Any, context: grpc.ServicerContext) -> pb.ReadResourceResponse:
        """A resource that exists outside of the program, or another stack's outputs."""
        urn = self._urn(request)
        with self._answering(context, urn):
            if request.type == "pulumi:pulumi:StackReference":
                outputs = self._stack_outputs(plain(from_struct(request.properties)).get("name") or request.id)
                struct = to_struct(outputs, request.acceptSecrets)
                return pb.ReadResourceResponse(urn=urn, id=request.id, properties=struct)
            goal = Goal(
                urn=urn,
                type=request.type,
                custom=True,
                parent=request.parent,
                inputs=from_struct(request.properties),
                provider=self._provider(request, request.type),
                dependencies=list(request.dependencies),
                additional_secret_outputs=list(request.additionalSecretOutputs),
            )
            new = self._executor.read(goal, UNKNOWN if request.id == UNKNOWN_TEXT else request.id)
            return pb.ReadResourceResponse(urn=urn, properties=to_struct(new.outputs, request.acceptSecrets))

    def RegisterResourceOutputs(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """The outputs of a component."""
        with self._answering(context, request.urn):
            self._executor.register_outputs(request.urn, from_struct(request.outputs))
            return empty_pb2.Empty()

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> pb.ResourceInvokeResponse:
        """A function of a package. The program may catch its failure, so that is not an error of the run."""
        with self._answering(context, "", invoke=True):
            args = from_struct(request.args)
            if request.tok == "pulumi:pulumi:getResource":
                return self._get_resource(args["urn"])
            client = self._providers.client(self._provider(request, request.tok))
            if has_unknown(args) or not client.configured:
                return pb.ResourceInvokeResponse(unknown=True)
            with self._session.slots:
                result, failures = client.invoke(request.tok, args, self._session.preview)
            listed = [{"property": name, "reason": reason} for name, reason in failures]
            return pb.ResourceInvokeResponse(**{"return": to_struct(result), "failures": listed})

    def SignalAndWaitForShutdown(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Returns at once: nothing of ours calls back into the program, which has no hooks."""
        return empty_pb2.Empty()

    # -- Engine

    def Log(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """What the program and the plugins say. An error that names no resource is the stack's, as in Pulumi."""
        severity = SEVERITIES.get(request.severity, "info")
        if request.ephemeral:
            self._session.observer.status(request.urn, request.message)
        elif severity != "debug":
            urn = request.urn or (self._root if severity == "error" else "")
            self._session.note(severity, urn, request.message.rstrip("\n"))
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: grpc.ServicerContext) -> engine_pb2.GetRootResourceResponse:
        """The stack resource's URN."""
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, context: grpc.ServicerContext) -> engine_pb2.SetRootResourceResponse:
        """The program says which URN its stack resource got."""
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def RequirePulumiVersion(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Any version will do: we have none of Pulumi's."""
        return engine_pb2.RequirePulumiVersionResponse()

    # -- parts

    @contextlib.contextmanager
    def _answering(self, context: grpc.ServicerContext, urn: Urn, *, invoke: bool = False) -> Iterator[None]:
        """Around a request: an error becomes a status, and (once) a diagnostic."""
        table = INVOKE_STATUS if invoke else REGISTRATION_STATUS
        failure: EngineError
        try:
            with self._session.request():
                try:
                    yield
                    return
                except EngineError as error:
                    failure = error
                except Exception as error:  # a bug here must not hang the program
                    failure = EngineBug(f"engine bug: {error!r}\n{traceback.format_exc()}")
                if not isinstance(failure, Stopped) and not (invoke and isinstance(failure, ProviderError)):
                    self._session.note("error", urn, str(failure))
        except Stopped as error:
            failure = error
        context.abort(grpc.StatusCode[status_of(failure, table)], str(failure))

    def _urn(self, request: Any) -> Urn:
        snapshot = self._session.snapshot
        return make_urn(snapshot.stack, snapshot.project, request.parent, request.type, request.name)

    def _provider(self, request: Any, token: str) -> str:
        if request.packageRef:
            raise ProgramError("parameterized packages are not supported by the local engine")
        if request.provider:
            return request.provider
        return self._executor.default_provider(token.split(":")[0], request.version)

    def _register(self, urn: Urn, request: Any) -> pb.RegisterResourceResponse:
        _refuse_unsupported(request)
        inputs = from_struct(request.object)
        provider = ""
        if request.custom and is_provider(request.type):
            if request.version:
                inputs["version"] = request.version
        elif request.custom:
            provider = self._provider(request, request.type)
        aliases = alias_urns(self._session, request.type, request.name, request.parent, request.aliases)
        new = self._executor.register(_goal(urn, request, inputs, provider, aliases))
        known_id = "" if new.id == UNKNOWN_ID else new.id
        outputs = to_struct(new.outputs if request.custom else {}, request.acceptSecrets)
        return pb.RegisterResourceResponse(urn=new.urn, id=known_id, object=outputs)

    def _stack_outputs(self, name: str) -> dict[str, Any]:
        outputs = self._other_stack(name)
        if outputs is None:
            raise ProgramError(f"unknown stack '{name}': there is no state file of it beside this stack's")
        secrets = sorted(key for key, value in outputs.items() if has_secret(value))
        return {"name": name, "outputs": dict(outputs), "secretOutputNames": secrets}

    def _get_resource(self, urn: Urn) -> pb.ResourceInvokeResponse:
        resource = self._session.news.get(urn)
        if resource is None:
            raise ProgramError(f"unknown resource {urn}")
        state = {"urn": resource.urn, "id": resource.id, "state": resource.outputs}
        answer: dict[str, Any] = {"return": to_struct(state)}
        return pb.ResourceInvokeResponse(**answer)


def _refusal(method: str) -> Callable[[Any, grpc.ServicerContext], NoReturn]:
    def refuse(request: Any, context: grpc.ServicerContext) -> NoReturn:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method} is not supported by the local engine")

    return refuse


def _refuse_unsupported(request: Any) -> None:
    asked = {
        "remote components": request.remote,
        "transforms": request.transforms,
        "state migrations": request.state_migrations,
        "replacement_trigger": request.HasField("replacement_trigger"),
        "replace_with": request.replace_with,
        "resource hooks": request.HasField("hooks") and request.hooks.ListFields(),
        "env_var_mappings": request.envVarMappings,
    }
    if named := [what for what, used in asked.items() if used]:
        raise ProgramError(f"{', '.join(named)} are not supported by the local engine")


def _goal(urn: Urn, request: Any, inputs: dict[str, Any], provider: str, aliases: list[Urn]) -> Goal:
    given = request.customTimeouts
    return Goal(
        urn=urn,
        type=request.type,
        custom=request.custom,
        inputs=inputs,
        parent=request.parent,
        provider=provider,
        dependencies=list(request.dependencies),
        property_dependencies={key: list(v.urns) for key, v in request.propertyDependencies.items() if v.urns},
        protect=request.protect,
        retain_on_delete=request.retainOnDelete,
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        ignore_changes=list(request.ignoreChanges),
        replace_on_changes=list(request.replaceOnChanges),
        additional_secret_outputs=list(request.additionalSecretOutputs),
        deleted_with=request.deletedWith,
        import_id=request.importId,
        timeouts={key: seconds(getattr(given, key)) for key in ("create", "update", "delete") if getattr(given, key)},
        aliases=aliases,
    )


def seconds(text: str) -> float:
    """A Go duration such as 1h30m or 500ms."""
    if not re.fullmatch(r"([\d.]+(ms|h|m|s))+", text):
        raise ProgramError(f"custom timeout {text!r} is not a duration; expected something like 30m or 1h30m")
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    return sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|h|m|s)", text))


@contextlib.contextmanager
def serving(monitor: Monitor) -> Iterator[str]:
    """The address under which the program and the plugins reach the engine."""
    server = grpc.server(futures.ThreadPoolExecutor(THREADS, thread_name_prefix="rpc"), options=_GRPC_CHANNEL_OPTIONS)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
    engine_pb2_grpc.add_EngineServicer_to_server(monitor, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0.1).wait()
