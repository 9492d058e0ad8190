"""What people and pipelines may do who submit work: run jobs, and read what the jobs wrote.

An Owner or Contributor of the subscription has no right to tasks or blobs by itself: those are data actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from infra.access import assign
from infra.batch_account import BatchAccount
from infra.naming import TYPE_PREFIX
from infra.roles import Role
from infra.settings import Submitter
from infra.storage import Storage


@dataclass(frozen=True, kw_only=True)
class SubmitterAccessArgs:
    """The people and pipelines that submit work, and what they submit to and read from."""

    submitters: Sequence[Submitter]
    account: BatchAccount
    storage: Storage


class SubmitterAccess(pulumi.ComponentResource):
    """Lets each submitter run jobs on the Batch account and read what they wrote."""

    def __init__(self, name: str, args: SubmitterAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare two assignments for each submitter."""
        super().__init__(f"{TYPE_PREFIX}:SubmitterAccess", name, {}, opts)
        for submitter in args.submitters:
            for role, scope in (
                (Role.AZURE_BATCH_DATA_CONTRIBUTOR, args.account.id),
                (Role.STORAGE_BLOB_DATA_READER, args.storage.account.id),
            ):
                assign(
                    f"{name}-{role.name.lower().replace('_', '-')}-{submitter.object_id}",
                    role=role,
                    scope=scope,
                    principal_id=submitter.object_id,
                    principal_type=submitter.type,
                    parent=self,
                )
        self.register_outputs({})
