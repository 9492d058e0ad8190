"""The stack's settings: the only reader of stack config.

`Settings.load(pulumi.Config())` gives frozen, checked, plain data, or raises one `SettingsError` that lists every
problem. Constraints on plain values live here; how a problem is worded is in `settings_problems.py`.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from typing import Annotated, Any, Final, Self

import pulumi
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from infra import naming
from infra.config_source import read_config
from infra.settings_problems import Expect, Problem, SettingsError, explain

MAX_NODES: Final = 100
"""Nodes of one kind. A typing error must not order a thousand VMs; quota usually ends far below."""

MAX_TASK_SLOTS: Final = 256
"""Batch's limit, or four times the VM's cores if that is less (`PoolArgs.task_slots_per_node`)."""

MIN_PASSWORD_LENGTH: Final = 12

MAX_SOFT_DELETE_DAYS: Final = 365
"""Azure's limit (`DeleteRetentionPolicyArgs.days`)."""

MAX_TAGS: Final = 50
MAX_TAG_VALUE: Final = 256
_TAG_NAME: Final = re.compile(r"[^<>%&\\?/]{1,128}")
"""Storage accounts allow 128 characters, other resources 512."""


# The worker reads both by the same rules (worker/docker_worker/settings.py); a test compares.
SQL_SERVER_PATTERN: Final = (
    r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
    r"(,([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$"
)
SQL_DATABASE_LENGTH: Final = 128
"""Units of UTF-16: a database's name is a `sysname` (learn.microsoft.com/sql/relational-databases/databases)."""


def _database(name: str) -> str:
    """A database's name: any printable characters (the worker quotes them), without blanks at its ends."""
    units = sum(2 if ord(character) > 0xFFFF else 1 for character in name)
    if not 0 < units <= SQL_DATABASE_LENGTH or name != name.strip():
        raise PydanticCustomError("database_name", "not the name of a database")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise PydanticCustomError("database_name", "not the name of a database")
    return name


class PrincipalType(StrEnum):
    """ARM's `principalType` values that a submitter can have."""

    USER = "User"
    GROUP = "Group"
    SERVICE_PRINCIPAL = "ServicePrincipal"


class Section(BaseModel):
    """Frozen, and closed: a key that is not declared is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


_Nodes = Annotated[
    int,
    Field(ge=0, le=MAX_NODES, strict=True),
    Expect(f"a whole number 0..{MAX_NODES}", "change it or raise MAX_NODES in infra/settings.py"),
]
_Guid = Annotated[
    str,
    Field(pattern=r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"),
    AfterValidator(str.lower),
    Expect("an object id like 11111111-2222-3333-4444-555555555555", "find it with `az ad signed-in-user show`"),
]
_CLOUD: Final = Expect("an id like 11111111-2222-3333-4444-555555555555", "find it with `az account show`")
_PrincipalType = Annotated[
    PrincipalType, Expect("User, Group or ServicePrincipal", "write what the object id belongs to")
]
_Family = Annotated[
    str,
    Field(pattern=naming.FAMILY_PATTERN),
    Expect("1 to 64 letters, digits, - or _, like nightly-load", "rename the family; job files name it in job.family"),
]
_Password = Annotated[
    SecretStr,
    Field(min_length=MIN_PASSWORD_LENGTH),
    Expect(f"at least {MIN_PASSWORD_LENGTH} characters", "pulumi config set --secret {key}"),
]


def _azure_tags(tags: dict[str, str]) -> dict[str, str]:
    """Azure's limits on tags (learn.microsoft.com/azure/azure-resource-manager/management/tag-resources)."""
    if len(tags) > MAX_TAGS:
        raise ValueError(f"tags: there are {len(tags)}, Azure allows {MAX_TAGS}; leave some out")
    for name, value in tags.items():
        if not _TAG_NAME.fullmatch(name):
            raise ValueError(f"tags: the name {name!r} cannot be used; take 1 to 128 characters without <>%&\\?/")
        if not 0 < len(value) <= MAX_TAG_VALUE:
            raise ValueError(f"tags: {name} has {len(value)} characters; write 1 to {MAX_TAG_VALUE}")
    if len({name.lower() for name in tags}) < len(tags):
        raise ValueError(f"tags: {', '.join(tags)} differ in case only; for Azure these are the same name")
    return tags


class PoolSettings(Section):
    """The pool: how many nodes of which size, and what they carry."""

    name: Annotated[
        str,
        Field(pattern=naming.POOL_PATTERN),
        Expect("1 to 51 letters, digits, - or _", "job files name it in job.pool; a hash is added to it"),
    ] = "default"
    vm_size: Annotated[
        str,
        Field(pattern=r"^[Ss][Tt][Aa][Nn][Dd][Aa][Rr][Dd]_[A-Za-z0-9_-]+$"),
        AfterValidator(naming.vm_size),
        Expect("a VM size like Standard_D2ads_v5", "take one of `az batch location list-skus`, generation 2"),
    ]
    dedicated_nodes: _Nodes
    spot_nodes: _Nodes = 0
    task_slots_per_node: Annotated[
        int,
        Field(ge=1, le=MAX_TASK_SLOTS, strict=True),
        Expect(f"a whole number 1..{MAX_TASK_SLOTS}", "at most four times the VM size's cores"),
    ] = 1
    prefetch_worker_image: Annotated[
        bool,
        Field(strict=True),
        Expect("true or false", "true pulls the image at boot, and a new one replaces the pool"),
    ] = False


