"""The stack's settings: the only reader of stack config.

`Settings.load(pulumi.Config())` gives frozen, checked, plain data, or raises one `SettingsError` that lists every
problem. The sections are in the modules beside this one; how a problem is worded is in `problems.py`. docs/settings.md
is made from these classes by `python -m infra.settings_reference`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Self

import pulumi
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from infra import naming
from infra.settings.cloud import (
    AutoStorage,
    MonitoringSettings,
    NodeIdentitySettings,
    RegistrySettings,
    SqlSettings,
    StorageSettings,
    WorkerSettings,
    example_values,
)
from infra.settings.config_source import read_config
from infra.settings.network import NetworkSettings
from infra.settings.people import DEPLOYER, Submitters
from infra.settings.pools import PoolSettings, Users, limits
from infra.settings.problems import Expect, Problem, Refused, SettingsError, explain
from infra.settings.types import EXAMPLE_ID, FirstLevelFlag, Guid, Section

MIN_PASSWORD_LENGTH: Final = 12
MAX_TAGS: Final = 50
MAX_TAG_VALUE: Final = 256
_TAG_NAME: Final = re.compile(r"[^<>%&\\?/]{1,128}")
"""Storage accounts allow 128 characters, other resources 512."""
_RESERVED_TAGS: Final = ("microsoft", "azure", "windows")
"""Beginnings of names (Tags - Create Or Update of Azure Resource Manager)."""

_CLOUD: Final = Expect(f"an id like {EXAMPLE_ID}", "find it with `az account show`")
_Family = Annotated[
    str,
    Field(pattern=naming.FAMILY_PATTERN),
    Expect("1 to 64 letters, digits, - or _, like nightly-load", "rename the family; job files name it in job.family"),
]
_PoolName = Annotated[
    str,
    Field(pattern=naming.POOL_PATTERN),
    AfterValidator(str.lower),
    Expect("1 to 51 letters, digits, - or _", "job files name it in job.pool; a hash is added to it"),
]
_Password = Annotated[
    SecretStr,
    Field(min_length=MIN_PASSWORD_LENGTH),
    Expect(f"at least {MIN_PASSWORD_LENGTH} characters", "pulumi config set --secret {key}"),
]
PASSWORDS: Final = ("adminPassword", "userPassword")
"""The keys of the users' passwords. They are there exactly when `users` is."""


def _azure_tags(tags: Mapping[str, str]) -> Mapping[str, str]:
    """Azure's limits on tags (learn.microsoft.com/azure/azure-resource-manager/management/tag-resources)."""
    if len(tags) > MAX_TAGS:
        raise Refused("", f"at most {MAX_TAGS} tags, which is Azure's limit", str(len(tags)), "leave some out")
    for name, value in tags.items():
        if not _TAG_NAME.fullmatch(name):
            raise Refused("", "names of 1 to 128 characters without <>%&\\?/", repr(name), "rename the tag")
        if name.lower().startswith(_RESERVED_TAGS):
            form = f"names that do not begin with {', '.join(_RESERVED_TAGS)}, which Azure keeps for itself"
            raise Refused("", form, repr(name), "rename the tag")
        if not 0 < len(value) <= MAX_TAG_VALUE:
            form = f"a text of 1 to {MAX_TAG_VALUE} characters"
            raise Refused(name, form, f"one of {len(value)}", "change it")
        if not value.isprintable():
            raise Refused(name, "a text without control characters", repr(value), "write it on one line")
    if len({name.lower() for name in tags}) < len(tags):
        raise Refused("", "names that differ in more than case", ", ".join(tags), "remove one of them")
    return tags


def _differ_in_more_than_case(value: Any) -> Any:
    names = [str(name).lower() for name in value] if isinstance(value, dict) else []
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise Refused("", "names that differ in more than case", twice[0], "for Batch these are one id; rename one")
    return value


