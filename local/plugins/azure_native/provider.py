"""Pulumi's view of Azure: check, diff, create, read, update, delete and invoke for every type in `resources`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from local.plugins.azure_native import answers, config, invokes, names, operations
from local.plugins.azure_native.arm_client import ArmClient, ArmError
from local.plugins.azure_native.resources import describe, resource_type
from local.plugins.azure_native.translate import Request, parse_path, resource_path, translate
from local.plugins.protocol.errors import InitFailed, InvalidInput, PluginError, Refused
from local.plugins.protocol.log import EngineLog
from local.plugins.protocol.property_values import diff_values, has_unknown, top_level
from local.plugins.protocol.provider import Difference, Existing, Failure, Naming, Provider, Target, Values
from local.plugins.schema import check as schema_check


class AzureNative(Provider):
    """The stand-in for pulumi-resource-azure-native."""

    # Compares equal to the version that the Python package pins; build metadata is ignored.
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
        try:
            description = describe(target.type)
        except InvalidInput as error:
            return news, [Failure("", str(error))]
        kind = resource_type(target.type)
        inputs = {name: value for name, value in news.items() if value is not None}
        failures = [names.fill_name(kind, target, olds, inputs, naming)]
        if "location" in description.input_names:
            names.fill_location(olds, inputs, self._config.location if self._config else None, self._group_location)
        return inputs, [*filter(None, failures), *schema_check.check(description, inputs)]

    def _group_location(self, group: str) -> str | None:
        """A resource group's location, asked for once; None if it does not exist yet or there is no cloud."""
        if group not in self._group_locations and self._client is not None:
            token = "azure-native:resources:ResourceGroup"  # noqa: S105
            path = resource_path(token, {"resourceGroupName": group}, self._settings.subscription_id)
            body = operations.read(self._client, path, resource_type(token).api_version)
            if body is None:
                return None
            self._group_locations[group] = body.get("location")
        return self._group_locations.get(group)

    def diff(self, target: Target, old_inputs: Values, news: Values) -> Difference:
        kind = resource_type(target.type)
        old, new = ({k: v for k, v in side.items() if not k.startswith("__")} for side in (old_inputs, news))
        changes = diff_values(old, new)
        changed = {top_level(path) for path in changes}
        replaces = frozenset(changed & ({*kind.parameters} | kind.replaces))
        # azure-native: a resource whose name is not random is deleted before its replacement is created.
        return Difference(changes, replaces, bool(replaces) and news.get(names.CREATE_FIRST) is not True)

    # -- doing ---------------------------------------------------------------------------------------------------

    def create(self, target: Target, inputs: Values, *, preview: bool, timeout: float) -> tuple[str, Values]:
        if preview:
            return "", answers.planned(target.type, inputs)
        client = self._arm(f"creating {target.name}")
        request = self._request(target, inputs)
        if not resource_type(target.type).singleton:
            operations.refuse_existing(client, request.path, request.api_version)
        return request.path, self._put(client, target, request, timeout, before={})

    def update(
        self, target: Target, resource_id: str, olds: Values, inputs: Values, *, preview: bool, timeout: float
    ) -> Values:
        if preview:
            return answers.planned(target.type, inputs, olds)
        client = self._arm(f"updating {target.name}")
        request = self._request(target, inputs, resource_id)
        # Work may be under way: a create or update whose end an earlier run did not see. ARM would refuse another one.
        operations.wait_until_final(client, request.path, request.api_version, timeout)
        return self._put(client, target, request, timeout, before=olds)

    def read(self, target: Target, resource_id: str, state: Values, inputs: Values | None) -> Existing | None:
        kind = resource_type(target.type)
        if inputs is None:
            parse_path(target.type, resource_id)  # an import: the id is what a person typed
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

    def _put(self, client: ArmClient, target: Target, request: Request, timeout: float, before: Values) -> Values:
        """Outputs of the finished resource. `before`: what the engine knows of it already.

        The engine is told of a resource that ARM may have, whatever failed: it records the id, and the next `up`
        updates the resource instead of creating it.
        """
        try:
            body = operations.put(client, request, timeout)
        except (operations.Incomplete, ArmError) as error:
            raise self._failed_put(client, target, request, before, error) from None
        try:
            return answers.outputs(target.type, body)
        except Exception as error:
            reason = f"{request.path} is made, but the answer cannot be used ({type(error).__name__}: {error})"
            raise InitFailed(request.path, before or request.body, [reason]) from error

    def _failed_put(
        self, client: ArmClient, target: Target, request: Request, before: Values, error: PluginError
    ) -> PluginError:
        """The error of a PUT that failed: `InitFailed`, with the id, if the resource exists or may exist."""
        refused = isinstance(error, ArmError)
        if refused and (before or resource_type(target.type).singleton):
            return error  # it was there before and is as it was
        outputs = before
        try:
            body = operations.read(client, request.path, request.api_version, operations.LAST_READ_SECONDS)
            if body is None:
                return error if refused else PluginError(str(error))
            outputs = answers.outputs(target.type, body)
        except Exception as unreadable:
            if refused:
                return error
            self.log.warning(target.urn, f"{request.path} may exist; it could not be read: {unreadable}")
        return InitFailed(request.path, outputs or {"azureApiVersion": request.api_version}, [str(error)])
