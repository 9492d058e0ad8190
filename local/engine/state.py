"""A resource as the state file knows it, its JSON form, and the order in which resources depend on each other."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from local.engine.codec import UNKNOWN, Secret, from_state, secret, to_state
from local.engine.errors import EngineBug
from local.engine.urn import STACK_TYPE, Urn, is_provider, name_of, provider_urn


@dataclass
class Resource:
    """One entry of the checkpoint's `resources`, with Pulumi's field names in Python's spelling."""

    urn: Urn
    type: str
    custom: bool
    id: str = ""
    delete: bool = False
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    parent: Urn = ""
    protect: bool = False
    taint: bool = False
    external: bool = False
    dependencies: list[Urn] = field(default_factory=list)
    init_errors: list[str] = field(default_factory=list)
    provider: str = ""
    property_dependencies: dict[str, list[Urn]] = field(default_factory=dict)
    pending_replacement: bool = False  # deleted already; its replacement is still to be created
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[Urn] = field(default_factory=list)
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    import_id: str = ""
    retain_on_delete: bool = False
    deleted_with: Urn = ""
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    created: str = ""
    modified: str = ""

    @property
    def name(self) -> str:
        """The logical name."""
        return name_of(self.urn)

    @property
    def is_provider(self) -> bool:
        """Whether this is a provider, explicit or default."""
        return is_provider(self.type)

    @property
    def lives_in_cloud(self) -> bool:
        """Whether a provider made it, and so a provider has to take it away."""
        return self.custom and not self.external and not self.is_provider and not self.pending_replacement

    def needs(self) -> set[Urn]:
        """Everything that must exist before this resource and outlive it."""
        urns = {*self.dependencies, self.parent, self.deleted_with, provider_urn(self.provider)}
        return urns.union(*self.property_dependencies.values()) - {""}

    def sealed(self, outputs: Mapping[str, Any], *, preview: bool = False) -> dict[str, Any]:
        """The outputs with the secret marks that the program asked for."""
        marked = {key: secret(item) if key in self.additional_secret_outputs else item for key, item in outputs.items()}
        if preview:
            absent = [key for key in self.additional_secret_outputs if key not in outputs]
            marked |= {key: Secret(UNKNOWN) for key in absent}
        return marked

    def rename(self, old: Urn, new: Urn) -> None:
        """Follow another resource that goes by a new URN."""
        self._map_urns(lambda urn: new if urn == old else urn)
        if provider_urn(self.provider) == old:
            self.provider = new + self.provider[len(old) :]

    def forget(self, gone: Urn) -> None:
        """Point no longer at a resource that does not exist any more."""
        self._map_urns(lambda urn: "" if urn == gone else urn)

    def _map_urns(self, move: Callable[[Urn], Urn]) -> None:
        self.dependencies = [urn for urn in map(move, self.dependencies) if urn]
        moved = {key: [urn for urn in map(move, urns) if urn] for key, urns in self.property_dependencies.items()}
        self.property_dependencies = moved
        self.parent, self.deleted_with = move(self.parent), move(self.deleted_with)

    def to_json(self, seal: Callable[[Any], str]) -> dict[str, Any]:
        """The entry as the checkpoint has it; empty fields are left out."""
        body: dict[str, Any] = {}
        for name, key in _JSON_NAMES.items():
            value = getattr(self, name)
            if name in ("inputs", "outputs"):
                value = to_state(value, seal)
            if value or name == "custom":
                body[key] = value
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any], unseal: Callable[[str], Any]) -> Resource:
        """The entry read back."""
        known = {name: body[key] for name, key in _JSON_NAMES.items() if key in body}
        for name in ("inputs", "outputs"):
            known[name] = from_state(known.get(name) or {}, unseal)
        return cls(**known)


def _json_name(attribute: str) -> str:
    if attribute == "import_id":
        return "importID"
    head, *rest = attribute.split("_")
    return head + "".join(word.capitalize() for word in rest)


_JSON_NAMES = {f.name: _json_name(f.name) for f in fields(Resource)}


def now() -> str:
    """The time as the checkpoint writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def ordered(resources: Sequence[Resource]) -> list[Resource]:
    """What is needed comes first; ties by URN. The same set always gives the same order."""
    wants = needed_by(resources)
    users: dict[int, list[int]] = {}
    for index, needs in enumerate(wants):
        for need in needs:
            users.setdefault(need, []).append(index)

    def key(i: int) -> tuple[bool, Urn, bool, int]:
        return (resources[i].type != STACK_TYPE, resources[i].urn, resources[i].delete, i)

    ready = [key(i) for i, needs in enumerate(wants) if not needs]
    heapq.heapify(ready)
    left = [len(needs) for needs in wants]
    result: list[Resource] = []
    while ready:
        index = heapq.heappop(ready)[-1]
        result.append(resources[index])
        for user in users.get(index, ()):
            left[user] -= 1
            if not left[user]:
                heapq.heappush(ready, key(user))
    if len(result) != len(resources):
        stuck = sorted({resources[i].urn for i, count in enumerate(left) if count})
        raise EngineBug(f"resources depend on each other in a circle: {', '.join(stuck)}")
    return result


def needed_by(resources: Sequence[Resource]) -> list[set[int]]:
    """For each resource the indices of those it needs. A live resource does not need a replaced one of the same URN."""
    index: dict[Urn, list[int]] = {}
    for i, resource in enumerate(resources):
        index.setdefault(resource.urn, []).append(i)

    def targets(i: int) -> Iterable[int]:
        for urn in resources[i].needs():
            for j in index.get(urn, ()):
                if j != i and (resources[i].delete or not resources[j].delete):
                    yield j

    return [set(targets(i)) for i in range(len(resources))]
