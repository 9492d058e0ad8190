"""One run of the engine: what it works on, what it did, and whether it goes on. Shared by all that do the work.

gRPC calls the engine from many threads, one per registration in flight. They meet in three places only: `Snapshot.lock`
for the state, `Session.lock` for the records here, `slots` for the number of provider calls at once.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Iterator
from typing import Protocol

from local.engine.errors import ProgramError, Stopped
from local.engine.goal import Diagnostic, Goal, Step
from local.engine.snapshot import Snapshot
from local.engine.state import Resource
from local.engine.urn import Urn


class Observer(Protocol):
    """Who watches a run; called from many threads."""

    def begin(self, step: Step) -> None:
        """A provider is being asked to do the step."""

    def done(self, step: Step) -> None:
        """The step is done (in a preview: known)."""

    def failed(self, step: Step) -> None:
        """The step did not succeed."""

    def note(self, diagnostic: Diagnostic) -> None:
        """Something was said."""

    def status(self, urn: Urn, text: str) -> None:
        """A plugin says how far it is: of interest only now."""


class Session:
    """The run's records. `stop_reason` is set once: from then on nothing new starts."""

    def __init__(self, snapshot: Snapshot, *, preview: bool, parallel: int, observer: Observer) -> None:
        self.snapshot, self.preview, self.parallel, self.observer = snapshot, preview, parallel, observer
        self.olds: dict[Urn, Resource] = snapshot.live()
        self.news: dict[Urn, Resource] = {}
        self.renamed: dict[Urn, Urn] = {}  # new URN -> the alias it went by
        self.steps: list[Step] = []
        self.diagnostics: list[Diagnostic] = []
        self.stop_reason: str | None = None
        self.lock = threading.RLock()
        self.slots = threading.BoundedSemaphore(parallel)
        self._in_flight = 0
        self._idle = threading.Condition()

    # -- going on

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """Around each request of the program: refused once the run is stopped, waited for at the end."""
        with self._idle:
            self.check_running()
            self._in_flight += 1
        try:
            yield
        finally:
            with self._idle:
                self._in_flight -= 1
                self._idle.notify_all()

    def wait_idle(self) -> None:
        """What is under way finishes and is recorded, also when the program is gone."""
        with self._idle:
            self._idle.wait_for(lambda: self._in_flight == 0)

    def check_running(self) -> None:
        """Raise Stopped if the run is stopped."""
        if self.stop_reason:
            raise Stopped(self.stop_reason)

    def stop(self, reason: str) -> None:
        """Nothing new starts from now on."""
        with self.lock:
            self.stop_reason = self.stop_reason or reason

    # -- records

    def claim(self, goal: Goal) -> None:
        """Each URN once."""
        with self.lock:
            if goal.urn in self.news:
                raise ProgramError(f"Duplicate resource URN '{goal.urn}'; try giving it a unique name")
            self.news[goal.urn] = goal.resource()  # a placeholder until the step is done

    def record(self, step: Step) -> None:
        """The step is done."""
        with self.lock:
            self.steps.append(step)
            if step.new is not None and not step.new.delete:
                self.news[step.urn] = step.new
        self.observer.done(step)

    @contextlib.contextmanager
    def performing(self, step: Step) -> Iterator[None]:
        """Around a provider call that carries out a step."""
        with self.slots:
            self.check_running()
            self.observer.begin(step)
            try:
                yield
            except BaseException:
                self.observer.failed(step)
                raise

    def note(self, severity: str, urn: Urn, message: str) -> None:
        """Say something; an error stops the run."""
        diagnostic = Diagnostic(severity, urn, message)
        with self.lock:
            self.diagnostics.append(diagnostic)
            if severity == "error":
                self.stop("failed")
        self.observer.note(diagnostic)

    # -- the state

    def replace_in_state(self, old: Resource | None, new: Resource) -> None:
        """Put `new` where `old` was, and write if that made a difference."""
        snapshot = self.snapshot
        with snapshot.lock:
            changed = self.preview or old is None or snapshot.to_json(old) != snapshot.to_json(new)
            snapshot.place(old, new)
        if changed:
            snapshot.commit()

    def supersede(self, old: Resource) -> None:
        """Keep the replaced resource as one that waits for its deletion. The caller commits."""
        gone = copy.copy(old)
        gone.delete = True
        self.snapshot.place(old, gone)
