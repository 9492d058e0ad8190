"""Pulumi's view of a Docker image: check, diff, build, push (behaviour of pulumi-docker 5.2, provider/provider.go)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from local.plugins.docker_image import context, names
from local.plugins.protocol.errors import InitFailed, InvalidInput, PluginError, Refused
from local.plugins.protocol.log import EngineLog
from local.plugins.protocol.property_values import UNKNOWN, diff_values, has_unknown
from local.plugins.protocol.provider import Difference, Existing, Failure, Naming, Provider, Target, Values
from local.plugins.schema import check as schema_check
from local.plugins.schema.descriptions import description

if TYPE_CHECKING:
    import docker

    from local.plugins.docker_image import building

# What talks to an engine is imported where it does: a preview asks none, and need not wait for Docker's client.

IMAGE: Final = "docker:index/image:Image"
OFFLINE: Final = "PULUMI_STANDIN_OFFLINE"
# A new token is no reason to build: pulumi-docker ignores the credentials when it compares.
_IGNORED: Final = frozenset({"registry.username", "registry.password"})
# The provider's own additions to the inputs, which the SDK's classes do not have.
_ADDED: Final = frozenset({"build.contextDigest"})
# Settings of the provider; the last two are the engine's own.
_SETTINGS: Final = frozenset({"host", "version", "pluginDownloadURL"})


class DockerImages(Provider):
    """The stand-in for pulumi-resource-docker."""

    version = "5.2.0+local"  # build metadata is ignored: it equals the version that the Python package pins

    def __init__(self, log: EngineLog) -> None:
        super().__init__(log)
        self._host: str | None = None

    # -- configuration -------------------------------------------------------------------------------------------

    def check_config(self, settings: Values) -> Sequence[Failure]:
        return [
            Failure(
                name,
                f"the stand-in for docker does not support the setting 'docker:{name}' (it knows: host)"
                + schema_check.nearest(name, _SETTINGS),
            )
            for name in sorted(settings)
            if name not in _SETTINGS
        ]

    def configure(self, variables: Mapping[str, str]) -> None:
        # The engine is not asked here (the real plugin does): a preview then works on a machine without one.
        self._host = variables.get("host") or None

    # -- planning ------------------------------------------------------------------------------------------------

    def check(self, target: Target, olds: Values, news: Values, naming: Naming) -> tuple[Values, Sequence[Failure]]:
        described = description(target.type) if target.type == IMAGE else None
        if described is None:
            return news, [Failure("", _unknown_type(target.type))]
        inputs = {name: value for name, value in news.items() if value is not None}
        build = inputs.setdefault("build", {})
        inputs.setdefault("buildOnPreview", False)
        inputs.setdefault("skipPush", False)
        failures = list(_name_failures(inputs))
        if isinstance(build, dict):
            build = inputs["build"] = {k: v for k, v in build.items() if k != "contextDigest"}
            failures += schema_check.check(described, inputs)
            if not failures:
                failures += _fill_build(build)
        return inputs, failures

    def diff(self, target: Target, old_inputs: Values, news: Values) -> Difference:
        changes = {p: k for p, k in diff_values(old_inputs, news).items() if p not in _IGNORED and p[:2] != "__"}
        return Difference(changes)  # never a replacement: another name is another tag of the same resource

    # -- doing ---------------------------------------------------------------------------------------------------

    def create(self, target: Target, inputs: Values, *, preview: bool, timeout: float) -> tuple[str, Values]:
        if preview:
            return "", self._planned(target, inputs)
        return str(inputs["imageName"]), self._make(target, inputs)

    def update(
        self, target: Target, resource_id: str, olds: Values, inputs: Values, *, preview: bool, timeout: float
    ) -> Values:
        # A preview must not echo the old repoDigest: it would hide what the new image does to its users.
        return self._planned(target, inputs) if preview else self._make(target, inputs)

    def read(self, target: Target, resource_id: str, state: Values, inputs: Values | None) -> Existing | None:
        if inputs is None:
            raise Refused("an image cannot be imported: its build context is not stored anywhere; declare and build it")
        if self._is_gone(target, state, inputs):
            return None
        return Existing(resource_id, state, inputs)

    def _is_gone(self, target: Target, state: Values, inputs: Values) -> bool:
        """Whether the registry no longer has what was pushed: then the next `up` pushes it again.

        The real plugin does not look: with it an image of a registry that was made anew is pushed again when something
        else of the image changes (`replacement_trigger` in a program sees to that).
        """
        digest = state.get("repoDigest")
        if inputs.get("skipPush") or not isinstance(digest, str) or os.environ.get(OFFLINE):
            return False
        from local.plugins.docker_image import engine, pushing

        try:
            found = pushing.in_registry(engine.connect(self._host), digest, _credentials(inputs))
        except PluginError as error:
            self.log.warning(target.urn, f"whether {digest} is still in its registry could not be seen: {error}")
            return False
        return not found

    def delete(self, target: Target, resource_id: str, state: Values, *, timeout: float) -> None:
        """Nothing: pulumi-docker leaves tags in the registry, which may be in use."""

    def invoke(self, token: str, args: Values) -> Values:
        raise InvalidInput(f"the stand-in for docker has no function {token}; it only builds images ({IMAGE})")

    # -- parts ---------------------------------------------------------------------------------------------------

    def _planned(self, target: Target, inputs: Values) -> Values:
        """Outputs as a preview knows them; `buildOnPreview` builds (without push) unless this run is offline."""
        if inputs.get("buildOnPreview") and not has_unknown(inputs) and not os.environ.get(OFFLINE):
            from local.plugins.docker_image import engine

            self._build(target, inputs, engine.connect(self._host))
        return _outputs(inputs, UNKNOWN)

    def _make(self, target: Target, inputs: Values) -> Values:
        if os.environ.get(OFFLINE):
            raise Refused(f"building {target.name} is refused: this run is offline ({OFFLINE}), it can only preview")
        if has_unknown(inputs):
            raise InvalidInput(f"{target.name}: some inputs are not known, though this is not a preview")
        from local.plugins.docker_image import engine, pushing

        client = engine.connect(self._host)
        image_id = self._build(target, inputs, client)
        if inputs.get("skipPush"):
            return _outputs(inputs, image_id)
        name = str(inputs["imageName"])
        self.log.info(target.urn, f"pushing {name}")
        try:
            pushed = pushing.push(client, name, _credentials(inputs), self._shower(target), self.cancelled.is_set)
        except pushing.AnswerLost as error:
            raise InitFailed(name, _outputs(inputs, None), [str(error)]) from None
        self.log.info(target.urn, f"pushed {pushed}")
        return _outputs(inputs, pushed)

    def _build(self, target: Target, inputs: Values, client: docker.APIClient) -> str:
        from local.plugins.docker_image import building

        name, spec = str(inputs["imageName"]), inputs["build"]
        self.log.info(target.urn, f"building {name} from {spec['context']} ({spec['platform']})")
        if spec.get("builderVersion") == "BuilderBuildKit":
            self.log.warning(
                target.urn, "this stand-in has the classic builder only: syntax of BuildKit's own fails here"
            )
        return building.build(client, name, spec, _credentials(inputs), self._shower(target), self.cancelled.is_set)

    def _shower(self, target: Target) -> building.Show:
        from local.plugins.docker_image import building

        return building.thinned(lambda line: self.log.status(target.urn, line))


def _unknown_type(token: str) -> str:
    return f"the stand-in for docker does not know resource type {token}; it knows {IMAGE}"


def _name_failures(inputs: Values) -> Sequence[Failure]:
    name = inputs.get("imageName")
    if not isinstance(name, str) or inputs.get("skipPush") is True or names.is_fully_qualified(name):
        return []
    return [
        Failure(
            "imageName",
            f"'{name}' does not say which registry to push to; write REGISTRY/{name} "
            f"(for Docker Hub: docker.io/{name}), or set skipPush",
        )
    ]


def _fill_build(build: dict[str, Any]) -> list[Failure]:
    """Defaults of the real plugin, and the digest of what would be sent."""
    if build.setdefault("context", ".") is UNKNOWN:
        return []
    build.setdefault("dockerfile", str(Path(build["context"]) / "Dockerfile"))
    build.setdefault("platform", f"linux/{_architecture()}")
    if build["dockerfile"] is UNKNOWN:
        return []
    failures = list(context.find_failures(build["context"], build["dockerfile"]))
    if not failures:
        try:
            build["contextDigest"] = context.digest(build["context"], build["dockerfile"])
        except OSError as error:
            return [Failure("build.context", f"the build context cannot be read: {error}")]
    return failures


def _architecture() -> str:
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _credentials(inputs: Values) -> building.Credentials | None:
    """The registry's three fields; without them the engine host's own Docker login applies."""
    from local.plugins.docker_image import building

    registry = inputs.get("registry") or {}
    given = {key: registry.get(key) for key in ("server", "username", "password")}
    if not given["username"] and not given["password"]:
        return None
    if missing := [key for key, value in given.items() if not value]:
        raise PluginError(
            f"registry: {', '.join(missing)} missing; give server, username and password, or none of them"
        )
    return building.Credentials(*(str(value) for value in given.values()))


def _outputs(inputs: Values, digest: Any) -> Values:
    build = inputs.get("build") or {}
    found = {
        "baseImageName": inputs.get("imageName"),
        "context": build.get("context"),
        "dockerfile": build.get("dockerfile"),
        "imageName": inputs.get("imageName"),
        "platform": build.get("platform"),
        "registryServer": (inputs.get("registry") or {}).get("server"),
        "repoDigest": digest,
    }
    return {name: value for name, value in found.items() if value is not None}
