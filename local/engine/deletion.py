"""Take resources away: dependents first, as many at once as allowed, each written ahead."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from local.engine.codec import covers
from local.engine.errors import EngineError, PluginFailed, ProgramError
from local.engine.goal import Op, Step
from local.engine.plan import check_protection, deletion_order, hit_properties, unknown_at
from local.engine.providers import Providers
from local.engine.recovery import Recovery
from local.engine.session import Session
from local.engine.state import Resource, ordered
from local.engine.urn import Urn


class Deletion:
    """Deletions of one run."""

    def __init__(self, session: Session, providers: Providers, recovery: Recovery) -> None:
        self._session, self._providers, self._recovery = session, providers, recovery
        self._snapshot = session.snapshot

    def unseen(self) -> None:
        """After the program ended well: what it no longer names, and what was replaced."""
        if not self._session.preview:
            self._recovery.adopt_unwanted()
        self._all([r for r in self._snapshot.resources if r.delete or r.urn not in self._session.news])

    def everything(self) -> None:
        """`destroy`."""
        if not self._session.preview:
            self._recovery.adopt_unwanted()
        self._all(list(self._snapshot.resources))

    def with_dependents(self, old: Resource) -> None:
        """Delete before replace: whoever cannot live without the old resource goes first.

        They stay in the state, marked as deleted with the replacement to come, so that nothing points at nothing.
        """
        doomed = self._cannot_live_without(old)
        for resource, words in check_protection(doomed):
            raise (
                ProgramError(f"{words}\n(it is replaced because {old.urn} is)")
                if resource is not old
                else (ProgramError(words))
            )
        for resource in reversed(ordered(doomed)):
            marked = copy.copy(resource)
            marked.pending_replacement = True
            self._one(resource, Op.DELETE_REPLACED, frozenset(), marked)
            with self._session.lock:
                self._session.olds[resource.urn] = marked

    def _cannot_live_without(self, old: Resource) -> list[Resource]:
        doomed: dict[Urn, Resource] = {old.urn: old}
        with self._session.lock:
            olds = list(self._session.olds.values())
        with self._snapshot.lock:  # who has been registered in this run already has a new state, and does not count
            current = {id(r) for r in self._snapshot.resources}
        candidates = ordered([r for r in olds if id(r) in current])
        for resource in candidates:
            if resource.urn in doomed or not resource.lives_in_cloud:
                continue
            hit = hit_properties(resource, doomed)
            if not hit:
                if set(resource.dependencies) & doomed.keys() and not resource.property_dependencies:
                    doomed[resource.urn] = resource
                continue
            client = self._providers.client(resource.provider)
            opinion = client.diff(resource, unknown_at(resource, hit), [])
            asked = any(covers(pattern, key) for pattern in resource.replace_on_changes for key in hit)
            if asked or (opinion and opinion.replaces):
                doomed[resource.urn] = resource
        return list(doomed.values())

    def _all(self, doomed: Sequence[Resource]) -> None:
        for resource, words in check_protection(doomed):
            self._session.note("error", resource.urn, words)
        self._session.check_running()
        gone = frozenset(r.urn for r in doomed if not r.retain_on_delete)
        left = {id(r): (r, {id(b) for b in before}) for r, before in deletion_order(doomed)}
        done: set[int] = set()
        with ThreadPoolExecutor(self._session.parallel, thread_name_prefix="delete") as pool:
            running: dict[Future[None], Resource] = {}
            while True:
                if not self._session.stop_reason:
                    ready = [key for key, (_, before) in left.items() if before <= done]
                    for resource in [left.pop(key)[0] for key in ready]:
                        op = Op.DELETE_REPLACED if resource.delete else Op.DELETE
                        running[pool.submit(self._one, resource, op, gone, None)] = resource
                if not running:
                    break
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    resource = running.pop(future)
                    error = future.exception()
                    if error is None:
                        done.add(id(resource))
                    elif isinstance(error, EngineError):
                        self._session.note("error", resource.urn, f"deleting {resource.urn} failed: {error}")
                    else:
                        raise error
        self._session.check_running()

    def _one(self, resource: Resource, op: Op, gone: frozenset[Urn], after: Resource | None) -> None:
        """Delete one resource; `after` is what the state keeps of it."""
        retained = resource.retain_on_delete and resource.custom
        step = Step(Op.RETAIN if retained else op, resource.urn, resource, None)
        asked = resource.lives_in_cloud and not retained and resource.deleted_with not in gone
        if self._session.preview or not asked:
            with self._snapshot.lock:
                self._snapshot.place(resource, after)
                self._recovery.settled(resource)
            self._snapshot.commit()
        else:
            self._ask(resource, step, after)
        self._session.record(step)

    def _ask(self, resource: Resource, step: Step, after: Resource | None) -> None:
        client = self._providers.client(resource.provider)

        def applied() -> None:
            self._snapshot.place(resource, after)
            self._recovery.settled(resource)

        with self._session.performing(step):
            entry = self._snapshot.begin("deleting", resource)
            try:
                if not self._recovery.was_deleted(client, resource):
                    client.delete(resource)
            except PluginFailed:
                raise
            except BaseException:
                self._snapshot.settle(entry)
                raise
            self._snapshot.settle(entry, applied)
