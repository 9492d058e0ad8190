"""What a request body may look like: a small language of kinds, and how such kinds are made of azure-batch's models.

The models say which properties there are, their types, the words of enumerations, which are required and which are
read-only, so that no property is forgotten and none is invented. What they do not say (lengths, ranges, defaults) is
given by the caller as `rules`. Every kind checks a value and gives its normal form; a body is an `Object`. What the
local Azure lacks is a `Later`: 501 by name.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from functools import cached_property
from typing import Any, Protocol, Union, get_args, get_origin, get_type_hints

from azure.batch import models
from azure.batch.models import _models

from local.azure.batch import errors
from local.azure.batch.model.durations import canonical_duration, duration_ticks, parse_stamp


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
        if self._form is not None and self._form.fullmatch(value) is None:
            raise errors.invalid(path, value, self.words or f"expected {self.pattern}")
        return value

    @cached_property
    def _form(self) -> re.Pattern[str] | None:
        return None if self.pattern is None else re.compile(self.pattern)


@dataclass(frozen=True)
class Number:
    """An integer; clients may send it as a string of digits."""

    least: int | None = None
    most: int | None = None

    def check(self, value: Any, path: str) -> int:
        """Kind and range."""
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value):
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
        """Form and range; the normal form is the service's own (`P1DT24H` becomes `P2D`, recorded)."""
        try:
            ticks = duration_ticks(Text().check(value, path))
        except ValueError as error:
            raise errors.invalid(path, value, str(error)) from error
        if self.least is not None and ticks < duration_ticks(self.least):
            raise errors.invalid(path, value, f"expected at least {self.least}")
        if self.most is not None and ticks > duration_ticks(self.most):
            raise errors.invalid(path, value, f"expected at most {self.most}")
        return canonical_duration(value)


@dataclass(frozen=True)
class Time:
    """A point in time."""

    def check(self, value: Any, path: str) -> str:
        """Check the form of the time stamp; the value is kept as it was sent."""
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
        option = self._by_lower.get(value.lower()) if isinstance(value, str) else None
        if option is None:
            raise errors.invalid(path, value, f"expected one of {', '.join(self.options)}")
        return option

    @cached_property
    def _by_lower(self) -> dict[str, str]:
        return {option.lower(): option for option in reversed(self.options)}


@dataclass(frozen=True)
class ListOf:
    """A list of one kind; of items that have a `unique` property, no two may have the same (compared without case)."""

    kind: Kind
    most: int | None = None
    least: int = 0
    unique: str | None = None

    def check(self, value: Any, path: str) -> list[Any]:
        """Each item."""
        if not isinstance(value, list):
            raise errors.invalid(path, value, "expected a list")
        if self.most is not None and len(value) > self.most:
            raise errors.invalid(path, len(value), f"at most {self.most} items")
        if len(value) < self.least:
            raise errors.invalid(path, len(value), f"at least {self.least} items")
        items = [self.kind.check(item, f"{path}[{index}]") for index, item in enumerate(value)]
        if self.unique is not None:
            self._refuse_twins([str(item[self.unique]).lower() for item in items], path)
        return items

    def _refuse_twins(self, keys: list[str], path: str) -> None:
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise errors.invalid(f"{path}[{index}].{self.unique}", key, "two items have this value")


@dataclass(frozen=True)
class MapOf:
    """An object of texts with names of the client's choice."""

    def check(self, value: Any, path: str) -> dict[str, Any]:
        """Kind only."""
        if not isinstance(value, dict):
            raise errors.invalid(path, value, "expected an object")
        return value


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
            details=[("PropertyName", path.rsplit(".", 1)[-1])],
        )


