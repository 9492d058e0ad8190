"""The stack's state file: Pulumi's v3 checkpoint, verified, then written whole and atomically.

Write ahead: `begin` names an operation in the file before the provider is asked to do it; `settle` takes the entry
away and applies the result in one write. Only a dead engine leaves entries behind; `recovery` settles those. Changes
are made under `lock`; `commit` returns when a write that started after the change is on disk, so that many threads
share a write (measured on the prototype: one write per step made 300 resources take 40 s).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from local.engine.codec import has_unknown
from local.engine.errors import EngineBug, SecretsError, StackLocked, UsageError
from local.engine.secrets import Crypter
from local.engine.state import Resource, now, ordered
from local.engine.urn import Urn

PULUMI_VERSION: Final = "v3.272.0"
PendingKind = Literal["creating", "updating", "deleting"]


@dataclass(eq=False)
class Pending:
    """An operation that a provider was asked for, and whose end is not known."""

    kind: PendingKind
    resource: Resource


class Snapshot:
    """What is known of the stack. With `readonly` (previews) nothing is ever written."""

    def __init__(self, path: Path, project: str, stack: str, passphrase: str | None, salt: str | None = None) -> None:
        self.path, self.project, self.stack, self.passphrase = path, project, stack, passphrase
        self.salt = salt
        self.readonly = False
        self.resources: list[Resource] = []
        self.pending: list[Pending] = []
        self.lock = threading.RLock()
        self.saves = 0
        self._crypter: Crypter | None = None
        self._sealed: dict[str, str] = {}  # text -> ciphertext: unchanged secrets keep their bytes
        self._writes = threading.Condition(self.lock)
        self._wanted = self._written = 0
        self._writing = False
        raw = path.read_bytes() if path.exists() else b""
        self.serial = hashlib.sha256(raw).hexdigest()
        if raw:
            self._load(raw)

    # -- reading

    def _load(self, raw: bytes) -> None:
        try:
            latest = json.loads(raw)["checkpoint"].get("latest") or {}
            self.salt = (latest.get("secrets_providers") or {}).get("state", {}).get("salt") or self.salt
            self.resources = [Resource.from_json(body, self._unseal) for body in latest.get("resources") or []]
            self.pending = [
                Pending(entry["type"], Resource.from_json(entry["resource"], self._unseal))
                for entry in latest.get("pending_operations") or []
            ]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{self.path} is not a Pulumi checkpoint ({type(error).__name__}: {error}). It is written whole or not "
                "at all, so something else changed it; restore it, or remove it to start from an empty stack."
            ) from error

    def live(self) -> dict[Urn, Resource]:
        """The resources that are not waiting for their deletion."""
        return {r.urn: r for r in self.resources if not r.delete}

    def find(self, reference: str) -> Resource | None:
        """The resource behind a provider reference."""
        urn, _, resource_id = reference.rpartition("::")
        return next((r for r in self.resources if r.urn == urn and r.id == resource_id), None)

    # -- secrets

    @property
    def crypter(self) -> Crypter:
        """Opened at the first secret: deriving the key takes half a second."""
        with self.lock:
            if self._crypter is None:
                if self.passphrase is None:
                    raise SecretsError(
                        f"stack {self.stack} holds secrets and no passphrase was given. Set PULUMI_CONFIG_PASSPHRASE."
                    )
                self._crypter = Crypter(self.passphrase, self.salt)
                self.salt = self._crypter.state
            return self._crypter

    def _seal(self, content: Any) -> str:
        text = json.dumps(content, sort_keys=True)
        if text not in self._sealed:
            self._sealed[text] = self.crypter.encrypt(text)
        return self._sealed[text]

    def _unseal(self, ciphertext: str) -> Any:
        text = self.crypter.decrypt(ciphertext, f"a secret in {self.path.name}")
        self._sealed[text] = ciphertext
        return json.loads(text)

    def to_json(self, resource: Resource) -> dict[str, Any]:
        """The resource as the file has it."""
        return resource.to_json(self._seal)

    # -- locking

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep other engines out. The kernel frees the lock when the process dies: a kill needs no `cancel`."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = self.path.with_suffix(".lock")
        with open(lock, "a+", opener=_private) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise StackLocked(
                    f"the stack is currently locked by another process ({file.read().strip() or 'pid unknown'}). "
                    f"Wait for it to end, or end it. The lock is {lock}."
                ) from None
            file.truncate(0)
            file.write(f"pid {os.getpid()}\n")
            file.flush()
            yield

    # -- changing

    def place(self, old: Resource | None, new: Resource | None) -> None:
        """Put `new` where `old` was. The caller commits."""
        with self.lock:
            at = next((i for i, r in enumerate(self.resources) if r is old), len(self.resources))
            self.resources[at : at + 1] = [new] if new else []

    def begin(self, kind: PendingKind, resource: Resource) -> Pending:
        """Write ahead that a provider is about to be asked. On disk when this returns."""
        entry = Pending(kind, resource)
        with self.lock:
            self.pending.append(entry)
        self.commit()
        return entry

    def settle(self, entry: Pending, apply: Callable[[], None] = lambda: None) -> None:
        """The provider answered: apply the result and drop the entry, in one write."""
        with self.lock:
            apply()
            self.pending.remove(entry)
        self.commit()

    def unsettled(self, urn: Urn, *kinds: PendingKind) -> list[Pending]:
        """What an interrupted run left open for this URN."""
        with self.lock:
            return [entry for entry in self.pending if entry.resource.urn == urn and entry.kind in kinds]

    # -- writing

    def deployment(self) -> dict[str, Any]:
        """The `deployment` of `pulumi stack export`."""
        resources = [self.to_json(r) for r in ordered(self.resources)]
        pending = sorted(self.pending, key=lambda entry: (entry.resource.urn, entry.kind))
        operations = [{"resource": self.to_json(entry.resource), "type": entry.kind} for entry in pending]
        body: dict[str, Any] = {"manifest": {"time": now(), "magic": "", "version": PULUMI_VERSION}}
        if self.salt:
            body["secrets_providers"] = {"type": "passphrase", "state": {"salt": self.salt}}
        body["resources"] = resources
        if operations:
            body["pending_operations"] = operations
        body["metadata"] = {}
        return body

    def commit(self) -> None:
        """Make the changes so far durable; waits for a write under way and shares the next with other threads."""
        if self.readonly:
            return
        with self._writes:
            self._wanted += 1
            mine = self._wanted
            self._writes.wait_for(lambda: self._written >= mine or not self._writing)
            if self._written >= mine:
                return
            self._writing, covered = True, self._wanted
            try:
                text = self._text()
            except BaseException:
                self._writing = False
                self._writes.notify_all()
                raise
        try:
            self._write(text)
        finally:
            with self._writes:
                self._writing = False
                self._writes.notify_all()
        with self._writes:
            self._written = max(self._written, covered)
            self._writes.notify_all()

    def _text(self) -> str:
        self.verify()
        latest = self.deployment()
        stack = f"organization/{self.project}/{self.stack}"
        return json.dumps({"version": 3, "checkpoint": {"stack": stack, "latest": latest}}, indent=4)

    def _write(self, text: str) -> None:
        temporary = self.path.with_suffix(".json.new")
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(temporary, "w", opener=_private) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)
        self.saves += 1

    def verify(self) -> None:
        """What must hold of every file we write; anything else is a bug of ours, and the old file stays.

        - a URN has at most one resource that is not waiting for its deletion;
        - a custom resource has an id and (unless it is a provider) a provider that is there; a component has neither;
        - everything a resource needs is there, and nothing needs itself in a circle (`ordered` checks);
        - nothing is unknown.
        """
        urns = {r.urn for r in self.resources}
        providers = {f"{r.urn}::{r.id}" for r in self.resources if r.is_provider}
        live: set[Urn] = set()
        for r in self.resources:
            if not r.delete and r.urn in live:
                raise EngineBug(f"{r.urn} is in the state twice")
            if not r.delete:
                live.add(r.urn)
            if r.custom and not r.id:
                raise EngineBug(f"{r.urn} has no id")
            if r.custom and not r.is_provider and r.provider not in providers:
                raise EngineBug(f"{r.urn} refers to provider {r.provider!r}, which is not in the state")
            if missing := r.needs() - urns:
                raise EngineBug(f"{r.urn} needs {', '.join(sorted(missing))}, which is not in the state")
            if has_unknown([r.inputs, r.outputs]):
                raise EngineBug(f"{r.urn} has an unknown value")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
