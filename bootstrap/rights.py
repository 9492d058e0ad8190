"""Which identities the pipelines have, and the least that each may do. Plain data: the program and the proofs read it.

Role ids: learn.microsoft.com/azure/role-based-access-control/built-in-roles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from infra.access.roles import Role


class PipelineRole(Enum):
    """A built-in role that a pipeline's identity gets; the value is its role definition id."""

    READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
    CONTRIBUTOR = "b24988ac-6180-42a0-ab88-20f7382dd24c"
    ROLE_BASED_ACCESS_CONTROL_ADMINISTRATOR = "f58310d9-a9f6-439a-9e8d-f62e7b41a168"
    ACR_PULL = "7f951dda-4ed3-4680-a7ca-43fe172d538d"
    STORAGE_BLOB_DATA_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"
    STORAGE_BLOB_DATA_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"
    KEY_VAULT_CRYPTO_USER = "12338af0-0e69-4776-bea7-57ae8d297424"


class Scope(Enum):
    """What a right is about; every environment has its own."""

    SUBSCRIPTION = "the subscription that the environment deploys to"
    STATE = "the container with the environment's Pulumi state"
    KEY = "the key that seals the environment's secrets"


@dataclass(frozen=True)
class Right:
    """One role on one scope, and the step that fails without it."""

    role: PipelineRole
    scope: Scope
    needed_for: str
    conditional: bool = False
    """Restricted by `assignment_condition`."""


@dataclass(frozen=True)
class Identity:
    """A user-assigned identity that one GitHub environment signs in as."""

    name: str
    """Also the name of the GitHub environment."""
    grants: tuple[tuple[Right, str], ...]
    """Each right, and the environment whose scope it is on."""

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments that it reaches."""
        return tuple(dict.fromkeys(environment for _, environment in self.grants))


READS: Final = (
    Right(PipelineRole.READER, Scope.SUBSCRIPTION, "reading what exists (preview, refresh)"),
    Right(
        PipelineRole.STORAGE_BLOB_DATA_READER,
        Scope.STATE,
        "reading the state; a preview takes no lock and writes nothing",
    ),
    Right(PipelineRole.KEY_VAULT_CRYPTO_USER, Scope.KEY, "opening the state's secrets, to see whether they change"),
)
"""Of identities that never change anything."""

CHANGES: Final = (
    Right(PipelineRole.CONTRIBUTOR, Scope.SUBSCRIPTION, "making, changing and deleting resources; pushing the image"),
    Right(
        PipelineRole.ROLE_BASED_ACCESS_CONTROL_ADMINISTRATOR,
        Scope.SUBSCRIPTION,
        "giving and taking the roles that the program assigns, and no others",
        conditional=True,
    ),
    Right(PipelineRole.STORAGE_BLOB_DATA_CONTRIBUTOR, Scope.STATE, "the state and its lock"),
    Right(PipelineRole.KEY_VAULT_CRYPTO_USER, Scope.KEY, "sealing and opening the state's secrets"),
)
"""Of identities that deploy or destroy."""

TAKES_IMAGES: Final = (
    Right(PipelineRole.ACR_PULL, Scope.SUBSCRIPTION, "copying the image that proved itself, by digest"),
    Right(PipelineRole.STORAGE_BLOB_DATA_READER, Scope.STATE, "reading which image that is"),
    Right(PipelineRole.KEY_VAULT_CRYPTO_USER, Scope.KEY, "reading which image that is"),
)
"""On the environment that another one takes its image from."""

ALL_ENVIRONMENTS: Final = (("preview", READS), ("drift", READS), ("destroy", CHANGES))


def identities(environments: Mapping[str, str | None]) -> tuple[Identity, ...]:
    """All identities: those that serve every environment, then one that deploys each.

    `environments`: name -> the environment that it takes its image from, if any.
    """
    shared = (
        Identity(name, tuple((right, environment) for environment in environments for right in rights))
        for name, rights in ALL_ENVIRONMENTS
    )
    deploying = (
        Identity(
            name,
            (*((right, name) for right in CHANGES), *((right, source) for right in TAKES_IMAGES if source is not None)),
        )
        for name, source in environments.items()
    )
    return (*shared, *deploying)


def assignment_condition(roles: Iterable[str] = tuple(role.value for role in Role)) -> str:
    """The condition on Role Based Access Control Administrator: only the roles that the program assigns.

    So who takes over a pipeline cannot make itself, or anybody, Owner.
    Format: learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples
    """
    ids = ", ".join(sorted(roles))
    attribute = "Microsoft.Authorization/roleAssignments:RoleDefinitionId"
    parts = (
        f"((!(ActionMatches{{'Microsoft.Authorization/roleAssignments/{verb}'}})) OR "
        f"(@{source}[{attribute}] ForAnyOfAnyValues:GuidEquals {{{ids}}}))"
        for verb, source in (("write", "Request"), ("delete", "Resource"))
    )
    return " AND ".join(parts)
