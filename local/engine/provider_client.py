"""One provider instance, spoken to over Pulumi's plugin protocol. The only module that calls plugins.

Values go in and out as `codec` has them. A provider that does not accept secrets gets bare values, and the marks of the
inputs are put back on what it answers (facts/pulumi.md 2.2).
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import provider_pb2_grpc, status_pb2

from local.engine.codec import from_struct, has_unknown, plain, remark, to_struct
from local.engine.errors import AlreadyExists, InitFailed, PluginFailed, ProviderError
from local.engine.goal import Diff
from local.engine.plugin_process import PluginProcess
from local.engine.state import Resource
from local.engine.urn import Urn, name_of, type_of

# azure-native's own words (facts/pulumi.md 2.5); the id is in the quotes.
ALREADY_EXISTING: Final = re.compile(r"cannot create already existing resource\s+['\"]([^'\"]+)['\"]")
HANDSHAKE_SECONDS: Final = 10.0
_KINDS: Final = {number: name.lower().replace("_", "-") for name, number in pb.PropertyDiff.Kind.items()}


@dataclass(frozen=True)
class Answer:
    """What Create, Update and Read leave: an empty `id` from Read means that nothing is there."""

    id: str
    outputs: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, Any] | None = None


class ProviderClient:
    """A plugin process; `configure` makes it a provider instance."""

    def __init__(self, process: PluginProcess, engine: str) -> None:
        self.process, self.package = process, process.package
        self.configured = self.previews = self._secrets = False
        self._channel = grpc.insecure_channel(f"127.0.0.1:{process.port}", options=_GRPC_CHANNEL_OPTIONS)
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        request = pb.ProviderHandshakeRequest(engine_address=engine)
        hello = self._call("Handshake", request, tolerate=True, timeout=HANDSHAKE_SECONDS)
        if hello is not None:
            self._secrets, self.previews = hello.accept_secrets, True
        self.version: str = self._call("GetPluginInfo", empty_pb2.Empty()).version

    # -- configuration

    def configure(self, urn: Urn, provider_id: str, inputs: Mapping[str, Any]) -> None:
        """Unknown settings (previews): not configured, and everything of this provider is unknown, as with Pulumi."""
        if has_unknown(dict(inputs)):
            return
        variables = {f"{self.package}:config:{key}": _text(value) for key, value in plain(dict(inputs)).items()}
        request = pb.ConfigureRequest(
            variables=variables,
            args=to_struct(inputs),
            acceptSecrets=True,
            acceptResources=True,
            sends_old_inputs=True,
            sends_old_inputs_to_delete=True,
            id=provider_id,
            **_names(urn),
        )
        answer = self._call("Configure", request)
        self._secrets |= answer.acceptSecrets
        self.previews |= answer.supportsPreview
        self.configured = True

    def check_config(self, urn: Urn, olds: Mapping[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        """Check the provider's own settings."""
        return self._check("CheckConfig", urn, olds, news, b"")

    def diff_config(self, old: Resource, news: Mapping[str, Any]) -> Diff | None:
        """Compare the provider's own settings."""
        return self._diff("DiffConfig", old, news, [])

    # -- resources

    def check(self, urn: Urn, olds: Mapping[str, Any], news: dict[str, Any], seed: bytes) -> dict[str, Any]:
        """The inputs with names and defaults filled in; ProviderError if the provider finds fault with them."""
        return self._check("Check", urn, olds, news, seed) if self.configured else news

    def diff(self, old: Resource, news: Mapping[str, Any], ignore_changes: Sequence[str]) -> Diff | None:
        """The provider's opinion on the change; None if it has none."""
        return self._diff("Diff", old, news, ignore_changes) if self.configured else None

    def create(self, new: Resource, preview: bool) -> Answer:
        """Make it. InitFailed if it exists but did not come up; AlreadyExists if it was there before."""
        timeout = 0 if preview else new.custom_timeouts.get("create", 0)
        request = pb.CreateRequest(
            properties=self._out(new.inputs), preview=preview, timeout=timeout, **_names(new.urn)
        )
        answer = self._call("Create", request)
        return Answer(answer.id, self._in(answer.properties, new.inputs))

    def update(self, old: Resource, new: Resource, preview: bool) -> Answer:
        """Change it in place."""
        request = pb.UpdateRequest(
            id=old.id,
            olds=self._out(old.outputs),
            old_inputs=self._out(old.inputs),
            news=self._out(new.inputs),
            ignoreChanges=new.ignore_changes,
            preview=preview,
            timeout=0 if preview else new.custom_timeouts.get("update", 0),
            **_names(new.urn),
        )
        answer = self._call("Update", request)
        return Answer(old.id, self._in(answer.properties, new.inputs))

    def read(self, urn: Urn, resource_id: str, outputs: Mapping[str, Any], inputs: Mapping[str, Any] | None) -> Answer:
        """What is there now."""
        request = pb.ReadRequest(id=resource_id, properties=self._out(outputs), **_names(urn))
        if inputs is not None:
            request.inputs.CopyFrom(self._out(inputs))
        answer = self._call("Read", request)
        new_inputs = self._in(answer.inputs, inputs or {}) if answer.HasField("inputs") else None
        marked = {**(inputs or {}), **outputs}
        return Answer(answer.id, self._in(answer.properties, marked), new_inputs)

    def delete(self, old: Resource) -> None:
        """Take it away."""
        request = pb.DeleteRequest(
            id=old.id,
            properties=self._out(old.outputs),
            old_inputs=self._out(old.inputs),
            timeout=old.custom_timeouts.get("delete", 0),
            **_names(old.urn),
        )
        self._call("Delete", request)

    def invoke(
        self, token: str, args: Mapping[str, Any], preview: bool
    ) -> tuple[dict[str, Any], Sequence[tuple[str, str]]]:
        """Call a function of the package: its result, or failures as (property, reason)."""
        answer = self._call("Invoke", pb.InvokeRequest(tok=token, args=self._out(args), preview=preview))
        return from_struct(getattr(answer, "return")), [(f.property, f.reason) for f in answer.failures]

    # -- the end

    def cancel(self) -> None:
        """Ask it to give up what it is doing."""
        with contextlib.suppress(ProviderError):
            self._call("Cancel", empty_pb2.Empty(), tolerate=True, timeout=5)

    def stop(self) -> None:
        """Cancel, then end the process."""
        self.cancel()
        self._channel.close()
        self.process.stop()

    # -- plumbing

    def _check(
        self, method: str, urn: Urn, olds: Mapping[str, Any], news: dict[str, Any], seed: bytes
    ) -> dict[str, Any]:
        request = pb.CheckRequest(olds=self._out(olds), news=self._out(news), randomSeed=seed, **_names(urn))
        answer = self._call(method, request, tolerate=method == "CheckConfig")
        if answer is None:
            return news
        if answer.failures:
            what = f"{type_of(urn)} resource '{name_of(urn)}'"
            reasons = [f.reason + (f" (at {f.property})" if f.property else "") for f in answer.failures]
            raise ProviderError("\n".join(f"{what} has a problem: {reason}" for reason in reasons))
        return self._in(answer.inputs, news)

    def _diff(self, method: str, old: Resource, news: Mapping[str, Any], ignore_changes: Sequence[str]) -> Diff | None:
        request = pb.DiffRequest(
            id=old.id,
            olds=self._out(old.outputs),
            old_inputs=self._out(old.inputs),
            news=self._out(news),
            ignoreChanges=ignore_changes,
            **_names(old.urn),
        )
        answer = self._call(method, request, tolerate=method == "DiffConfig")
        if answer is None or answer.changes == pb.DiffResponse.DIFF_UNKNOWN:
            return None
        if answer.changes == pb.DiffResponse.DIFF_NONE:
            return Diff({})
        detailed = {path: _KINDS[change.kind] for path, change in sorted(answer.detailedDiff.items())}
        changes = detailed if answer.hasDetailedDiff else dict.fromkeys(sorted(answer.diffs), "update")
        return Diff(changes, sorted(answer.replaces), answer.deleteBeforeReplace)

    def _out(self, values: Mapping[str, Any]) -> struct_pb2.Struct:
        return to_struct(values, keep_secrets=self._secrets)

    def _in(self, struct: struct_pb2.Struct, marked: Mapping[str, Any]) -> dict[str, Any]:
        return from_struct(struct) if self._secrets else remark(from_struct(struct), dict(marked))

    def _call(self, method: str, request: Any, *, tolerate: bool = False, timeout: float | None = None) -> Any:
        try:
            return getattr(self._stub, method)(request, timeout=timeout, wait_for_ready=method == "Handshake")
        except grpc.RpcError as error:
            assert isinstance(error, grpc.Call)
            if tolerate and error.code() == grpc.StatusCode.UNIMPLEMENTED:
                return None
            raise self._translated(error) from None
        except ValueError as error:  # grpc: the channel was closed under us, by a second Ctrl-C or the end of the run
            raise PluginFailed(f"plugin {self.package} was stopped") from error

    def _translated(self, error: grpc.Call) -> ProviderError:
        text = error.details() or str(error.code())
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin" and isinstance(value, bytes):
                for detail in status_pb2.Status.FromString(value).details:
                    failed = pb.ErrorResourceInitFailed()
                    if detail.Unpack(failed):
                        return InitFailed(failed.id, from_struct(failed.properties), list(failed.reasons))
        found = ALREADY_EXISTING.search(text)
        if found or error.code() == grpc.StatusCode.ALREADY_EXISTS:
            return AlreadyExists(text, found[1] if found else "")
        if error.code() == grpc.StatusCode.UNAVAILABLE and (obituary := self.process.obituary()):
            return PluginFailed(obituary)
        return ProviderError(text)


def _names(urn: Urn) -> dict[str, Any]:
    return {"urn": urn, "name": name_of(urn), "type": type_of(urn)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
