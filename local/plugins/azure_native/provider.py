"""Pulumi's view of Azure: check, diff, create, read, update, delete and invoke for every type in `resources`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from local.engine.codec import diff_values, has_unknown
from local.engine.codec import parse_path as parse_property_path

from ..protocol.errors import Cancelled, InitFailed, InvalidInput, PluginError, Refused
from ..protocol.log import EngineLog
from ..protocol.provider import Difference, Existing, Failure, Naming, Provider, Target, Values
from ..schema import check as schema_check
from ..schema import sdk
from . import answers, config, defaults, invokes, operations
from .arm_client import ArmClient
from .resources import TYPES, resource_type
from .translate import Request, resource_path, translate


class AzureNative(Provider):
    """The stand-in for pulumi-resource-azure-native."""

    # Compares equal to the version that the Python package pins; build metadata is ignored:
    # docs/azure-facts.md#versions-of-providers
    version = "3.29.0+local"

    def __init__(self, log: EngineLog) -> None:
        super().__init__(log)
        self._config: config.Config | None = None
        self._client: ArmClient | None = None
        self._group_locations: dict[str, str | None] = {}

    # -- configuration -------------------------------------------------------------------------------------------

    def check_config(self, settings: Values) -> Sequence[Failure]:
        return config.check(settings)

    def configure(self, variables: Mapping[str, str]) -> None:
        loaded = config.load(variables)
        self._config = loaded
        self._client = None if loaded.offline else ArmClient(loaded, self.cancelled)

    @property
    def _settings(self) -> config.Config:
        if self._config is None:
            raise Refused("the azure-native provider is not configured yet (a setting is not known in this preview)")
        return self._config

    def _arm(self, doing: str) -> ArmClient:
        """The client, or a refusal when there is no cloud."""
        settings = self._settings
        if self._client is None:
            where = settings.offline.path if settings.offline else ""
            raise Refused(
                f"{doing} needs a cloud, and this run has none ({config.OFFLINE}={where}): it can only preview"
            )
        return self._client

    # -- planning ------------------------------------------------------------------------------------------------

    def check(self, target: Target, olds: Values, news: Values, naming: Naming) -> tuple[Values, Sequence[Failure]]:
        args = sdk.args_class(target.type) if target.type in TYPES else None
        if args is None:
            try:
                resource_type(target.type)
            except InvalidInput as error:
                return news, [Failure("", str(error))]
            return news, [Failure("", f"the installed pulumi_azure_native has no resource type {target.type}")]
        kind = resource_type(target.type)
        inputs = {name: value for name, value in news.items() if value is not None}
        failures = [defaults.fill_name(kind, target, olds, inputs, naming)]
        if "location" in sdk.properties(args):
            defaults.fill_location(olds, inputs, self._config.location if self._config else None, self._group_location)
        return inputs, [*filter(None, failures), *schema_check.check(args, inputs)]

    def _group_location(self, group: str) -> str | None:
        """A resource group's location, asked for once; None if it does not exist yet or there is no cloud."""
        if group not in self._group_locations and self._client is not None:
            token = "azure-native:resources:ResourceGroup"  # noqa: S105
            path = resource_path(token, {"resourceGroupName": group}, self._settings.subscription_id)
            found = operations.read(self._client, path, resource_type(token).api_version)
            if found is None:
                return None
            self._group_locations[group] = found.get("location")
        return self._group_locations.get(group)

    def diff(self, target: Target, old_inputs: Values, news: Values) -> Difference:
        kind = resource_type(target.type)
        old, new = ({k: v for k, v in side.items() if not k.startswith("__")} for side in (old_inputs, news))
        changes = diff_values(old, new)
        changed = {str(parse_property_path(path)[0]) for path in changes}
        replaces = frozenset(changed & ({*kind.parameters} | kind.replaces))
        # azure-native: a resource whose name is not random is deleted before its replacement is created.
        return Difference(changes, replaces, bool(replaces) and news.get(defaults.CREATE_FIRST) is not True)

    # -- doing ---------------------------------------------------------------------------------------------------

    def create(self, target: Target, inputs: Values, *, preview: bool, timeout: float) -> tuple[str, Values]:
        if preview:
            return "", answers.planned(target.type, inputs)
        client = self._arm(f"creating {target.name}")
        request = self._request(target, inputs)
        kind = resource_type(target.type)
        try:
            body = operations.create(client, request, timeout, adopt=kind.singleton)
        except operations.Incomplete as error:
            raise self._half_made(client, target, request, inputs, str(error)) from None
        return request.path, answers.outputs(target.type, body)

    def update(
        self, target: Target, resource_id: str, olds: Values, inputs: Values, *, preview: bool, timeout: float
    ) -> Values:
        if preview:
            return answers.planned(target.type, inputs, olds)
        client = self._arm(f"updating {target.name}")
        body = operations.put(client, self._request(target, inputs, resource_id), timeout)
        return answers.outputs(target.type, body)

    def read(self, target: Target, resource_id: str, state: Values, inputs: Values | None) -> Existing | None:
        kind = resource_type(target.type)
        body = operations.read(self._arm(f"reading {target.name}"), resource_id, kind.api_version)
        if body is None:
            return None
        live = answers.outputs(target.type, body)
        if inputs is None:
            return Existing(resource_id, live, answers.imported_inputs(target.type, resource_id, live))
        return Existing(resource_id, live, answers.refreshed_inputs(target.type, inputs, state, live))

    def delete(self, target: Target, resource_id: str, state: Values, *, timeout: float) -> None:
        client, kind = self._arm(f"deleting {target.name}"), resource_type(target.type)
        if not kind.singleton:
            operations.delete(client, resource_id, kind.api_version, timeout)

    def invoke(self, token: str, args: Values) -> Values:
        settings = self._settings
        return invokes.invoke(token, {k: v for k, v in args.items() if v is not None}, settings, self._client)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _request(self, target: Target, inputs: Values, resource_id: str | None = None) -> Request:
        if has_unknown(inputs):
            raise InvalidInput(f"{target.name}: some inputs are not known, though this is not a preview")
        request = translate(target.type, inputs, self._settings.subscription_id)
        return Request(resource_id, request.api_version, request.body) if resource_id else request

    def _half_made(
        self, client: ArmClient, target: Target, request: Request, inputs: Values, reason: str
    ) -> PluginError:
        """The error for a resource that ARM began to create: with its id if it exists, for the engine to record."""
        try:
            body = operations.read(client, request.path, request.api_version)
        except (PluginError, Cancelled):
            body = {}
        if body is None:
            return PluginError(reason)
        found = answers.outputs(target.type, body) if body else answers.outputs(target.type, request.body)
        return InitFailed(request.path, found, [reason])