@dataclass(frozen=True, kw_only=True)
class Account:
    """One user account of every node."""

    name: str
    admin: bool
    password: SecretStr


class Settings(Section):
    """All of a stack's config under this project's name. Attribute names are the YAML keys, secrets apart."""

    RETIRED: ClassVar[Mapping[str, str]] = {
        "pool": "pools: {default: {vm_size: ..., scale: {fixed: {dedicated_nodes: ...}}}}",
        "deployer_type": "submitters: [{object_id: ..., type: ServicePrincipal, role: submit}], or the word deployer",
    }

    location: Annotated[
        str,
        Field(pattern=r"^[a-z]+[a-z0-9]*$"),
        BeforeValidator(lambda value: naming.region(value) if isinstance(value, str) else value),
        Expect("an Azure region like westeurope", "its name, or its display name (West Europe)"),
    ]
    prefix: Annotated[
        str,
        Field(pattern=naming.PREFIX_PATTERN),
        Expect("2 to 8 lower-case letters or digits, a letter first", "every resource's name begins with it"),
    ] = "abp"
    families: Annotated[
        tuple[_Family, ...],
        Field(min_length=1),
        Expect("a list of at least one job family", "each gets its own blob container"),
    ]
    pools: Annotated[
        dict[_PoolName, PoolSettings],
        BeforeValidator(lambda value: _differ_in_more_than_case(value)),
        Field(min_length=1),
        Expect("names and sections with vm_size and scale", "see Pulumi.dev.yaml"),
    ]
    worker: Annotated[WorkerSettings, Expect("a section with base_image or image", "see Pulumi.dev.yaml")]
    sql: Annotated[SqlSettings, Expect("a section with server and database", "see Pulumi.dev.yaml")]
    submitters: Submitters
    """Who may run jobs. In a stack that several people deploy these are named, so that all get the same plan."""
    users: Annotated[Users | None, Expect("a section like {}", "left out: nodes have no accounts and no passwords")] = (
        None
    )
    registry: Annotated[RegistrySettings, Expect("a section like {id: ...}", "see docs/settings.md")] = (
        RegistrySettings()
    )
    storage: Annotated[StorageSettings, Expect("a section with soft_delete_days or id", "see Pulumi.prod.yaml")] = (
        StorageSettings()
    )
    auto_storage: Annotated[
        AutoStorage, Expect("managed_identity or none", "none: the account links no storage; jobs need no link")
    ] = "managed_identity"
    node_identity: Annotated[
        NodeIdentitySettings | None, Expect("a section with id, client_id and principal_id", "az identity show")
    ] = None
    network: Annotated[NetworkSettings, Expect("a section like {subnet_id: ...}", "see docs/settings.md")] = (
        NetworkSettings()
    )
    monitoring: Annotated[
        MonitoringSettings | None, Expect("a section with workspace_id and emails", "left out: nothing is watched")
    ] = None
    subscription_id: Annotated[Guid | None, _CLOUD] = None
    tenant_id: Annotated[Guid | None, _CLOUD] = None
    """Where this stack belongs, if given: a deployment that is signed in elsewhere stops before anything is made."""
    tags: Annotated[
        Mapping[str, str],
        AfterValidator(_azure_tags),
        Expect("names and texts like {environment: prod, owner: team-batch}", "Azure's tags are texts"),
    ] = {}
    """On every resource that Azure gives tags. docs/policy.md says which ones production must have."""
    protect: Annotated[
        FirstLevelFlag,
        Expect("true or false", "true keeps all that holds data from `pulumi destroy` and from replacements"),
    ] = False
    admin_password: Annotated[_Password | None, Field(alias="adminPassword")] = None
    user_password: Annotated[_Password | None, Field(alias="userPassword")] = None

    @classmethod
    def load(cls, config: pulumi.Config) -> Self:
        """Read, check and freeze the stack's config."""
        file = f"Pulumi.{pulumi.get_stack()}.yaml"
        values, problems = read_config(config, cls)
        problems += _password_problems(values)
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            problems += explain(error, cls, already={problem.key for problem in problems})
            settings = None
        if settings is not None and not pulumi.runtime.is_dry_run():
            problems += [
                Problem(
                    key, "your own value before `up`", f"the example {value}", "only you know it; see docs/settings.md"
                )
                for key, value in example_values(settings)
            ]
        if problems or settings is None:
            raise SettingsError(file, problems)
        return settings

    @model_validator(mode="after")
    def _families_have_their_own_containers(self) -> Self:
        seen: dict[str, str] = {}
        for family in self.families:
            other = seen.setdefault(naming.job_container(family), family)
            if other is not family:
                got = f"{family!r} and {other!r}, which would share one"
                raise Refused("families", "names with containers of their own", got, "rename one of them")
        return self

    @model_validator(mode="after")
    def _a_protected_stack_names_its_submitters(self) -> Self:
        if self.protect and any(submitter.object_id == DEPLOYER for submitter in self.submitters):
            form = "a list of {object_id, type, role} where protect is true"
            raise Refused("submitters", form, DEPLOYER, "a stack of several people must not depend on who deploys it")
        return self

    @model_validator(mode="after")
    def _nodes_fit_their_network(self) -> Self:
        nodes = sum(sum(limits(pool.scale)) for pool in self.pools.values())
        if self.network.room is not None and nodes > self.network.room:
            form = f"a subnet with room for the {nodes} nodes of all pools"
            raise Refused("network.subnet_range", form, f"room for {self.network.room}", "take a larger subnet")
        for name, pool in self.pools.items():
            if pool.ssh_from and not self.network.public_ips:
                got = "public_ips: false"
                raise Refused(
                    f"pools.{name}.ssh_from", "nodes with public addresses", got, "use your own network's way in"
                )
        return self

    def require_cloud(self, subscription_id: str, tenant_id: str) -> None:
        """Refuse to go on (`SettingsError`) when the deployer is signed in to another cloud than the stack names."""
        fix = "sign in there (`az account set`, ARM_SUBSCRIPTION_ID, ARM_TENANT_ID), or correct the stack's file"
        problems = [
            Problem(key, f"{named}, where this stack belongs", f"a deployer that is signed in to {actual}", fix)
            for key, named, actual in (
                ("subscription_id", self.subscription_id, subscription_id),
                ("tenant_id", self.tenant_id, tenant_id),
            )
            if named is not None and named.lower() != actual.lower()
        ]
        if problems:
            raise SettingsError(f"Pulumi.{pulumi.get_stack()}.yaml", problems)

    @property
    def registry_is_private(self) -> bool:
        """Whether the registry gets a private endpoint."""
        endpoints = self.network.private_endpoints
        return endpoints is not None and endpoints.registry_zone_id is not None

    @property
    def accounts(self) -> Sequence[Account]:
        """The user accounts of every node; none without `users`."""
        if self.users is None or self.admin_password is None or self.user_password is None:
            return ()
        return (
            Account(name=self.users.admin_name, admin=True, password=self.admin_password),
            Account(name=self.users.user_name, admin=False, password=self.user_password),
        )


def _password_problems(values: Mapping[str, Any]) -> list[Problem]:
    """The passwords belong to `users`: they are there with it, and not without it."""
    if "users" in values:
        form = f"at least {MIN_PASSWORD_LENGTH} characters"
        return [
            Problem(key, form, None, f"run `pulumi config set --secret {key}`")
            for key in PASSWORDS
            if key not in values
        ]
    fix = "remove it (`pulumi config rm {}`), or write users: {{}}"
    return [Problem(key, "no password without users", "one", fix.format(key)) for key in PASSWORDS if key in values]


def yaml_keys(model: type[BaseModel] = Settings) -> dict[str, Any]:
    """The keys a stack file may have (top level), with their field: docs and tests compare against it."""
    return {field.alias or name: field for name, field in model.model_fields.items()}
