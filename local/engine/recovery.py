"""What a dead engine left open, settled by the next run.

The state file names each operation before a provider is asked for it (see `snapshot`), so after a kill it says what may
or may not have happened:

- an update or a delete: the resource is read again before it is compared (`refreshed`), or deleted again;
- a create of something the program still wants: Create runs again, with the name of the first attempt (its inputs are
  given to Check as the old ones). If the provider says that the resource exists, it is ours: it is read and adopted;
- a create of something that nobody wants any more: its id is learnt from a Create in preview, or else from Create
  itself, and if it exists it is deleted with the rest (`adopt_unwanted`).

So nothing is doubled and nothing is left behind. Only entries that were in the file at the start of this run count:
a provider that says "already exists" without such an entry means somebody else's resource.
"""

from __future__ import annotations

import copy

from local.engine.codec import plain, remark
from local.engine.errors import AlreadyExists, EngineError, InitFailed, PluginFailed, ProviderError
from local.engine.goal import Goal, Op, Step
from local.engine.provider_client import Answer, ProviderClient
from local.engine.providers import Providers
from local.engine.session import Session
from local.engine.snapshot import Pending
from local.engine.state import Resource, now
from local.engine.urn import Urn, name_of, type_of


class Recovery:
    """The entries of earlier runs."""

    def __init__(self, session: Session, providers: Providers) -> None:
        self._session, self._providers = session, providers
        self._snapshot = session.snapshot
        self._inherited = list(session.snapshot.pending)

    def announce(self) -> None:
        """Say what was found."""
        if self._inherited:
            what = ", ".join(f"{entry.kind} {_words(entry.resource)}" for entry in self._inherited)
            how = "`up` settles this" if self._session.preview else "settling this now"
            text = f"an earlier run ended while {len(self._inherited)} operation(s) were under way: {what}; {how}"
            self._session.note("warning", "", text)

    def attempts(self, urn: Urn) -> list[Pending]:
        """Creations of this URN whose end is not known, the latest last."""
        return [e for e in self._snapshot.unsettled(urn, "creating") if e in self._inherited]

    def refreshed(self, client: ProviderClient, old: Resource) -> Resource:
        """The prior state, read again if an update or delete of it was interrupted."""
        entries = self._entries(old)
        if not entries or not client.configured:
            return old
        answer = client.read(old.urn, old.id, old.outputs, old.inputs)
        new = copy.copy(old)
        if answer.id:
            new.outputs = old.sealed(answer.outputs)
            new.inputs = old.inputs if answer.inputs is None else answer.inputs
        else:
            new.pending_replacement = True
        with self._snapshot.lock:
            self._snapshot.place(old, new)
            self.drop(entries)
        with self._session.lock:
            self._session.olds[old.urn] = new
        self._snapshot.commit()
        return new

    def settled(self, resource: Resource) -> None:
        """The resource is gone or in a known state: its entries of earlier runs say nothing any more."""
        self.drop(self._entries(resource))

    def was_deleted(self, client: ProviderClient, resource: Resource) -> bool:
        """Whether an interrupted delete had taken effect."""
        if not any(entry.kind == "deleting" for entry in self._entries(resource)):
            return False
        return not client.read(resource.urn, resource.id, resource.outputs, resource.inputs).id

    def created(self, new: Resource) -> None:
        """The creation was repeated and is known now. Under the snapshot's lock; the caller commits."""
        self.drop([e for e in self.attempts(new.urn) if plain(e.resource.inputs) == plain(new.inputs)])

    def drop(self, entries: list[Pending]) -> None:
        """Take entries out of the state. The caller commits."""
        with self._snapshot.lock:
            self._snapshot.pending = [e for e in self._snapshot.pending if e not in entries]

    def _entries(self, resource: Resource) -> list[Pending]:
        entries = self._snapshot.unsettled(resource.urn, "updating", "deleting")
        return [e for e in entries if e in self._inherited and e.resource.id == resource.id]

    # -- adopting

    def adopt(self, client: ProviderClient, goal: Goal, attempt: Pending, resource_id: str) -> Resource:
        """What the first attempt made, as the state has it if that attempt had been recorded. The caller places it."""
        answer = client.read(goal.urn, resource_id, {}, None)
        if not answer.id:
            raise ProviderError(f"'{resource_id}' is said to exist, but cannot be read")
        adopted = _as_found(goal.resource(), attempt.resource, answer)
        self._session.note(
            "info", goal.urn, f"an interrupted run had created {resource_id}; it is taken over instead of created again"
        )
        return adopted

    def adopt_unwanted(self) -> None:
        """Creations that this run did not repeat: what exists of them is put on the list of deletions."""
        for entry in [e for e in self._inherited if e.kind == "creating" and e in self._snapshot.pending]:
            try:
                found = self._found(entry.resource)
            except PluginFailed:
                raise
            except EngineError as error:
                self._session.note("warning", entry.resource.urn, f"it stays unknown whether this exists: {error}")
                continue
            with self._snapshot.lock:
                if found is not None:
                    self._snapshot.place(None, found)
                self.drop([entry])
            self._snapshot.commit()

    def _found(self, attempt: Resource) -> Resource | None:
        client = self._providers.client(attempt.provider)
        live = self._snapshot.live().get(attempt.urn)
        if live is not None and live.lives_in_cloud:
            opinion = client.diff(live, attempt.inputs, [])
            if opinion is None or not opinion.replaces:
                return None  # what the attempt made, if anything, is what is live now (an image's tag, say)
        resource_id = self._id_of(client, attempt)
        if not resource_id or any(r.id == resource_id and r.type == attempt.type for r in self._snapshot.resources):
            return None
        answer = client.read(attempt.urn, resource_id, {}, None)
        if not answer.id:
            return None
        found = _as_found(attempt, attempt, answer)
        found.delete = True
        known = {r.urn for r in self._snapshot.resources}
        for urn in found.needs() - known:
            found.forget(urn)
        return found

    def _id_of(self, client: ProviderClient, attempt: Resource) -> str:
        for preview in (True, False):
            try:
                if resource_id := client.create(attempt, preview=preview).id:
                    return resource_id
            except (AlreadyExists, InitFailed) as error:
                return error.id
            except PluginFailed:
                raise
            except ProviderError:
                return ""  # it cannot be created now, so it was not created then (its group is gone, say)
        return ""

    # -- by hand

    def import_by_hand(self, entry: Pending, resource_id: str) -> Step | None:
        """Adopt a creation under an id the user gives; None if nothing exists there."""
        client = self._providers.client(entry.resource.provider)
        answer = client.read(entry.resource.urn, resource_id, {}, None)
        if not answer.id:
            return None
        found = _as_found(entry.resource, entry.resource, answer)
        old = self._session.olds.get(found.urn)
        with self._snapshot.lock:
            if old is not None and not old.pending_replacement:
                self._session.supersede(old)
                old = None
            self._snapshot.place(old, found)
            self.drop([entry])
        self._snapshot.commit()
        return Step(Op.IMPORT, found.urn, None, found)


def _as_found(shape: Resource, attempt: Resource, answer: Answer) -> Resource:
    found = copy.copy(shape)
    found.id, found.created, found.modified = answer.id, now(), now()
    found.inputs = attempt.inputs
    found.outputs = found.sealed({key: remark(item, attempt.inputs.get(key)) for key, item in answer.outputs.items()})
    return found


def _words(resource: Resource) -> str:
    return f"{type_of(resource.urn)} {name_of(resource.urn)}"
