"""The stack's settings: the only reader of stack config.

`Settings.load(pulumi.Config())` gives frozen, checked, plain data, or raises one `SettingsError` that lists every
problem. Constraints on plain values live here; how a problem is worded is in `settings_problems.py`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Self

import pulumi
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from infra import naming
from infra.config_source import read_config
from infra.settings_problems import Expect, SettingsError, explain

MAX_NODES: Final = 100
"""Nodes of one kind. A typing error must not order a thousand VMs; quota usually ends far below (facts 4.14)."""

MAX_TASK_SLOTS: Final = 256
"""Batch's limit, or four times the VM's cores if that is less (`PoolArgs.task_slots_per_node`)."""

MIN_PASSWORD_LENGTH: Final = 12


SQL_SERVER_PATTERN: Final = (
    r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}"
    r"(,([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$"
)
"""A host name, and a port from 1 to 65535 if not 1433. The worker reads it by the same pattern; a test compares."""

SQL_DATABASE_PATTERN: Final = r"^[^;{}=\x00-\x20\x7f]([^;{}=\x00-\x1f\x7f]{0,126}[^;{}=\x00-\x20\x7f])?$"
"""A name of 1 to 128 characters. `;`, `{`, `}` and `=` have a meaning in connection strings, and the driver takes away
blanks at the ends. The worker reads it by the same pattern; a test compares."""


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
    Expect("an object id like 11111111-2222-3333-4444-555555555555", "find it with `az ad signed-in-user show`"),
]
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


class PoolSettings(Section):
    """The pool: how many nodes of which size, and what they carry."""

    name: Annotated[
        str,
        Field(pattern=naming.POOL_PATTERN),
        Expect("1 to 51 letters, digits, - or _", "job files name it in job.pool; a hash is added to it"),
    ] = "default"
    vm_size: Annotated[
        str,
        Field(pattern=r"^[Ss]tandard_[A-Za-z0-9_-]+$"),
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
        Field(pattern=SQL_DATABASE_PATTERN),
        Expect(
            "a database name of 1 to 128 characters without ; { } = and without blanks at its ends", "like worklist"
        ),
    ]


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
        str, Field(pattern=r"^[a-z]+[a-z0-9]*$"), Expect("an Azure region like westeurope", "lower case, no spaces")
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
    worker: Annotated[WorkerSettings, Expect("a section with base_image", "see Pulumi.dev.yaml")]
    sql: Annotated[SqlSettings, Expect("a section with server and database", "see Pulumi.dev.yaml")]
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
