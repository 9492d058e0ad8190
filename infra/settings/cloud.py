"""What a stack file says of services around the pools: worker image, database, storage, registry, identity, monitoring.

Plain data, checked. A section with an `id` names something that exists already: the program makes it not, changes
nothing of it but role assignments, and never deletes it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from infra import naming
from infra.settings.people import Pushers
from infra.settings.problems import Expect, Refused
from infra.settings.types import (
    EXAMPLE_ID,
    Guid,
    IdentityId,
    RegistryId,
    Section,
    StorageId,
    WorkspaceId,
)

FIRST_BUDGET: Final = date(2017, 6, 1)
"""Azure has no budgets that begin before (`BudgetTimePeriodArgs.start_date`)."""
MAX_MAIL_ADDRESS: Final = 254
"""RFC 5321."""
MAX_SOFT_DELETE_DAYS: Final = 365
"""Azure's limit (`DeleteRetentionPolicyArgs.days`)."""

# The worker reads both by the same rules (worker/docker_worker/settings.py); a test compares.
SQL_SERVER_PATTERN: Final = (
    r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
    r"(,([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?$"
)
SQL_DATABASE_LENGTH: Final = 128
"""Units of UTF-16: a database's name is a `sysname` (learn.microsoft.com/sql/relational-databases/databases)."""

EXAMPLE_DIGEST: Final = "sha256:" + "0" * 64
"""Stands in a stack file until an image is promoted there. `up` refuses it."""

_HOST: Final = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?"


class WorkerSettings(Section):
    """The worker image: built from `worker/` on a base image, or one that exists, by digest."""

    base_image: Annotated[
        str | None,
        Field(pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]*$"),
        AfterValidator(lambda text: None if text is None else naming.image_reference(text)),
        Expect(
            "an image reference like python:3.12-slim-bookworm", "it needs python3 with venv, apt and ca-certificates"
        ),
    ] = None
    source: Annotated[
        str | None,
        Field(pattern=r"^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~-]+)*/?$"),
        Expect("an address like https://git.example/team/project", "the image's label says where its source is"),
    ] = None
    image: Annotated[
        str | None,
        Field(pattern=r"^([A-Za-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-][a-z0-9]+)*@sha256:[0-9a-fA-F]{64}$"),
        AfterValidator(lambda text: None if text is None else naming.image_reference(text)),
        Expect(
            "an image by digest like docker-worker@sha256:...; without a server it is the stack's registry",
            "`python -m ci.promote` copies an image and writes it here",
        ),
    ] = None

    @model_validator(mode="after")
    def _is_built_or_given(self) -> Self:
        if (self.base_image is None) == (self.image is None):
            got = "neither" if self.image is None else "both"
            raise Refused("", "either base_image (it is built) or image (it exists)", got, "see docs/settings.md")
        if self.image is not None and self.source is not None:
            raise Refused("source", "no source beside image", repr(self.source), "the image's own label says it")
        return self


class SqlSettings(Section):
    """The database that tasks work on. It exists already; `docs/sql.md` says how the node identity gets in."""

    server: Annotated[
        str,
        Field(pattern=SQL_SERVER_PATTERN),
        Expect("a host name, with ,port if not 1433", "like my-server.database.windows.net"),
    ]
    database: Annotated[
        str,
        AfterValidator(lambda name: _database(name)),
        Expect("a database name of 1 to 128 characters without blanks at its ends", "like worklist"),
    ]


def _database(name: str) -> str:
    """A database's name: any printable characters (the worker quotes them), without blanks at its ends."""
    units = sum(2 if ord(character) > 0xFFFF else 1 for character in name)
    if not 0 < units <= SQL_DATABASE_LENGTH or name != name.strip():
        raise PydanticCustomError("database_name", "not the name of a database")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise PydanticCustomError("database_name", "not the name of a database")
    return name


class StorageSettings(Section):
    """The storage account: an existing one, or how long deleted job output can be brought back in our own."""

    id: StorageId | None = None
    """An existing account. It has a container for each family already (`job-<family>`)."""
    blob_endpoint: Annotated[
        str | None,
        Field(pattern=rf"^https://{_HOST}/?$"),
        Expect("an address like https://name.blob.core.windows.net", "`az storage account show` has primaryEndpoints"),
    ] = None
    """Of the existing account, if it is not `https://NAME.blob.core.windows.net/`."""
    soft_delete_days: Annotated[
        int,
        Field(ge=0, le=MAX_SOFT_DELETE_DAYS, strict=True),
        Expect(f"a whole number 0..{MAX_SOFT_DELETE_DAYS}", "0 deletes at once; kept blobs are paid for"),
    ] = 0
    """For blobs and whole containers alike."""

    @model_validator(mode="after")
    def _existing_or_our_own(self) -> Self:
        if self.id is not None and self.soft_delete_days:
            got = str(self.soft_delete_days)
            raise Refused("soft_delete_days", "nothing beside id: an existing account is not changed", got, "remove it")
        if self.id is None and self.blob_endpoint is not None:
            raise Refused("blob_endpoint", "id beside it", "none", "Azure says the endpoint of an account of our own")
        return self


