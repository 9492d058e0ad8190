"""The stack's database: the program's own script, run as docs/sql.md says."""

from __future__ import annotations

from typing import Any

import pytest

from local.azure.platform.settings import load_or_create
from local.azure.platform.store import Store
from local.azure.sql.errors import SqlError
from local.azure.sql.stores.postgres.backend import open_backend
from local.azure.sql.stores.postgres.cluster import Cluster
from local.deployment import database
from local.errors import LocalError
from local.paths import Paths
from tests.azure.sql.world import needs_postgres

OUTPUTS: dict[str, Any] = {
    "worker_identity": {
        "client_id": "11111111-2222-3333-4444-555555555555",
        "resource_id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/"
        "userAssignedIdentities/id-abp-local-node",
    },
    "sql": {"server": "sql.azure.test,1", "database": "worklist"},
}


def test_the_script_is_made_by_the_program_and_run_in_the_database(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, str]] = []
    monkeypatch.setattr(database, "run_script", lambda _paths, name, script: ran.append((name, script)))
    database.provision(paths, OUTPUTS)
    (name, script), *more = ran
    assert name == "worklist" and not more
    assert "CREATE USER [id-abp-local-node]" in script


def test_running_it_again_changes_nothing(paths: Paths) -> None:
    needs_postgres()
    store = Store(paths.database)
    load_or_create(paths, store)
    store.close()
    with Cluster(paths):
        for _ in range(2):
            database.provision(paths, OUTPUTS)
        assert open_backend(paths).exists("worklist")


def test_outputs_without_the_identity_are_refused_in_words(paths: Paths) -> None:
    with pytest.raises(LocalError, match=r"script was not made: .*worker_identity"):
        database.provision(paths, {"sql": {"database": "worklist"}})


def test_what_the_server_refuses_is_said_with_its_number(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise SqlError("Cannot find the user", number=15151)

    monkeypatch.setattr(database, "run_script", refuse)
    with pytest.raises(LocalError, match=r"worklist was not opened to the node identity\n.*15151: Cannot find the"):
        database.provision(paths, OUTPUTS)