@dataclass(frozen=True)
class Object:
    """Properties by name; null means absent, an unknown name is refused, a read-only one is dropped."""

    properties: Mapping[str, Kind]
    required: tuple[str, ...] = ()
    name: str = field(default="", compare=False)
    read_only: frozenset[str] = frozenset()

    def check(self, value: Any, path: str) -> dict[str, Any]:
        """Each property."""
        if not isinstance(value, dict):
            raise errors.invalid(path, value, "expected an object")
        prefix, properties = f"{path}." if path else "", self.properties
        if not value.keys() <= properties.keys():
            for key in value:
                if key not in properties and key not in self.read_only and not key.startswith("odata."):
                    raise self._unknown(key)
        for key in self.required:
            if value.get(key) is None:
                raise errors.MissingRequiredProperty(details=[("PropertyName", key)])
        return {
            key: properties[key].check(item, prefix + key)
            for key, item in value.items()
            if item is not None and key in properties
        }

    def _unknown(self, key: str) -> errors.InvalidRequestBody:
        reason = (
            f"The property '{key}' does not exist on type 'Microsoft.Azure.Batch.Protocol.Entities.{self.name}'. "
            "Make sure to only use property names that are defined by the type."
        )
        return errors.InvalidRequestBody(details=[("Reason", reason)])


INT32 = Number(-(2**31), 2**31 - 1)
Rules = Mapping[tuple[str, str], Kind]
"""What the models do not say: (model, wire name) -> the kind of that property."""


class ModelReader:
    """Makes kinds of models, one for each model.

    `required`: by model, what its text says must be given though its type does not. `entity_names`: what the service
    calls a model in its errors. `more`: by model, properties that the service has and the models have not.
    """

    def __init__(
        self,
        rules: Rules,
        required: Mapping[str, tuple[str, ...]],
        entity_names: Mapping[str, str],
        more: Mapping[str, Mapping[str, Kind]],
    ) -> None:
        self._rules = rules
        self._required = required
        self._entity_names = entity_names
        self._more = more
        self._made: dict[str, Object] = {}

    def body(self, model: str) -> Object:
        """The kind of a model's body; KeyError for a model that the SDK does not have."""
        if model not in self._made:
            self._made[model] = self._object(vars(_models)[model])
        return self._made[model]

    def _object(self, model: type) -> Object:
        hints = get_type_hints(model, {**vars(_models), "_models": models})
        properties: dict[str, Kind] = {}
        required, read_only = list(self._required.get(model.__name__, ())), set()
        for attribute, item in fields_of(model).items():
            name = item._rest_name_input or attribute
            if item._visibility == ["read"]:
                read_only.add(name)
                continue
            optional, hint = _without_none(hints[attribute])
            properties[name] = self._rules.get((model.__name__, name)) or self._kind(hint)
            if not optional:
                required.append(name)
        properties |= self._more.get(model.__name__, {})
        name = self._entity_names.get(model.__name__, model.__name__.removeprefix("Batch"))
        return Object(properties, tuple(required), name, frozenset(read_only))

    def _kind(self, hint: Any) -> Kind:
        if get_origin(hint) in (Union, types.UnionType):
            (words,) = [one for one in get_args(hint) if isinstance(one, type) and issubclass(one, Enum)]
            return Choice(tuple(str(word.value) for word in words))
        if get_origin(hint) is list:
            return ListOf(self._kind(get_args(hint)[0]))
        if get_origin(hint) is dict:
            return MapOf()
        simple: dict[type, Kind] = {str: Text(), bool: Flag(), int: INT32, datetime: Time(), timedelta: Duration()}
        return simple[hint] if hint in simple else self.body(hint.__name__)


def fields_of(model: type) -> dict[str, Any]:
    """A model's fields by attribute name; those of its bases first."""
    fields = {}
    for base in reversed(model.__mro__):
        fields |= {name: item for name, item in vars(base).items() if hasattr(item, "_rest_name_input")}
    return fields


def wire_names(model: str) -> frozenset[str]:
    """The names of a model's properties on the wire, read-only ones too."""
    return frozenset(item._rest_name_input or name for name, item in fields_of(vars(_models)[model]).items())


def _without_none(hint: Any) -> tuple[bool, Any]:
    """(whether it may be absent, the hint of a value that is there)."""
    arguments = get_args(hint)
    if get_origin(hint) not in (Union, types.UnionType) or type(None) not in arguments:
        return False, hint
    rest = tuple(one for one in arguments if one is not type(None))
    return True, rest[0] if len(rest) == 1 else Union[rest]  # noqa: UP007
