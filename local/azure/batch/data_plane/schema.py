"""A small language for request bodies: what a property may be, and the service's errors when it is not.

Owns checking and normal form (defaults are the operations' business); the bodies themselves are in `bodies.py`.
Unknown properties are refused as Azure does; a property of Batch that the local Azure lacks is a `Later`: 501 by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from local.azure.batch import errors
from local.azure.batch.model.durations import parse_duration, parse_stamp


class Kind(Protocol):
    """A kind of value: returns its normal form or raises."""

    def check(self, value: Any, path: str) -> Any:
        """Check the value found at `path`."""
        ...


@dataclass(frozen=True)
class Text:
    """A string."""

    longest: int | None = None
    pattern: str | None = None
    words: str = ""

    def check(self, value: Any, path: str) -> str:
        """Length and pattern."""
        if not isinstance(value, str):
            raise errors.invalid(path, value, "expected a string")
        if self.longest is not None and len(value) > self.longest:
            raise errors.invalid(path, value, f"at most {self.longest} characters, got {len(value)}")
        if self.pattern is not None and re.fullmatch(self.pattern, value) is None:
            raise errors.invalid(path, value, self.words or f"expected {self.pattern}")
        return value


@dataclass(frozen=True)
class Number:
    """An integer; clients may send it as a string of digits."""

    least: int | None = None
    most: int | None = None

    def check(self, value: Any, path: str) -> int:
        """Kind and range."""
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise errors.invalid(path, value, "expected an integer")
        if (self.least is not None and value < self.least) or (self.most is not None and value > self.most):
            raise errors.invalid(path, value, f"expected {self.least}..{self.most if self.most is not None else ''}")
        return value


@dataclass(frozen=True)
class Flag:
    """true or false."""

    def check(self, value: Any, path: str) -> bool:
        """Kind only."""
        if not isinstance(value, bool):
            raise errors.invalid(path, value, "expected true or false")
        return value


@dataclass(frozen=True)
class Duration:
    """An ISO 8601 duration; the limits are durations too."""

    least: str | None = None
    most: str | None = None

    def check(self, value: Any, path: str) -> str:
        """Form and range; kept as sent."""
        try:
            found = parse_duration(Text().check(value, path))
        except ValueError as error:
            raise errors.invalid(path, value, str(error)) from error
        if self.least is not None and found < parse_duration(self.least):
            raise errors.invalid(path, value, f"expected at least {self.least}")
        if self.most is not None and found > parse_duration(self.most):
            raise errors.invalid(path, value, f"expected at most {self.most}")
        return value


@dataclass(frozen=True)
class Time:
    """A point in time."""

    def check(self, value: Any, path: str) -> str:
        """Form only; kept as sent."""
        try:
            parse_stamp(Text().check(value, path))
        except ValueError as error:
            raise errors.invalid(path, value, str(error)) from error
        return value


@dataclass(frozen=True)
class Choice:
    """One of some words, whatever their case; the normal form is the data plane's spelling."""

    options: tuple[str, ...]

    def check(self, value: Any, path: str) -> str:
        """Find the option."""
        for option in self.options:
            if isinstance(value, str) and value.lower() == option.lower():
                return option
        raise errors.invalid(path, value, f"expected one of {', '.join(self.options)}")


@dataclass(frozen=True)
class ListOf:
    """A list of one kind."""

    kind: Kind
    most: int | None = None

    def check(self, value: Any, path: str) -> list[Any]:
        """Each item."""
        if not isinstance(value, list):
            raise errors.invalid(path, value, "expected a list")
        if self.most is not None and len(value) > self.most:
            raise errors.invalid(path, len(value), f"at most {self.most} items")
        return [self.kind.check(item, f"{path}[{index}]") for index, item in enumerate(value)]


@dataclass(frozen=True)
class Later:
    """A property of Batch that the local Azure does not have yet. An empty value is taken as absent."""

    what: str
    harmless: tuple[Any, ...] = ()

    def check(self, value: Any, path: str) -> Any:
        """Refuse by name."""
        if value in (None, [], {}) or value in self.harmless:
            return value
        raise errors.NotImplementedYet(
            f"The local Azure does not have {self.what} yet (property '{path}'); remove the property.",
            details=[("PropertyName", path.rsplit(".", 1)[-1]), ("PropertyPath", path)],
        )


@dataclass(frozen=True)
class Object:
    """Properties by name; null means absent, an unknown name is refused."""

    properties: Mapping[str, Kind]
    required: tuple[str, ...] = ()
    name: str = field(default="", compare=False)

    def check(self, value: Any, path: str) -> dict[str, Any]:
        """Each property."""
        if not isinstance(value, dict):
            raise errors.invalid(path, value, "expected an object")
        prefix = f"{path}." if path else ""
        for key in value:
            if key not in self.properties and not key.startswith("odata."):
                raise errors.InvalidRequestBody(
                    details=[
                        (
                            "Reason",
                            f"The property '{prefix}{key}' does not exist on type '{self.name or 'object'}'. Make sure "
                            f"to only use property names that are defined by the type: {', '.join(self.properties)}.",
                        )
                    ]
                )
        given = {key: item for key, item in value.items() if item is not None and not key.startswith("odata.")}
        for key in self.required:
            if key not in given:
                raise errors.MissingRequiredProperty(details=[("PropertyName", key), ("PropertyPath", prefix + key)])
        return {key: self.properties[key].check(item, prefix + key) for key, item in given.items()}
