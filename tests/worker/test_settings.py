"""The worker's settings: complete, checked, and nothing in them can change the connection's rules."""

from __future__ import annotations

import pytest
from mssql_python.connection_string_parser import _ConnectionStringParser

from worker.docker_worker.errors import SettingsError
from worker.docker_worker.settings import TaskSettings, load_sql, load_task
from worker.docker_worker.sql.database import connection_string

GOOD = {"SQL_SERVER": "sql.example,1444", "SQL_DATABASE": "app", "AZURE_CLIENT_ID": "c1"}


def test_server_may_have_a_port() -> None:
    assert (load_sql(GOOD).host, load_sql(GOOD).port) == ("sql.example", 1444)
    assert load_sql(GOOD | {"SQL_SERVER": "sql.example"}).port == 1433


def test_every_missing_name_is_told_at_once() -> None:
    with pytest.raises(SettingsError, match="no SQL_DATABASE, AZURE_CLIENT_ID") as caught:
        load_sql({"SQL_SERVER": "s", "SQL_DATABASE": ""})
    assert caught.value.exit == 78


@pytest.mark.parametrize("name", ["SQL_SERVER", "AZURE_CLIENT_ID"])
@pytest.mark.parametrize("value", ["x;Encrypt=no", "x}", "a=b"])
def test_no_setting_can_add_another_one_to_the_connection_string(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        load_sql(GOOD | {name: value})


@pytest.mark.parametrize("name", ["work;list", "a=b", "a}b", "{a", "x;Encrypt=no", "Bücher 2026", "a" * 128, "[x]"])
def test_any_printable_database_name_is_one_value_of_the_connection_string(name: str) -> None:
    settings = load_sql(GOOD | {"SQL_DATABASE": name})
    parsed = _ConnectionStringParser(validate_keywords=False)._parse(connection_string(settings))
    assert (parsed["database"], parsed["encrypt"]) == (name, "yes")


@pytest.mark.parametrize("name", [" ", "a ", " a", "a\0b", "a\nb", "\x7f", "\ud800", "a" * 129, "\U0001f600" * 65])
def test_a_database_name_that_no_server_has_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="SQL_DATABASE"):
        load_sql(GOOD | {"SQL_DATABASE": name})


@pytest.mark.parametrize(
    "server", ["s,x", "s,0", "s,70000", ",1433", "s,", "s, 1433", "s\\named", "tcp:s", "-s", "s.", "a b"]
)
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
