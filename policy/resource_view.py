"""A resource as the rules see it: plain data, with a mark where a preview does not know a value yet.

The pack's SDK hands over proxies that raise when an unknown value is read, and it tells which values are secret to
remediations only. `__main__.py` turns both into a `Resource`; the rules never see the SDK.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

Path = tuple[str | int, ...]
"""The way to a value: keys and indices, like ("userAccounts", 0, "password")."""


class Marker(Enum):
    """What stands in place of a value that there is not."""

    UNKNOWN = "known only during `pulumi up`"
    """The value depends on a resource that does not exist yet."""
    ABSENT = "not set"
    """The program does not set the property: the service's own default decides."""


UNKNOWN: Final = Marker.UNKNOWN
ABSENT: Final = Marker.ABSENT

_VERSION_OF_A_MODULE: Final = re.compile(r"/v[0-9][0-9a-z]*$")


@dataclass(frozen=True, kw_only=True)
class Resource:
    """What the program declares, after the provider's Check: with the provider's defaults filled in."""

    type: str
    """The type token, like `azure-native:batch:Pool`."""
    name: str
    """The logical name in the program."""
    stack: str
    properties: Mapping[str, Any]
    """The inputs; `UNKNOWN` stands for what the preview does not know."""
    protect: bool = False
    secret_paths: frozenset[Path] = field(default=frozenset())
    """Where the program has marked a value as secret: everything below such a path is encrypted in state."""

    @property
    def kind(self) -> str:
        """`batch:Pool` for azure-native's default module, its dated modules and local packages alike; else the type."""
        package, _, rest = self.type.partition(":")
        if not package.startswith("azure-native"):
            return self.type
        module, _, name = rest.partition(":")
        return f"{_VERSION_OF_A_MODULE.sub('', module)}:{name}"

    def get(self, *path: str | int) -> Any:
        """The value at `path`; `ABSENT` without one, `UNKNOWN` if it, or what it lies in, is unknown."""
        value: Any = self.properties
        for part in path:
            if value is UNKNOWN:
                return UNKNOWN
            if isinstance(value, Mapping) and isinstance(part, str):
                value = value.get(part, ABSENT)
            elif is_list(value) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return ABSENT
        return ABSENT if value is None else value

    def items(self, *path: str | int) -> Iterator[tuple[Path, Any]]:
        """The elements of the list at `path`, each with its own path; the path itself with `UNKNOWN` if unknown."""
        value = self.get(*path)
        if value is UNKNOWN:
            yield path, UNKNOWN
        elif is_list(value):
            yield from (((*path, index), item) for index, item in enumerate(value))

    def leaves(self) -> Iterator[tuple[Path, Any]]:
        """Every value that is neither a list nor a map, with its path."""
        yield from _leaves((), self.properties)

    def is_secret(self, path: Path) -> bool:
        """Whether the program has marked the value at `path`, or what it lies in, as secret."""
        return any(path[:length] in self.secret_paths for length in range(len(path) + 1))


def is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def spelled(path: Path) -> str:
    """A path as people write it: `userAccounts[0].password`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves((*path, str(key)), item)
    elif is_list(value):
        for index, item in enumerate(value):
            yield from _leaves((*path, index), item)
    else:
        yield path, value
