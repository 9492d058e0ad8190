"""The worker's settings: complete, checked, and nothing in them can change the connection's rules."""

from __future__ import annotations

import pytest

from worker.docker_worker.database import connection_string
from worker.docker_worker.errors import SettingsError
from worker.docker_worker.settings import TaskSettings, load_sql, load_task

GOOD = {"SQL_SERVER": "sql.example,1444", "SQL_DATABASE": "app", "AZURE_CLIENT_ID": "c1"}


def test_server_may_have_a_port() -> None:
    assert (load_sql(GOOD).host, load_sql(GOOD).port) == ("sql.example", 1444)
    assert load_sql(GOOD | {"SQL_SERVER": "sql.example"}).port == 1433


def test_every_missing_name_is_told_at_once() -> None:
    with pytest.raises(SettingsError, match="no SQL_DATABASE, AZURE_CLIENT_ID") as caught:
        load_sql({"SQL_SERVER": "s", "SQL_DATABASE": ""})
    assert caught.value.exit == 78


@pytest.mark.parametrize("name", list(GOOD))
@pytest.mark.parametrize("value", ["x;Encrypt=no", "x}", "a=b"])
def test_no_setting_can_add_another_one_to_the_connection_string(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_sql(GOOD | {name: value})


@pytest.mark.parametrize("server", ["s,x", "s,0", "s,70000", ",1433"])
def test_a_bad_server_shows_the_form(server: str) -> None:
    with pytest.raises(SettingsError, match="HOST,PORT"):
        load_sql(GOOD | {"SQL_SERVER": server})


def test_the_connection_is_encrypted_verified_and_passwordless() -> None:
    text = connection_string(load_sql(GOOD))
    assert "Encrypt=yes" in text
    assert "Authentication=ActiveDirectoryMSI;UID=c1" in text
    assert "Trust" not in text
    assert "PWD" not in text


def test_outside_batch_the_ids_are_local() -> None:
    assert load_task({}) == TaskSettings(job_id="local", task_id="local", node_id="local")
    assert load_task({"AZ_BATCH_JOB_ID": "j", "AZ_BATCH_TASK_ID": "t", "AZ_BATCH_NODE_ID": "n"}).task_id == "t"
