"""Carry out what the program registers: check, compare, decide (`plan`), do. Components and reads included.

Runs in the gRPC thread of the registration; the answer to the program is the new state.
"""

from __future__ import annotations

import copy
import hashlib
import uuid
from typing import Any, Final

from local.engine.aliases import find_old
from local.engine.codec import UNKNOWN
from local.engine.deletion import Deletion
from local.engine.errors import AlreadyExists, InitFailed, PluginFailed, ProgramError, ProviderError
from local.engine.goal import Goal, Op, Step
from local.engine.plan import Plan, plan, with_ignored
from local.engine.provider_client import ProviderClient
from local.engine.providers import Providers
from local.engine.recovery import Recovery
from local.engine.session import Session
from local.engine.snapshot import Pending
from local.engine.state import Resource, now
from local.engine.urn import PROVIDER_PREFIX, STACK_TYPE, UNKNOWN_ID, Urn, is_provider, make_urn, package_of

WORDS_NOT_FOUND: Final = "resource '{}' does not exist"


class Executor:
    """Registrations of one run."""

    def __init__(self, session: Session, providers: Providers, recovery: Recovery, deletion: Deletion) -> None:
        self._session, self._providers, self._recovery, self._deletion = session, providers, recovery, deletion
        self._snapshot, self._preview = session.snapshot, session.preview
        self._stack_outputs: tuple[Resource, dict[str, Any]] | None = None

    # -- what the program may ask

    def register(self, goal: Goal) -> Resource:
        """Make the resource so; returns its new state."""
        self._session.claim(goal)
        old = find_old(self._session, goal)
        if not goal.custom:
            return self._component(goal, old)
        if is_provider(goal.type):
            return self._provider(goal, old)
        return self._custom(goal, old, self._providers.client(goal.provider))

    def default_provider(self, package: str, version: str) -> str:
        """The reference of a package's default provider, registered at its first use."""

        def make() -> str:
            name = "default_" + version.replace(".", "_") if version else "default"
            type_ = PROVIDER_PREFIX + package
            urn = make_urn(self._snapshot.stack, self._snapshot.project, "", type_, name)
            inputs = self._providers.default_inputs(package, version)
            new = self.register(Goal(urn=urn, type=type_, custom=True, inputs=inputs))
            return f"{new.urn}::{new.id or UNKNOWN_ID}"

        return self._providers.defaults.get((package, version), make)

    def read(self, goal: Goal, resource_id: Any) -> Resource:
        """Look a resource up that is not ours."""
        self._session.claim(goal)
        old = find_old(self._session, goal)
        new = goal.resource()
        new.external = True
        step = Step(Op.READ, goal.urn, old, new)
        if resource_id is UNKNOWN:
            new.id = UNKNOWN_ID
            return self._finish(step)
        client = self._providers.client(goal.provider)
        with self._session.performing(step):
            answer = client.read(goal.urn, resource_id, new.inputs, None)
        if not answer.id:
            raise ProviderError(WORDS_NOT_FOUND.format(resource_id))
        new.id, new.outputs = answer.id, new.sealed(answer.outputs)
        return self._finish(step)

    def register_outputs(self, urn: Urn, outputs: dict[str, Any]) -> None:
        """A component's outputs, or the stack's."""
        with self._session.lock:
            resource = self._session.news.get(urn)
        if resource is None:
            raise ProgramError(f"outputs for a resource that was not registered: {urn}")
        if resource.type == STACK_TYPE:
            # A program that fails registers what it has got so far: what it had before must not be lost by that.
            self._stack_outputs = (resource, outputs)
            outputs = {**resource.outputs, **outputs}
        self._set_outputs(resource, outputs)

    def settle_stack_outputs(self) -> None:
        """The program ended well: the stack has exactly the outputs that it named."""
        if self._stack_outputs:
            self._set_outputs(*self._stack_outputs)

    def _set_outputs(self, resource: Resource, outputs: dict[str, Any]) -> None:
        if self._preview:
            resource.outputs = outputs
            return
        with self._snapshot.lock:
            before = self._snapshot.to_json(resource)
            resource.outputs = outputs
            changed = before != self._snapshot.to_json(resource)
        if changed:
            self._snapshot.commit()

    # -- the kinds of resources

    def _component(self, goal: Goal, old: Resource | None) -> Resource:
        new = goal.resource()
        if old is not None:
            new.outputs, new.created, new.modified = old.outputs, old.created, old.modified
        else:
            new.created = new.modified = now()
        return self._finish(Step(Op.SAME if old else Op.CREATE, goal.urn, old, new))

    def _provider(self, goal: Goal, old: Resource | None) -> Resource:
        client = self._providers.spawn(package_of(goal.type))
        new = goal.resource()
        new.inputs = client.check_config(goal.urn, old.inputs if old else {}, dict(goal.inputs))
        opinion = client.diff_config(old, new.inputs) if old else None
        decision = plan(goal, old, new.inputs, opinion)
        if decision.op is Op.REPLACE:
            raise ProgramError(
                f"replacing a provider is not supported by the local engine ({', '.join(decision.replaces)} changed); "
                "give the provider a new name."
            )
        new.outputs = new.inputs
        if old is not None:
            new.id, new.created, new.modified = old.id, old.created, old.modified
        else:
            new.id, new.created = UNKNOWN_ID if self._preview else str(uuid.uuid4()), now()
        if decision.op is not Op.SAME:
            new.modified = now()
        self._providers.configure(client, new)
        return self._finish(Step(decision.op, goal.urn, old, new, decision.changes))

    def _custom(self, goal: Goal, old: Resource | None, client: ProviderClient) -> Resource:
        if old is not None:
            old = self._recovery.refreshed(client, old)
        live = None if old is None or old.external or old.pending_replacement else old
        attempts = self._recovery.attempts(goal.urn)
        unchecked = with_ignored(goal.inputs, live, goal.ignore_changes)
        new = goal.resource()
        known = live or (attempts[-1].resource if attempts else None)
        new.inputs = self._checked(client, goal.urn, known, unchecked)
        if goal.import_id and (live is None or live.id != goal.import_id):
            return self._import(client, live, new)
        opinion = None
        if live is not None:
            with self._session.slots:
                opinion = client.diff(live, new.inputs, goal.ignore_changes)
        decision = plan(goal, live, new.inputs, opinion)
        match decision.op:
            case Op.SAME:
                assert live is not None
                new.id, new.created, new.modified = live.id, live.created, live.modified
                new.outputs = new.sealed(live.outputs)
                return self._finish(Step(Op.SAME, goal.urn, live, new))
            case Op.UPDATE:
                assert live is not None
                return self._update(client, live, new, decision)
            case Op.REPLACE:
                assert live is not None
                fresh = attempts[-1].resource if attempts else None  # a fresh name, not the old one's
                new.inputs = self._checked(client, goal.urn, fresh, unchecked)
                return self._replace(client, goal, live, new, decision)
        return self._create(client, goal, old, new)

    def _replace(self, client: ProviderClient, goal: Goal, old: Resource, new: Resource, decision: Plan) -> Resource:
        details = (decision.changes, decision.replaces, decision.delete_first)
        self._session.record(Step(Op.REPLACE, goal.urn, old, new, *details))
        place = old
        if decision.delete_first:
            self._deletion.with_dependents(old)
            place = self._session.olds[goal.urn]
        step = Step(Op.CREATE_REPLACEMENT, goal.urn, old, new, *details)
        return self._create(client, goal, place, new, step)

    # -- the doing

    def _create(
        self, client: ProviderClient, goal: Goal, old: Resource | None, new: Resource, step: Step | None = None
    ) -> Resource:
        """`old` is what the state has under this URN: nothing, something not ours, or what is being replaced."""
        if step is None and old is not None and old.pending_replacement:
            self._session.record(Step(Op.REPLACE, goal.urn, old, new, delete_first=True))
            step = Step(Op.CREATE_REPLACEMENT, goal.urn, old, new, delete_first=True)
        step = step or Step(Op.CREATE, goal.urn, None, new)
        if self._preview:
            outputs: dict[str, Any] = {}
            if client.previews and client.configured:
                with self._session.slots:
                    outputs = client.create(new, preview=True).outputs
            new.outputs = new.sealed(outputs, preview=True)
            self._put(old, new)
            self._session.record(step)
            return new
        new.created = new.modified = now()
        with self._session.performing(step):
            entry = self._snapshot.begin("creating", new)
            failure: InitFailed | None = None
            adopted: Resource | None = None
            try:
                answer = client.create(new, preview=False)
                new.id, new.outputs = answer.id, new.sealed(answer.outputs)
            except InitFailed as error:
                failure = error
                new.id, new.outputs, new.init_errors = error.id, new.sealed(error.outputs), error.reasons
            except AlreadyExists as error:
                attempts = [e for e in self._recovery.attempts(goal.urn) if e is not entry]
                if not attempts or not error.id:
                    self._snapshot.settle(entry)
                    raise
                adopted = self._adopt(client, goal, old, [*attempts, entry], error.id)
            except PluginFailed:
                raise  # no answer: the entry stays, the next run settles it
            except BaseException:
                self._snapshot.settle(entry)
                raise
            if adopted is None:
                self._snapshot.settle(entry, lambda: self._created(old, new))
        if adopted is not None:
            return self._custom(goal, adopted, client)  # compared with the goal like anything that was there before
        if failure:
            self._session.observer.failed(step)
            raise failure
        self._session.record(step)
        return new

    def _created(self, old: Resource | None, new: Resource) -> None:
        self._put(old, new)
        self._recovery.created(new)

    def _put(self, old: Resource | None, new: Resource) -> None:
        """The new one takes the old one's place, unless that one still exists: then it waits for its deletion."""
        if old is not None and old.lives_in_cloud:
            self._session.supersede(old)
            old = None
        self._snapshot.place(old, new)

    def _adopt(
        self, client: ProviderClient, goal: Goal, old: Resource | None, entries: list[Pending], resource_id: str
    ) -> Resource:
        adopted = self._recovery.adopt(client, goal, entries[0], resource_id)
        with self._snapshot.lock:
            self._put(old, adopted)
            self._recovery.drop(entries)
        self._snapshot.commit()
        with self._session.lock:
            self._session.olds[goal.urn] = adopted
        self._session.record(Step(Op.IMPORT, goal.urn, None, copy.copy(adopted)))
        return adopted

    def _update(self, client: ProviderClient, old: Resource, new: Resource, decision: Plan) -> Resource:
        step = Step(Op.UPDATE, new.urn, old, new, decision.changes)
        new.id, new.created, new.modified = old.id, old.created, now()
        if self._preview:
            outputs: dict[str, Any] = {}
            if client.previews and client.configured:
                with self._session.slots:
                    outputs = client.update(old, new, preview=True).outputs
            new.outputs = new.sealed(outputs, preview=True)
            return self._finish(step)
        with self._session.performing(step):
            entry = self._snapshot.begin("updating", old)
            failure: InitFailed | None = None
            try:
                new.outputs = new.sealed(client.update(old, new, preview=False).outputs)
            except InitFailed as error:
                failure, new.outputs, new.init_errors = error, new.sealed(error.outputs), error.reasons
            except PluginFailed:
                raise
            except BaseException:
                self._snapshot.settle(entry)
                raise
            self._snapshot.settle(entry, lambda: self._snapshot.place(old, new))
        if failure:
            self._session.observer.failed(step)
            raise failure
        self._session.record(step)
        return new

    def _import(self, client: ProviderClient, old: Resource | None, new: Resource) -> Resource:
        if old is not None:
            raise ProgramError("import_ of a resource that is already managed under another id is not supported")
        answer = client.read(new.urn, new.import_id, {}, None)
        if not answer.id:
            raise ProviderError(WORDS_NOT_FOUND.format(new.import_id))
        found = copy.copy(new)
        found.id, found.outputs, found.inputs = answer.id, answer.outputs, answer.inputs or {}
        difference = client.diff(found, new.inputs, new.ignore_changes)
        if difference and difference.changes:
            paths = ", ".join(sorted(difference.changes))
            raise ProgramError(f"inputs to import do not match the existing resource: {paths}")
        new.id, new.created, new.outputs = answer.id, now(), new.sealed(answer.outputs)
        return self._finish(Step(Op.IMPORT, new.urn, None, new))

    def _finish(self, step: Step) -> Resource:
        """Nothing to ask a provider for: the new state is known."""
        assert step.new is not None
        self._session.replace_in_state(step.old, step.new)
        self._session.record(step)
        return step.new

    def _checked(
        self, client: ProviderClient, urn: Urn, known: Resource | None, unchecked: dict[str, Any]
    ) -> dict[str, Any]:
        # The same seed in a preview and the `up` that follows it, another one once the state moved on.
        seed = hashlib.sha256(f"{self._snapshot.serial} {urn} {known is not None}".encode()).digest()
        with self._session.slots:
            return client.check(urn, known.inputs if known else {}, unchecked, seed)