class WorkerSettings(Section):
    """What the worker image is built on, and where its source is kept."""

    base_image: Annotated[
        str,
        Field(pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]*$"),
        AfterValidator(naming.image_reference),
        Expect(
            "an image reference like python:3.12-slim-bookworm", "it needs python3 with venv, apt and ca-certificates"
        ),
    ]
    source: Annotated[
        str | None,
        Field(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~-]+)*/?$"),
        Expect("an address like https://git.example/team/project", "the image's label says where its source is"),
    ] = None


class SqlSettings(Section):
    """The database that tasks work on. It exists already; `docs/sql.md` says how the node identity gets in."""

    server: Annotated[
        str,
        Field(pattern=SQL_SERVER_PATTERN),
        Expect("a host name, with ,port if not 1433", "like my-server.database.windows.net"),
    ]
    database: Annotated[
        str,
        AfterValidator(_database),
        Expect("a database name of 1 to 128 characters without blanks at its ends", "like worklist"),
    ]


class StorageSettings(Section):
    """The storage account: how long deleted job output can be brought back."""

    soft_delete_days: Annotated[
        int,
        Field(ge=0, le=MAX_SOFT_DELETE_DAYS, strict=True),
        Expect(f"a whole number 0..{MAX_SOFT_DELETE_DAYS}", "0 deletes at once; kept blobs are paid for"),
    ] = 0
    """For blobs and whole containers alike."""


class Submitter(Section):
    """Somebody who may submit jobs and read their output."""

    object_id: _Guid
    type: _PrincipalType


class Users(Section):
    """The pool's accounts: one that may administer a node, one that may not."""

    admin_name: str = "batchadmin"
    user_name: str = "batchuser"
    admin_password: pulumi.Output[str] = Field(repr=False)
    user_password: pulumi.Output[str] = Field(repr=False)

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Settings(Section):
    """All of a stack's config under this project's name. Attribute names are the YAML keys, secrets apart."""

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
    pool: Annotated[PoolSettings, Expect("a section with vm_size and dedicated_nodes", "see Pulumi.dev.yaml")]
    storage: Annotated[StorageSettings, Expect("a section with soft_delete_days", "see Pulumi.prod.yaml")] = (
        StorageSettings()
    )
    worker: Annotated[WorkerSettings, Expect("a section with base_image", "see Pulumi.dev.yaml")]
    sql: Annotated[SqlSettings, Expect("a section with server and database", "see Pulumi.dev.yaml")]
    subscription_id: Annotated[_Guid | None, _CLOUD] = None
    tenant_id: Annotated[_Guid | None, _CLOUD] = None
    """Where this stack belongs, if given: a deployment that is signed in elsewhere stops before anything is made."""
    tags: Annotated[
        dict[str, str],
        AfterValidator(_azure_tags),
        Expect("names and texts like {environment: prod, owner: team-batch}", "put a number in quotes"),
    ] = {}
    """On every resource that Azure gives tags. docs/policy.md says which ones production must have."""
    protect: Annotated[
        bool,
        Expect("true or false", "true keeps all that holds data from `pulumi destroy` and from replacements"),
    ] = False
    deployer_type: _PrincipalType = PrincipalType.USER
    submitters: Annotated[
        tuple[Submitter, ...] | None,
        Expect("a list of {object_id, type}", "leave it out to let the deployer submit"),
    ] = None
    admin_password: Annotated[_Password, Field(alias="adminPassword")]
    user_password: Annotated[_Password, Field(alias="userPassword")]

    @classmethod
    def load(cls, config: pulumi.Config) -> Self:
        """Read, check and freeze the stack's config."""
        file = f"Pulumi.{pulumi.get_stack()}.yaml"
        values, problems = read_config(config, cls)
        try:
            settings = cls.model_validate(values)
        except ValidationError as error:
            problems += explain(error, cls, already={problem.key for problem in problems})
            settings = None
        if problems or settings is None:
            raise SettingsError(file, problems)
        return settings

    @model_validator(mode="after")
    def _families_have_their_own_containers(self) -> Self:
        seen: dict[str, str] = {}
        for family in self.families:
            other = seen.setdefault(naming.job_container(family), family)
            if other is not family:
                raise ValueError(f"families: {family!r} and {other!r} would share a container; rename one of them")
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

    @model_validator(mode="after")
    def _submitters_differ(self) -> Self:
        ids = [submitter.object_id for submitter in self.submitters or ()]
        if twice := [one for one in dict.fromkeys(ids) if ids.count(one) > 1]:
            raise ValueError(f"submitters: {twice[0]} is there twice; remove one of them")
        return self

    @property
    def users(self) -> Users:
        """The pool's accounts, passwords as Pulumi secrets."""
        return Users(
            admin_password=pulumi.Output.secret(self.admin_password.get_secret_value()),
            user_password=pulumi.Output.secret(self.user_password.get_secret_value()),
        )

    def submitters_or(self, deployer_object_id: str) -> tuple[Submitter, ...]:
        """Those who may submit: the deployer, unless the stack names others."""
        if self.submitters is not None:
            return self.submitters
        return (
            Submitter.model_construct(object_id=deployer_object_id, type=self.deployer_type),
        )  # no config: as it is


def yaml_keys(model: type[BaseModel] = Settings) -> dict[str, Any]:
    """The keys a stack file may have (top level), with their field: docs and tests compare against it."""
    return {field.alias or name: field for name, field in model.model_fields.items()}
