"""From azure-batch's models to kinds of request bodies, so that no property is forgotten and none is invented.

The models say which properties there are, their types, the words of enumerations, which are required and which are
read-only. What they do not say (lengths, ranges, defaults) is given by the caller as `rules`.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

from azure.batch import models
from azure.batch.models import _models

from local.azure.batch.data_plane.schema import Choice, Duration, Flag, Kind, ListOf, MapOf, Number, Object, Text, Time

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
        simple: dict[type, Kind] = {
            str: Text(), bool: Flag(), int: INT32, datetime: Time(), timedelta: Duration()
        }  # fmt: skip
        return simple[hint] if hint in simple else self.body(hint.__name__)


def fields_of(model: type) -> dict[str, Any]:
    """A model's fields by attribute name; those of its bases first."""
    found = {}
    for base in reversed(model.__mro__):
        found |= {name: item for name, item in vars(base).items() if hasattr(item, "_rest_name_input")}
    return found


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
