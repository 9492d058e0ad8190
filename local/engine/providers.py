"""Which plugin serves which provider reference: started once, configured once, stopped together."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from local.engine.codec import plain
from local.engine.errors import EngineError, PluginFailed, ProviderError, UsageError
from local.engine.plugin_process import PluginProcess
from local.engine.provider_client import ProviderClient
from local.engine.snapshot import Snapshot
from local.engine.state import Resource
from local.engine.urn import UNKNOWN_ID, package_of


class Once:
    """make() for the first caller of a key, its result (or error) for all: registrations arrive in parallel."""

    def __init__(self) -> None:
        self._futures: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """The value of the key."""
        with self._lock:
            mine = key not in self._futures
            future = self._futures.setdefault(key, Future())
        if mine:
            try:
                future.set_result(make())
            except BaseException as error:
                future.set_exception(error)
        return future.result()

    def put(self, key: Hashable, value: Any) -> None:
        """Set, or set anew."""
        future: Future[Any] = Future()
        future.set_result(value)
        with self._lock:
            self._futures[key] = future


class Providers:
    """The run's plugins. A context manager: leaving it stops all of them."""

    def __init__(
        self,
        snapshot: Snapshot,
        folders: Mapping[str, Path],
        config: Mapping[str, Any],
        cwd: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._snapshot, self._folders, self._config, self._cwd = snapshot, folders, config, cwd
        self._environment = environment
        self.engine_address = ""
        self.defaults = Once()
        self._clients = Once()
        self._started: list[ProviderClient] = []
        self._spares: dict[str, Future[ProviderClient]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def __enter__(self) -> Providers:
        return self

    def __exit__(self, *_: object) -> None:
        for future in self._take_spares():
            future.exception()  # wait; a plugin that did not start is told about when it is needed
        with self._lock:
            self._closed = True
            started = list(self._started)
        _in_parallel(ProviderClient.stop, started)

    # -- processes

    def prestart(self) -> None:
        """Start the plugins that the state names while the program still imports its libraries."""
        packages = {package_of(r.type) for r in self._snapshot.resources if r.is_provider}
        for package in sorted(packages & self._folders.keys()):
            future: Future[ProviderClient] = Future()
            self._spares[package] = future
            threading.Thread(target=_resolve, args=(future, self._start, package), name=f"start {package}").start()

    def spawn(self, package: str) -> ProviderClient:
        """A plugin process for the package, not configured yet."""
        with self._lock:
            spare = self._spares.pop(package, None)
        return spare.result() if spare else self._start(package)

    def _start(self, package: str) -> ProviderClient:
        folder = self._folders.get(package)
        if folder is None:
            known = ", ".join(sorted(self._folders)) or "none"
            raise UsageError(
                f"no local plugin is declared for package '{package}' (declared: {known}). "
                "Add it to plugins.providers in the project file."
            )
        own = {key: plain(value) for key, value in self._config.items() if key.startswith(package + ":")}
        environment = {
            **self._environment,
            "PULUMI_STANDIN_PYTHON": sys.executable,
            "PULUMI_PROJECT": self._snapshot.project,
            "PULUMI_CONFIG": json.dumps(own),
        }
        process = PluginProcess(package, folder, self.engine_address, self._cwd, environment)
        try:
            client = ProviderClient(process, self.engine_address)
        except BaseException:
            process.stop()
            raise
        with self._lock:
            self._started.append(client)
            closed = self._closed
        if closed:
            client.stop()
            raise PluginFailed(f"plugin {package} started after the end of the run")
        return client

    def cancel(self) -> None:
        """Ask all plugins to give up what they do."""
        with self._lock:
            started = list(self._started)
        _in_parallel(ProviderClient.cancel, started)

    def kill(self) -> None:
        """End all plugins at once."""
        for client in list(self._started):
            client.process.kill()

    def _take_spares(self) -> list[Future[ProviderClient]]:
        with self._lock:
            spares = list(self._spares.values())
            self._spares.clear()
        return spares

    # -- instances

    def client(self, reference: str) -> ProviderClient:
        """The provider behind a reference; started from the state if the program did not register it."""

        def from_state() -> ProviderClient:
            resource = self._snapshot.find(reference)
            if resource is None:
                raise ProviderError(f"provider {reference} is not in the state")
            client = self.spawn(package_of(resource.type))
            client.configure(resource.urn, resource.id, resource.inputs)
            return client

        return self._clients.get(reference, from_state)

    def configure(self, client: ProviderClient, resource: Resource) -> None:
        """Make the plugin an instance of the provider resource, and findable by reference."""
        client.configure(resource.urn, resource.id, resource.inputs)
        self._clients.put(f"{resource.urn}::{resource.id or UNKNOWN_ID}", client)

    def default_inputs(self, package: str, version: str) -> dict[str, Any]:
        """What a default provider is configured with: the stack's settings of its package."""
        prefix = package + ":"
        inputs = {key.removeprefix(prefix): value for key, value in self._config.items() if key.startswith(prefix)}
        return {**inputs, "version": version} if version else inputs


def program_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Our own environment without the passphrase, and what the project adds."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_CONFIG_PASSPHRASE")}
    return {**inherited, **environment}


def _resolve(future: Future[Any], make: Callable[[str], Any], argument: str) -> None:
    try:
        future.set_result(make(argument))
    except EngineError as error:
        future.set_exception(error)


def _in_parallel(work: Callable[[ProviderClient], None], clients: list[ProviderClient]) -> None:
    threads = [threading.Thread(target=work, args=(client,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
