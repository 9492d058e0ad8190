"""From a resource token to the SDK's classes and the properties that they declare.

A token such as azure-native:batch:Pool names the class pulumi_azure_native.batch.Pool; PoolArgs beside it carries every
input property with its name on the wire and its type, and so on downwards.
"""

from __future__ import annotations

import collections.abc
import enum
import functools
import importlib
import inspect
import threading
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

from pulumi import Archive, Asset, Output
from pulumi import _types as pulumi_types

from local.plugins.schema.types import PROVIDER_MODULE, PYTHON_PACKAGES, Description, Kind

# pulumi_azure_native loads its modules lazily, and importlib's LazyLoader (Python 3.11) lets a second thread see a
# module half loaded: every look-up that may import goes through this lock.
LOCK: Final = threading.RLock()

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Property:
    """An input property: its alternatives without Optional, Awaitable and Output, and whether it must be given."""

    types: tuple[Any, ...]
    required: bool


def locked(function: Callable[P, R]) -> Callable[P, R]:
    """Cache, and never import in two threads at once."""
    cached = functools.cache(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with LOCK:
            return cached(*args, **kwargs)

    return call


@locked
def resource_class(token: str) -> type | None:
    """The SDK's class of a resource token, or None."""
    fields = token.split(":")
    if len(fields) != 3 or fields[0] not in PYTHON_PACKAGES:
        return None
    path, module = PYTHON_PACKAGES[fields[0]], fields[1].split("/")[0]
    if module != "index":
        path += "." + module.replace("-", "_")
    try:
        return getattr(importlib.import_module(path), fields[2], None)
    except ModuleNotFoundError:
        return None


@locked
def args_class(token: str) -> type | None:
    """The class of the resource's inputs, or None."""
    resource = resource_class(token)
    if resource is None:
        return None
    # FooArgs sits next to Foo; where a nested type has that name too, the SDK calls it FooInitArgs.
    module = importlib.import_module(resource.__module__)
    for name in (f"{resource.__name__}InitArgs", f"{resource.__name__}Args"):
        if hasattr(module, name):
            return getattr(module, name)
    return None


def flatten(kind: Any) -> Iterator[Any]:
    """The plain alternatives of Input[Optional[Union[...]]]."""
    origin = typing.get_origin(kind)
    if origin is typing.Union:
        for alternative in typing.get_args(kind):
            yield from flatten(alternative)
    elif kind is type(None) or origin is collections.abc.Awaitable or origin is Output or kind is Output:
        return
    elif isinstance(kind, typing.ForwardRef):
        if not kind.__forward_arg__.startswith("Output"):
            yield Any
    else:
        yield kind


@locked
def properties(cls: type) -> dict[str, Property]:
    """The input properties of an Args class by their names on the wire."""
    types = pulumi_types.input_type_types(cls)
    python = {wire: name for name, wire in pulumi_types.input_type_py_to_pulumi_names(cls).items()}
    parameters = inspect.signature(cls).parameters
    return {
        wire: Property(tuple(flatten(kind)), parameters[python[wire]].default is inspect.Parameter.empty)
        for wire, kind in types.items()
    }


def describe(token: str) -> Description | None:
    """Describe a resource type, or a provider's settings (`pulumi:providers:<package>`), as plain data."""
    with LOCK:
        if token.startswith(PROVIDER_MODULE):
            module = importlib.import_module(f"{PYTHON_PACKAGES[token.removeprefix(PROVIDER_MODULE)]}.provider")
            args, resource = module.ProviderArgs, None
        else:
            args, resource = args_class(token), resource_class(token)
        if args is None:
            return None
        writer = _Writer({}, {})
        inputs = writer.input_object(args)
        outputs = {} if resource is None else pulumi_types.resource_types(resource)
        described = {name: writer.output_kind(kind) for name, kind in outputs.items()}
        return Description(inputs, writer.objects, described, writer.output_objects)


@dataclass
class _Writer:
    """Turns types into kinds (see `descriptions`), and collects the objects that they name."""

    objects: dict[str, dict[str, tuple[list[Kind], bool]]]
    output_objects: dict[str, dict[str, Kind]]

    def input_object(self, cls: type) -> str:
        name = f"{cls.__module__}.{cls.__qualname__}"
        if name not in self.objects:
            self.objects[name] = {}  # first, because objects may contain themselves
            self.objects[name].update(
                {
                    wire: ([self._input_kind(kind) for kind in prop.types], prop.required)
                    for wire, prop in properties(cls).items()
                }
            )
        return name

    def _input_kind(self, kind: Any) -> Kind:
        if container := _container(kind):
            name, inner = container
            return [name, [self._input_kind(item) for item in flatten(inner)]]
        if not isinstance(kind, type):
            return "any"
        if issubclass(kind, enum.Enum):
            return ["enum", kind.__name__, [member.value for member in kind]]
        if pulumi_types.is_input_type(kind):
            return ["object", self.input_object(kind)]
        return _plain(kind)

    def output_kind(self, kind: Any) -> Kind:
        kind = next(iter(flatten(kind)), Any)
        if container := _container(kind):
            return [container[0], [self.output_kind(container[1])]]
        if isinstance(kind, type) and pulumi_types.is_output_type(kind):
            name = f"{kind.__module__}.{kind.__qualname__}"
            if name not in self.output_objects:
                self.output_objects[name] = {}
                types = pulumi_types.output_type_types(kind)
                self.output_objects[name].update({wire: self.output_kind(item) for wire, item in types.items()})
            return ["object", name]
        return _plain(kind)


def _container(kind: Any) -> tuple[str, Any] | None:
    """`list` or `map`, and the type of its items; None for every other kind."""
    origin = typing.get_origin(kind)
    if origin in (collections.abc.Sequence, list):
        return "list", typing.get_args(kind)[0]
    if origin in (collections.abc.Mapping, dict):
        return "map", typing.get_args(kind)[1]
    return None


def _plain(kind: Any) -> Kind:
    if isinstance(kind, type) and issubclass(kind, Asset | Archive):
        return "asset"
    return {bool: "bool", str: "str", int: "int", float: "float"}.get(kind, "any")
