"""The generated T-SQL: right for the identity, safe for any name, and readable by a T-SQL parser."""

from __future__ import annotations

import io
import json
import sys

import pytest
import sqlglot

from infra import sql

CLIENT_ID = "11223344-5566-7788-99aa-bbccddeeff00"
OUTPUTS = {
    "worker_identity": {
        "client_id": CLIENT_ID,
        "resource_id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity"
        "/userAssignedIdentities/id-abp-dev-node",
    },
    "sql": {"server": "host", "database": "worklist"},
}


def test_the_script_makes_the_user_from_the_client_id_and_grants_what_tasks_need() -> None:
    assert sql.script_for(OUTPUTS).splitlines()[2:] == [
        "IF EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'id-abp-dev-node' "
        "AND sid <> 0x443322116655887799AABBCCDDEEFF00)",
        "    DROP USER [id-abp-dev-node];",
        "IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'id-abp-dev-node')",
        "    CREATE USER [id-abp-dev-node] WITH SID = 0x443322116655887799AABBCCDDEEFF00, TYPE = E;",
        "ALTER ROLE db_datareader ADD MEMBER [id-abp-dev-node];",
        "ALTER ROLE db_datawriter ADD MEMBER [id-abp-dev-node];",
        "GRANT CREATE TABLE TO [id-abp-dev-node];",
        "GRANT ALTER ON SCHEMA::dbo TO [id-abp-dev-node];",
    ]


def test_names_cannot_break_out_of_their_quotes() -> None:
    script = sql.user_script(database="d\nDROP", identity_name="a]b'c", client_id=CLIENT_ID)
    assert "[a]]b'c]" in script
    assert "N'a]b''c'" in script
    assert "\nDROP" not in script


def test_the_script_is_tokens_of_t_sql() -> None:
    assert sqlglot.tokenize(sql.script_for(OUTPUTS), read="tsql")


@pytest.mark.parametrize("outputs", [{}, {"worker_identity": {}}, {**OUTPUTS, "sql": None}])
def test_other_json_is_refused_in_words(outputs: dict) -> None:
    with pytest.raises(ValueError, match="pass the JSON of `pulumi stack output --json`"):
        sql.script_for(outputs)


def test_the_command_reads_outputs_and_prints_the_script(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(OUTPUTS)))
    assert sql.main([]) == 0
    assert capsys.readouterr().out == sql.script_for(OUTPUTS)


@pytest.mark.parametrize(("text", "words"), [("nonsense", "infra.sql: "), ("[]", "infra.sql: ")])
def test_the_command_refuses_what_is_no_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    assert sql.main([]) == 2
    assert capsys.readouterr().err.startswith(words)


def test_arguments_are_refused_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert sql.main(["--help"]) == 2
    assert capsys.readouterr().err.startswith("usage: pulumi stack output --json")


def given(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_command_reads_outputs_however_a_shell_wrote_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], encoding: str
) -> None:
    given(monkeypatch, json.dumps(OUTPUTS).encode(encoding))
    assert sql.main([]) == 0
    assert capsys.readouterr().out == sql.script_for(OUTPUTS)


@pytest.mark.parametrize(
    ("data", "told"),
    [("é".encode("latin-1"), "save them as UTF-8"), (b"[" * 100_000, "recursion"), (b"", "infra.sql: ")],
)
def test_the_command_tells_what_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], data: bytes, told: str
) -> None:
    given(monkeypatch, data)
    assert sql.main([]) == 2
    assert told in capsys.readouterr().err