class RegistrySettings(Section):
    """The container registry: an existing one, and who may push to it."""

    id: RegistryId | None = None
    server: Annotated[
        str | None,
        Field(pattern=rf"^{_HOST}$"),
        Expect("a host name like shared.azurecr.io", "`az acr show --query loginServer` says it"),
    ] = None
    """Of the existing registry, if it is not `NAME.azurecr.io`."""
    pushers: Pushers = ()
    """Who gets the right to push. Whoever is Contributor of a registry in classic mode has it without being named."""

    @model_validator(mode="after")
    def _server_of_an_existing_one(self) -> Self:
        if self.id is None and self.server is not None:
            raise Refused("server", "id beside it", "none", "Azure says the server of a registry of our own")
        return self


_SHOW_IDENTITY: Final = "`az identity show` prints clientId and principalId"


class NodeIdentitySettings(Section):
    """An existing identity for nodes and tasks, with the two ids that `az identity show` prints of it."""

    id: IdentityId
    client_id: Annotated[Guid, Expect(f"a client id like {EXAMPLE_ID}", _SHOW_IDENTITY)]
    principal_id: Annotated[Guid, Expect(f"an object id like {EXAMPLE_ID}", _SHOW_IDENTITY)]

    @model_validator(mode="after")
    def _the_two_ids_differ(self) -> Self:
        if self.client_id == self.principal_id:
            raise Refused("principal_id", "another id than client_id", self.principal_id, _SHOW_IDENTITY)
        return self


def _day_without_time(value: object) -> object:
    """Pulumi hands a date without quotes on as `2026-12-01 00:00:00 +0000 UTC`."""
    return value.removesuffix(" 00:00:00 +0000 UTC") if isinstance(value, str) else value


def _first_of_a_month(day: date) -> date:
    if day < FIRST_BUDGET:
        raise Refused(
            "", f"{FIRST_BUDGET} or later, which Azure wants", str(day), "write the present month's first day"
        )
    if day.day != 1:
        raise Refused("", "the first day of a month", str(day), f"write {day.replace(day=1)}")
    return day


def _differ_in_more_than_case(addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Each address is a receiver of the action group, whose names have no case."""
    for one in addresses:
        if sum(other.lower() == one.lower() for other in addresses) > 1:
            raise Refused("", "each address once", f"{one} twice", "remove one of them")
    return addresses


class Budget(Section):
    """What the stack's resource group may cost in a month before people are told. Nothing is switched off."""

    monthly_amount: Annotated[
        int,
        Field(ge=1, le=10_000_000, strict=True),
        Expect("a whole number of the subscription's currency, 1 or more", "per month"),
    ]
    since: Annotated[
        date,
        BeforeValidator(_day_without_time),
        AfterValidator(_first_of_a_month),
        Expect("a date like 2026-12-01", "the first day of a month"),
    ]
    """The first month, which Azure cannot change afterwards."""


class MonitoringSettings(Section):
    """Logs and metrics to a workspace, and five alerts by mail."""

    workspace_id: WorkspaceId
    emails: Annotated[
        tuple[
            Annotated[
                str,
                Field(pattern=r"^[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+$", max_length=MAX_MAIL_ADDRESS),
                Expect("a mail address", "like team@example.com"),
            ],
            ...,
        ],
        Field(min_length=1, max_length=20),
        AfterValidator(_differ_in_more_than_case),
        Expect("a list of 1 to 20 mail addresses", "they get alerts and the budget's warnings"),
    ]
    task_failure_percent: Annotated[
        int, Field(ge=1, le=100, strict=True), Expect("a whole number 1..100", "of the tasks that end in 30 minutes")
    ] = 25
    active_jobs: Annotated[
        int,
        Field(ge=1, le=100_000, strict=True),
        Expect("a whole number 1..100000", "somewhat less than the account's quota of active jobs (default 300)"),
    ] = 250
    budget: Annotated[
        Budget | None,
        Expect("a section like {monthly_amount: 500, since: 2026-12-01}", "left out: nobody gets mail about costs"),
    ] = None


AutoStorage = Literal["managed_identity", "none"]


def example_values(section: Section, key: str = "") -> list[tuple[str, str]]:
    """The keys under which examples still stand, and the examples: what only the stack's owner knows is missing."""
    found: list[tuple[str, str]] = []
    for name in type(section).model_fields:
        found += _examples_in(getattr(section, name), f"{key}.{name}" if key else name)
    return found


def _examples_in(value: Any, key: str) -> list[tuple[str, str]]:
    if isinstance(value, Section):
        return example_values(value, key)
    if isinstance(value, dict):
        return [found for name, item in value.items() for found in _examples_in(item, f"{key}.{name}")]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [found for at, item in enumerate(value) for found in _examples_in(item, f"{key}[{at}]")]
    if isinstance(value, str) and re.search(f"{EXAMPLE_ID[:-1]}|{EXAMPLE_DIGEST}", value):
        return [(key, value)]
    return []
