"""Read every resource again and make the state say what is really there."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor

from local.engine.codec import diff_values
from local.engine.errors import EngineError
from local.engine.goal import Op, Step
from local.engine.providers import Providers
from local.engine.session import Session
from local.engine.state import Resource, ordered


class Refresh:
    """One refresh."""

    def __init__(self, session: Session, providers: Providers) -> None:
        self._session, self._providers, self._snapshot = session, providers, session.snapshot

    def run(self) -> None:
        """All resources, as many at once as allowed; interrupted updates and deletes are settled by being looked at."""
        targets = [
            r for r in ordered(self._snapshot.resources) if r.lives_in_cloud or (r.external and not r.is_provider)
        ]
        with ThreadPoolExecutor(self._session.parallel, thread_name_prefix="refresh") as pool:
            for resource, future in [(r, pool.submit(self._one, r)) for r in targets]:
                try:
                    future.result()
                except EngineError as error:
                    self._session.note("error", resource.urn, f"reading {resource.urn} failed: {error}")
        self._session.check_running()
        with self._snapshot.lock:
            kept = [entry for entry in self._snapshot.pending if entry.kind == "creating"]
            changed = len(kept) != len(self._snapshot.pending)
            self._snapshot.pending = kept
        if changed:
            self._snapshot.commit()

    def _one(self, resource: Resource) -> None:
        if self._session.stop_reason:
            return
        with self._session.slots:
            client = self._providers.client(resource.provider)
            answer = client.read(resource.urn, resource.id, resource.outputs, resource.inputs)
        if not answer.id:
            self._forget(resource)
            self._session.record(Step(Op.DELETE, resource.urn, resource, None))
            return
        new = copy.copy(resource)
        new.id, new.outputs, new.init_errors = answer.id, resource.sealed(answer.outputs), []
        new.inputs = resource.inputs if answer.inputs is None or resource.external else answer.inputs
        changes = diff_values(resource.outputs, new.outputs) | diff_values(resource.inputs, new.inputs)
        if not changes:
            self._session.record(Step(Op.SAME, resource.urn, resource, resource))
            return
        with self._snapshot.lock:
            current = next(r for r in self._snapshot.resources if r is resource)
            new.dependencies, new.property_dependencies = current.dependencies, current.property_dependencies
            new.parent, new.deleted_with = current.parent, current.deleted_with  # what is gone was forgotten meanwhile
            self._snapshot.place(resource, new)
        self._snapshot.commit()
        self._session.record(Step(Op.UPDATE, resource.urn, resource, new, changes))

    def _forget(self, resource: Resource) -> None:
        """Out of the state; nobody may point at what is gone."""
        with self._snapshot.lock:
            self._snapshot.place(resource, None)
            if not any(r.urn == resource.urn for r in self._snapshot.resources):
                for other in self._snapshot.resources:
                    other.forget(resource.urn)
        self._snapshot.commit()
