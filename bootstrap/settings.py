"""The settings of the bootstrap: `Settings.load(pulumi.Config())` gives checked, plain data or one `SettingsError`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import pulumi
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from bootstrap.rights import ALL_ENVIRONMENTS

ISSUER: Final = "https://token.actions.githubusercontent.com"
"""Of github.com; written without a slash at its end, because issuers are compared letter by letter."""
AUDIENCE: Final = "api://AzureADTokenExchange"
GUID: Final = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_ENVIRONMENT: Final = re.compile(r"[a-z][a-z0-9]{0,19}")


class SettingsError(pulumi.RunError):
    """The configuration cannot be used. A RunError: Pulumi shows the sentences and no traceback."""


class Environment(BaseModel):
    """One environment (a stack of the platform)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subscription_id: Annotated[str, Field(pattern=GUID)]
    """Where it deploys to. One subscription for each keeps a pipeline's rights apart."""
    image_from: str | None = None
    """The environment whose image it takes after that proved itself there."""


class Settings(BaseModel):
    """All of the bootstrap's configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    location: Annotated[str, Field(pattern=r"^[a-z]+[a-z0-9]*$")]
    prefix: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{1,7}$")]
    repository: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")]
    """OWNER/NAME."""
    subject: Annotated[str, Field(pattern=r"^repo:[A-Za-z0-9._-]+(@\d+)?/[A-Za-z0-9._-]+(@\d+)?$")] | None = None
    """The beginning of the subject in GitHub's tokens. Repositories made or renamed since 15 July 2026 have ids in it
    (`repo:OWNER@1/NAME@2`); left out, it is `repo:OWNER/NAME`."""
    issuer: Annotated[str, Field(pattern=r"^https://[^\s/?#]+(/[^\s?#]*[^\s?#/])?$")] = ISSUER
    """Who signs the tokens of jobs: GitHub, or an enterprise's own issuer
    (docs.github.com/enterprise-cloud@latest/actions/reference/security/oidc)."""
    environments: Annotated[dict[str, Environment], Field(min_length=1)]
    tags: dict[str, str] = {}

    @field_validator("environments")
    @classmethod
    def _names_can_be_used(cls, environments: dict[str, Environment]) -> dict[str, Environment]:
        taken = {name for name, _ in ALL_ENVIRONMENTS}
        for name in environments:
            if name in taken or not _ENVIRONMENT.fullmatch(name):
                allowed = f"1 to 20 small letters and digits, not {', '.join(sorted(taken))}"
                raise ValueError(f"{name!r} cannot be an environment: {allowed}")
            source = environments[name].image_from
            if source is not None and (source not in environments or source == name):
                raise ValueError(f"{name}.image_from: {source!r} is no other environment")
        return environments

    @classmethod
    def load(cls, config: pulumi.Config) -> Settings:
        """Read and check the stack's configuration. Raises `SettingsError`."""
        values: dict[str, Any] = {}
        for name in cls.model_fields:
            read = config.get_object if name in ("environments", "tags") else config.get
            try:
                value: Any = read(name)
            except pulumi.ConfigTypeError as error:
                raise SettingsError(f"{name}: {error}") from None
            if value is not None:
                values[name] = value
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            told = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}, got {one['input']!r}" for one in error.errors())
            raise SettingsError(
                "the bootstrap's settings cannot be used: " + "; ".join(told) + ". Next step: pulumi config set"
            ) from None

    def subject_of(self, environment: str) -> str:
        """The subject of a token that GitHub signs for a job of this environment, and of no other."""
        return f"{self.subject or f'repo:{self.repository}'}:environment:{environment}"


class Names:
    """Physical names; those that are unique in the world end in digits of the subscription."""

    def __init__(self, prefix: str, subscription_id: str) -> None:
        digits = hashlib.sha256(f"{subscription_id.lower()}/{prefix}/bootstrap".encode()).hexdigest()[:8]
        self.group = f"rg-{prefix}-ci"
        self.storage = f"{prefix}state{digits}"
        self.vault = f"kv-{prefix}-{digits}"
        self._prefix = prefix

    def identity(self, name: str) -> str:
        """Of a pipeline's identity."""
        return f"id-{self._prefix}-ci-{name}"

    @staticmethod
    def state(environment: str) -> str:
        """The container with an environment's state."""
        return f"state-{environment}"

    @staticmethod
    def key(environment: str) -> str:
        """The key that seals an environment's secrets."""
        return f"pulumi-{environment}"

    def backend(self, environment: str) -> str:
        """Pulumi's address of the state."""
        return f"azblob://{self.state(environment)}?storage_account={self.storage}"

    def secrets_provider(self, environment: str) -> str:
        """Pulumi's address of the key."""
        return f"azurekeyvault://{self.vault}.vault.azure.net/keys/{self.key(environment)}"


def exposed_by(environments: Mapping[str, Environment], own_subscription: str) -> str | None:
    """What to warn of: environments that deploy to the subscription in which all states and keys lie, if any do."""
    found = [name for name, one in environments.items() if one.subscription_id == own_subscription.lower()]
    if not found:
        return None
    return (
        f"{', '.join(found)} deploys to the subscription in which the state of every environment lies: as a "
        "Contributor there its pipeline could delete the states and keys of the others. Next step: run this signed in "
        "to a subscription of its own (ARM_SUBSCRIPTION_ID)"
    )


def variables(names: Names, environments: Mapping[str, Environment], of: tuple[str, ...]) -> dict[str, str]:
    """Variables of a GitHub environment that say where its stacks are; the script takes those of the stack's name."""
    found: dict[str, str] = {}
    for name in of:
        suffix = f"_{name.upper()}"
        found[f"PULUMI_BACKEND_URL{suffix}"] = names.backend(name)
        found[f"AZURE_SUBSCRIPTION_ID{suffix}"] = environments[name].subscription_id
    return found
