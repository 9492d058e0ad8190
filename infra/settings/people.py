"""What a stack file says of people and pipelines: who may run jobs, and who may push images. Plain data, checked."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator

from infra.settings.problems import Expect, Refused
from infra.settings.types import Guid, Section


class PrincipalType(StrEnum):
    """ARM's `principalType` values that a person, group or pipeline can have."""

    USER = "User"
    GROUP = "Group"
    SERVICE_PRINCIPAL = "ServicePrincipal"


class SubmitterRole(StrEnum):
    """What a submitter may do."""

    SUBMIT = "submit"
    """Submit and manage jobs, read pools and output."""
    OPERATE = "operate"
    """Also change pools and nodes: resize, reboot, log in. May delete a pool."""


DEPLOYER: Final = "deployer"
"""Stands for whoever runs `pulumi`: right for one person's own stack, wrong where two deploy the same one."""

_USER_CLIENTS: Final = frozenset({"", "04b07795-8ddb-461a-bbee-02f9e1bf7b46", "1950a258-227b-4e31-a9cf-717495945fc2"})
"""Client ids with which a person is signed in: the Azure CLI's and Azure PowerShell's. A guess where there is none."""


class Principal(Section):
    """A person, group or service principal."""

    object_id: Guid
    type: Annotated[PrincipalType, Expect("User, Group or ServicePrincipal", "write what the object id belongs to")]

    def resolved(self, object_id: str, client_id: str) -> tuple[str, PrincipalType]:
        """Object id and type, where the deployer is signed in as `object_id` with the client `client_id`."""
        if self.object_id != DEPLOYER:
            return self.object_id, self.type
        person = client_id.lower() in _USER_CLIENTS
        return object_id, PrincipalType.USER if person else PrincipalType.SERVICE_PRINCIPAL


class Submitter(Principal):
    """Somebody who may submit jobs and read their output."""

    role: Annotated[SubmitterRole, Expect("submit or operate", "operate may also resize, reboot and delete pools")] = (
        SubmitterRole.SUBMIT
    )


def _or_deployer(value: Any) -> Any:
    if value == DEPLOYER:  # no object id yet, so it is not validated
        one = {"object_id": DEPLOYER, "type": PrincipalType.USER, "role": SubmitterRole.OPERATE}
        return (Submitter.model_construct(**one),)
    return value


def _once_each(principals: tuple[Any, ...]) -> tuple[Any, ...]:
    ids = [principal.object_id for principal in principals]
    for one in ids:
        if ids.count(one) > 1:
            raise Refused("", "each object id once", f"{one} {ids.count(one)} times", "remove one of them")
    return principals


_PRINCIPALS: Final = Expect(
    "a list of {object_id, type}, or the word deployer", "deployer is right for one person's own stack only"
)
SUBMITTERS: Final = Expect(
    "a list of {object_id, type, role}, or the word deployer", "deployer is right for one person's own stack only"
)
Submitters = Annotated[tuple[Submitter, ...], BeforeValidator(_or_deployer), AfterValidator(_once_each), SUBMITTERS]
Pushers = Annotated[tuple[Principal, ...], BeforeValidator(_or_deployer), AfterValidator(_once_each), _PRINCIPALS]
