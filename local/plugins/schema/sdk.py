"""From a resource token to the SDK's classes and the properties that they declare.

A token such as azure-native:batch:Pool names the class pulumi_azure_native.batch.Pool; PoolArgs beside it carries every
input property with its name on the wire and its type, and so on downwards.
"""

from __future__ import annotations

import collections.abc
import functools
import importlib
import inspect
import threading
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, ParamSpec, TypeVar

from pulumi import Output
from pulumi import _types as pulumi_types

PYTHON_PACKAGES: Final = {"azure-native": "pulumi_azure_native", "docker": "pulumi_docker"}

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
    parts = token.split(":")
    if len(parts) != 3 or parts[0] not in PYTHON_PACKAGES:
        return None
    path, module = PYTHON_PACKAGES[parts[0]], parts[1].split("/")[0]
    if module != "index":
        path += "." + module.replace("-", "_")
    try:
        return getattr(importlib.import_module(path), parts[2], None)
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


@locked
def provider_settings(package: str) -> frozenset[str]:
    """Names on the wire of the settings that the package's provider takes."""
    module = importlib.import_module(f"{PYTHON_PACKAGES[package]}.provider")
    return frozenset(properties(module.ProviderArgs))


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


@locked
def output_types(token: str) -> dict[str, Any]:
    """The resource's output properties by their names on the wire."""
    resource = resource_class(token)
    return {} if resource is None else dict(pulumi_types.resource_types(resource))


@locked
def computed(token: str) -> frozenset[str]:
    """Output properties that are no inputs: the cloud fills them in."""
    args = args_class(token)
    return frozenset(output_types(token)) - (properties(args).keys() if args else set())
