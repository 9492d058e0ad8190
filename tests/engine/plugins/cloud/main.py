"""A provider over a JSON file, with faults on demand: `store.json` in the program's folder is its cloud.

Faults are set in the store under `__faults`, by logical name: fail, partial, fail-delete, and hang-before, hang,
hang-update, hang-delete (the request takes effect, except for the first, and the answer does not come).
"""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import signal
import sys
import threading
from concurrent import futures

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4]))

import grpc
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2_grpc, status_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from local.engine.codec import UNKNOWN, diff_values, from_struct, parse_path, plain, to_struct

STORE = pathlib.Path("store.json")
# type -> the property with its name, the path of its id
TYPES = {
    "Group": ("groupName", "/groups/{groupName}"),
    "Account": ("accountName", "/groups/{groupName}/accounts/{accountName}"),
    "Container": ("containerName", "/groups/{groupName}/accounts/{accountName}/containers/{containerName}"),
    "Pool": ("poolName", "/groups/{groupName}/accounts/{accountName}/pools/{poolName}"),
    "Image": ("imageName", "{imageName}"),
}


class RefusedError(Exception):
    def __init__(self, text, code=grpc.StatusCode.FAILED_PRECONDITION):
        super().__init__(text)
        self.code = code


class PartialError(Exception):
    def __init__(self, id_, outputs, reason):
        self.id, self.outputs, self.reason = id_, outputs, reason


