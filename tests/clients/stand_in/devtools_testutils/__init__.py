"""Stands for the package of this name of Microsoft's SDK repository, which no package index has.

Only what azure-batch's own tests ask of it: resources are made in the local Azure that `azure_batch_live.py` started,
nothing is recorded or played back. It is imported by those tests alone, with this folder's parent on PYTHONPATH.
"""

from __future__ import annotations

import functools
import inspect
import os
import secrets
import sys
import time
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import azure.identity
import azure.identity.aio
import pytest
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient

_LONGEST_NAP = 0.2
_nap = time.sleep
time.sleep = lambda seconds, /: _nap(min(float(seconds), _LONGEST_NAP))  # waits that are long for Azure are not for us


class AzureTestError(Exception):
    """A resource could not be made."""


def _options() -> dict[str, Any]:
    return {"authority": os.environ["AZURE_AUTHORITY_HOST"], "disable_instance_discovery": True}


def _identity() -> tuple[str, str, str]:
    return tuple(os.environ[name] for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"))  # type: ignore[return-value]


class AzureRecordedTestCase:
    """The base class of tests."""

    is_live = True

    def get_credential(self, client_class: type, **_: Any) -> Any:
        """The deployer, for a client of either kind."""
        kind = azure.identity.aio if ".aio" in client_class.__module__ else azure.identity
        return kind.ClientSecretCredential(*_identity(), **_options())

    def get_resource_name(self, prefix: str) -> str:
        """A name of a test's own."""
        return prefix + secrets.token_hex(4)


AzureMgmtRecordedTestCase = AzureRecordedTestCase


class AzureMgmtPreparer:
    """A decorator that makes a resource for a test and removes it afterwards."""

    is_live = True
    moniker = ""

    def __init__(self, name_prefix: str = "", random_name_length: int = 24, **_: Any) -> None:
        self._prefix, self._length = name_prefix, random_name_length

    def create_mgmt_client(self, kind: type, **_: Any) -> Any:
        """A management client of the local Azure."""
        return kind(
            azure.identity.ClientSecretCredential(*_identity(), **_options()), os.environ["AZURE_SUBSCRIPTION_ID"],
            base_url=os.environ["AZURE_AUTHORITY_HOST"], polling_interval=0,
            credential_scopes=["https://management.azure.com/.default"],
        )  # fmt: skip

    def create_resource(self, name: str, **kwargs: Any) -> dict[str, Any]:
        """What the test gets."""
        raise NotImplementedError

    def remove_resource(self, name: str, **kwargs: Any) -> None:
        """The end of it."""

    def __call__(self, test: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the test."""

        @functools.wraps(test)
        async def prepared(case: Any, *args: Any, **kwargs: Any) -> Any:
            name = (self._prefix + secrets.token_hex(12))[: self._length]
            kwargs |= self.create_resource(name, **kwargs)
            try:
                return await test(case, *args, **kwargs)
            finally:
                self.remove_resource(name, **kwargs)

        return prepared


class ResourceGroupPreparer(AzureMgmtPreparer):
    """A resource group."""

    def __init__(self, location: str = "westus", **_: Any) -> None:
        super().__init__("rg")
        self._location = location

    def create_resource(self, name: str, **kwargs: Any) -> dict[str, Any]:
        client = self.create_mgmt_client(ResourceManagementClient)
        return {"resource_group": client.resource_groups.create_or_update(name, {"location": self._location})}

    def remove_resource(self, name: str, **kwargs: Any) -> None:
        self.create_mgmt_client(ResourceManagementClient).resource_groups.begin_delete(name).wait()


CachedResourceGroupPreparer = ResourceGroupPreparer


class StorageAccountPreparer(AzureMgmtPreparer):
    """A storage account in the resource group."""

    def __init__(self, name_prefix: str = "st", location: str = "westus", **_: Any) -> None:
        super().__init__(name_prefix)
        self._location = location

    def create_resource(self, name: str, **kwargs: Any) -> dict[str, Any]:
        body = {"location": self._location, "sku": {"name": "Standard_LRS"}, "kind": "StorageV2"}
        client = self.create_mgmt_client(StorageManagementClient).storage_accounts
        return {"storage_account": client.begin_create(kwargs["resource_group"].name, name, body).result()}


class EnvironmentVariableLoader:
    """A decorator that hands values of the environment (or what they are without it) to a test."""

    def __init__(self, _directory: str, **values: str) -> None:
        self._values = {name: os.environ.get(name.upper(), value) for name, value in values.items()}

    def __call__(self, test: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(test)
        async def loaded(case: Any, *args: Any, **kwargs: Any) -> Any:
            return await test(case, *args, **{**self._values, **kwargs})

        return loaded


def trim_kwargs_from_test_function(test: Callable[..., Any], kwargs: dict[str, Any]) -> None:
    """Leave what the test takes."""
    parameters = inspect.signature(test).parameters
    if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        for name in [name for name in kwargs if name not in parameters]:
            del kwargs[name]


def _nothing(*_: Any, **__: Any) -> None:
    """Recording, which is not done."""


recorded_by_proxy = add_general_regex_sanitizer = set_custom_default_matcher = remove_batch_sanitizers = _nothing
FakeResource = SimpleNamespace


def _proxy() -> None:
    """The recording proxy, which is not there."""


test_proxy = pytest.fixture(scope="session", name="test_proxy")(_proxy)
helpers = ModuleType("devtools_testutils.helpers")  # imported by this name
helpers.is_live_and_not_recording = lambda: True  # type: ignore[attr-defined]
sys.modules[helpers.__name__] = helpers