@contextlib.contextmanager
def store():
    with pathlib.Path("store.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        data = json.loads(STORE.read_text()) if STORE.exists() else {}
        yield data
        new = STORE.with_suffix(".new")
        new.write_text(json.dumps(data, indent=1))
        new.replace(STORE)


def kind_of(token):
    return token.split(":")[2]


class Cloud(provider_pb2_grpc.ResourceProviderServicer):
    def __init__(self, engine):
        self.engine = engine_pb2_grpc.EngineStub(grpc.insecure_channel(engine))
        self.delay = float(os.environ.get("CLOUD_DELAY", "0"))
        self.cancelled = threading.Event()
        self.config = {}

    def Handshake(self, request, context):
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "")

    def GetPluginInfo(self, request, context):
        return plugin_pb2.PluginInfo(version="1.0.0")

    def CheckConfig(self, request, context):
        return pb.CheckResponse(inputs=request.news)

    def DiffConfig(self, request, context):
        return pb.DiffResponse()

    def Configure(self, request, context):
        self.config = plain(from_struct(request.args))
        return pb.ConfigureResponse(supportsPreview=True)

    def Cancel(self, request, context):
        self.cancelled.set()
        return empty_pb2.Empty()

    def Check(self, request, context):
        olds, news = plain(from_struct(request.olds)), plain(from_struct(request.news))
        kind = kind_of(request.type)
        failures = []
        if kind not in TYPES:
            return pb.CheckResponse(
                inputs=request.news, failures=[pb.CheckFailure(reason=f"unknown resource type {request.type}")]
            )
        name = TYPES[kind][0]
        if not news.get(name):
            news[name] = olds.get(name) or request.name + request.randomSeed.hex()[:8]
        if kind == "Image":
            files = sorted(p for p in pathlib.Path(news["context"]).rglob("*") if p.is_file())
            news["contextDigest"] = hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()
        if isinstance(news.get("vmSize"), int):
            failures.append(pb.CheckFailure(property="vmSize", reason="'vmSize' should be a string"))
        return pb.CheckResponse(inputs=to_struct(news), failures=failures)

    def Diff(self, request, context):
        changes = diff_values(plain(from_struct(request.old_inputs)), plain(from_struct(request.news)))
        fixed = {TYPES[kind_of(request.type)][0], "groupName", "accountName"}
        detailed, replaces = {}, set()
        for path, kind in changes.items():
            top = str(parse_path(path)[0])
            if top in fixed:
                replaces.add(top)
                kind += "_REPLACE"
            detailed[path] = pb.PropertyDiff(kind=pb.PropertyDiff.Kind.Value(kind.upper()), inputDiff=True)
        return pb.DiffResponse(
            changes=pb.DiffResponse.DIFF_SOME if changes else pb.DiffResponse.DIFF_NONE,
            diffs=sorted({str(parse_path(p)[0]) for p in changes}),
            replaces=sorted(replaces),
            detailedDiff=detailed,
            hasDetailedDiff=True,
            deleteBeforeReplace=bool(replaces) and TYPES[kind_of(request.type)][0] not in replaces,
        )

    @contextlib.contextmanager
    def guarded(self, context):
        try:
            if self.delay and self.cancelled.wait(self.delay):
                raise RefusedError("cancelled")
            yield
        except PartialError as e:
            detail = any_pb2.Any()
            detail.Pack(pb.ErrorResourceInitFailed(id=e.id, properties=to_struct(e.outputs), reasons=[e.reason]))
            status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message="init failed", details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
            context.abort(grpc.StatusCode.UNKNOWN, "init failed")
        except RefusedError as e:
            context.abort(e.code, str(e))

    def hang(self, request):
        self.engine.Log(engine_pb2.LogRequest(severity=engine_pb2.INFO, message="hanging as told", urn=request.urn))
        if self.cancelled.wait(30):
            raise RefusedError("cancelled")

    def outputs(self, kind, id_, ins):
        if kind == "Image":
            return {**ins, "digest": f"{id_}@{ins['contextDigest']}"}
        return {**ins, "name": id_.rsplit("/", 1)[1], "etag": "1"}

    def Create(self, request, context):
        ins, kind = plain(from_struct(request.properties)), kind_of(request.type)
        if request.preview:
            computed = {"digest": UNKNOWN} if kind == "Image" else {"name": UNKNOWN, "etag": UNKNOWN}
            return pb.CreateResponse(properties=to_struct({**computed, **ins}))
        with self.guarded(context):
            id_ = TYPES[kind][1].format(**ins)
            with store() as s:
                fault = s.get("__faults", {}).get(request.name)
            if fault == "fail":
                raise RefusedError(f'Code="QuotaExceeded" Message="injected failure for {request.name}"')
            if fault == "hang-before":
                self.hang(request)
            with store() as s:
                if id_ in s:
                    text = f"cannot create already existing resource '{id_}'"
                    raise RefusedError(text, grpc.StatusCode.ALREADY_EXISTS)
                out = self.outputs(kind, id_, ins)
                s[id_] = {"type": request.type, "inputs": ins, "outputs": out}
                s.setdefault("__created", []).append(request.name)
            if fault == "partial":
                raise PartialError(id_, out, f"{request.name} was created but never became ready")
            if fault == "hang":
                self.hang(request)
            return pb.CreateResponse(id=id_, properties=to_struct(out))

    def Update(self, request, context):
        old, ins, kind = plain(from_struct(request.olds)), plain(from_struct(request.news)), kind_of(request.type)
        if request.preview:
            keep = {k: old[k] for k in ("name", "etag") if k in old}  # a rebuilt image's digest is not known yet
            return pb.UpdateResponse(properties=to_struct({**keep, **ins}))
        with self.guarded(context):
            with store() as s:
                if request.id not in s:
                    raise RefusedError(f"'{request.id}' was not found")
                s[request.id] = {"type": request.type, "inputs": ins, "outputs": self.outputs(kind, request.id, ins)}
                s.setdefault("__updated", []).append(request.name)
                out, fault = s[request.id]["outputs"], s.get("__faults", {}).get(request.name)
            if fault == "hang-update":
                self.hang(request)
            return pb.UpdateResponse(properties=to_struct(out))

    def Read(self, request, context):
        with store() as s:
            got = s.get(request.id)
        if got is None:
            return pb.ReadResponse()
        return pb.ReadResponse(id=request.id, properties=to_struct(got["outputs"]), inputs=to_struct(got["inputs"]))

    def Delete(self, request, context):
        with self.guarded(context):
            with store() as s:
                fault = s.get("__faults", {}).get(request.name)
                if fault == "fail-delete":
                    raise RefusedError("injected failure of a delete")
                if request.id not in s:
                    raise RefusedError(f"'{request.id}' was not found")
                s.pop(request.id)
                s.setdefault("__deleted", []).append(request.name)
            if fault == "hang-delete":
                self.hang(request)
            return empty_pb2.Empty()

    def Invoke(self, request, context):
        if kind_of(request.tok) != "getConfig":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"unknown function {request.tok}")
        answer: dict = {"return": to_struct({"config": self.config})}
        return pb.InvokeResponse(**answer)


def main():
    parent = os.getppid()
    server = grpc.server(futures.ThreadPoolExecutor(64), options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Cloud(sys.argv[-1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    print(port, flush=True)
    while not stop.wait(0.2) and os.getppid() == parent:
        pass
    os._exit(0)


main()
