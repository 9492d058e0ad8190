"""What an error means: by its number and its moment. Words that a handler wrote decide nothing."""

from __future__ import annotations

from typing import Any

import pytest

from worker.docker_worker import errors
from worker.docker_worker.settings import SqlSettings
from worker.docker_worker.sql.sql_errors import BUSY, LOCKS, Moment, safe_text, translate

SQL = SqlSettings(server="sql.example", database="app", client_id="c1")
# The lists that sql_errors.py names, as they were on 2026-11-26; what is left out of it, with the reason there.
LEARN = {926, 40197, 40501, 40613, 49918, 49919, 49920, 4221, 615, 10928, 10929, 10936}
SQL_CLIENT = {
    233,
    997,
    1204,
    1205,
    1222,
    4221,
    10928,
    10929,
    40143,
    40197,
    40501,
    40540,
    40613,
    42108,
    42109,
    49918,
    49919,
    49920,
}
SHUTDOWN_AND_GROUPS = {596, 976, 978, 979, 981, 983, 6005, 17142}


class DriverError(Exception):
    """An error as mssql-python raises it, with the records that we have it keep."""

    def __init__(self, number: int, text: str, state: str = "42000", driver_error: str = "") -> None:
        origin = "[Microsoft][ODBC Driver 18 for SQL Server]" + ("[SQL Server]" if number else "")
        self.driver_error = driver_error
        self.ddbc_error = f"[Microsoft]{'[SQL Server]' if number else ''}{text}"
        self.diagnostics = [(f"[{state}] ({number})", origin + text)]
        super().__init__(f"Driver Error: {driver_error}; DDBC Error: {self.ddbc_error}")


class Numberless(Exception):
    """An error as it comes at COMMIT and while connecting: without records."""

    def __init__(self, text: str, driver_error: str = "") -> None:
        self.driver_error = driver_error
        self.ddbc_error = text
        super().__init__(f"Driver Error: {driver_error}; DDBC Error: {text}")


def test_every_number_of_microsofts_lists_is_transient() -> None:
    assert LEARN | SQL_CLIENT | SHUTDOWN_AND_GROUPS <= LOCKS | BUSY
    assert not LOCKS & BUSY
    for number in LOCKS | BUSY:
        for moment in (Moment.OWN, Moment.HANDLER, Moment.COMMIT):
            found = translate(DriverError(number, "whatever it says"), SQL, moment)
            assert isinstance(found, errors.Transient), number
            assert found.link is (number in BUSY)


@pytest.mark.parametrize(
    "words",
    [
        "deadlock",
        "Login failed for user 'x'.",
        "token is expired",
        "certificate verify failed",
        "SHUTDOWN is in progress.",
        "Communication link failure",
        "Timeout expired",
        "Database 'x' on server 'y' is not currently available.",
        "TCP Provider: gone",
        "is not currently available",
        "permission was denied",
        "Invalid object name 'dbo.work_items'.",
    ],
)
@pytest.mark.parametrize("number", [50000, 51000, 2627, 245, 207, 40550])
def test_a_statements_own_error_is_its_items_failure_whatever_it_says(number: int, words: str) -> None:
    found = translate(DriverError(number, words), SQL, Moment.HANDLER)
    assert type(found) is errors.StatementFailed
    assert found.number == number
    assert f"{number}: {words}" in str(found)


# Texts of the Microsoft driver 18.6 through mssql-python 1.16, shortened; seen against the test server.
CONNECTING: list[tuple[Exception, type[errors.WorkerError], int]] = [
    (
        Numberless("[Microsoft]SSL Provider: certificate verify failed:unable to get local issuer"),
        errors.CertificateNotTrusted,
        76,
    ),
    (Numberless("[Microsoft]SSL Provider: [subject name does not match host name]"), errors.CertificateNotTrusted, 76),
    (Numberless("[Microsoft]Encryption not supported on SQL Server"), errors.CertificateNotTrusted, 76),
    (
        Numberless("[Microsoft][SQL Server]Login failed for user '<token>'.", "Invalid authorization specification"),
        errors.LoginRefused,
        77,
    ),
    (
        Numberless('[Microsoft][SQL Server]Cannot open database "nope" requested by the login. The login failed.'),
        errors.DatabaseMissing,
        69,
    ),
    (
        Numberless('[Microsoft][SQL Server]Cannot open database "deadlock token" requested by the login.'),
        errors.DatabaseMissing,
        69,
    ),
    (
        Numberless("[Microsoft][SQL Server]Login failed for user '<token-identified principal>'. Token is expired."),
        errors.TokenUnavailable,
        75,
    ),
    (RuntimeError("ManagedIdentityCredential authentication unavailable"), errors.TokenUnavailable, 75),
    (
        Numberless("[Microsoft]SSL Provider: An existing connection was forcibly closed by the remote host."),
        errors.Unreachable,
        75,
    ),
    (
        Numberless("[Microsoft]TCP Provider: Error code 0x2749", "Client unable to establish connection"),
        errors.Unreachable,
        75,
    ),
    (Numberless("[Microsoft]Login timeout expired", "Timeout expired"), errors.Unreachable, 75),
    (
        Numberless("[Microsoft][SQL Server]Database 'app' on server 's' is not currently available."),
        errors.ServerBusy,
        75,
    ),
    (
        Numberless("[Microsoft][SQL Server]Login failed for user 'a'. Reason: Server is in script upgrade mode."),
        errors.ServerBusy,
        75,
    ),
]


@pytest.mark.parametrize(("error", "kind", "code"), CONNECTING, ids=lambda value: str(value)[-40:])
def test_what_connecting_meets(error: Exception, kind: type[errors.WorkerError], code: int) -> None:
    found = translate(error, SQL, Moment.CONNECT)
    assert (type(found), found.exit) == (kind, code)
    assert "{" not in str(found)  # every name was put in


@pytest.mark.parametrize("error", [error for error, kind, _ in CONNECTING if not issubclass(kind, errors.Transient)])
@pytest.mark.parametrize("moment", [Moment.OWN, Moment.HANDLER, Moment.COMMIT])
def test_only_connecting_knows_of_tokens_certificates_and_logins(error: Exception, moment: Moment) -> None:
    found = translate(error, SQL, moment)
    assert type(found) in (errors.StatementFailed, errors.Unreachable)  # a TLS error on an open connection is its end


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Numberless("[Microsoft]Communication link failure", "Communication link failure"), errors.Unreachable),
        (
            Numberless("Cannot commit on a closed connection", "Cannot commit on a closed connection"),
            errors.Unreachable,
        ),
        (
            Numberless("[Microsoft]TCP Provider: Error code 0x2746", "Connection failure during transaction"),
            errors.Unreachable,
        ),
        (
            Numberless("[Microsoft][SQL Server]Transaction (Process ID 53) was deadlocked on lock resources"),
            errors.Deadlock,
        ),
        (
            Numberless("[Microsoft][SQL Server]The service has encountered an error processing your request."),
            errors.ServerBusy,
        ),
        (Numberless("[Microsoft][SQL Server]a trigger's own words: deadlocked"), errors.StatementFailed),
    ],
)
def test_what_a_commit_meets(error: Exception, kind: type[errors.WorkerError]) -> None:
    assert type(translate(error, SQL, Moment.COMMIT)) is kind


@pytest.mark.parametrize(
    ("number", "moment", "kind"),
    [
        (208, Moment.OWN, errors.NotMigrated),
        (208, Moment.HANDLER, errors.StatementFailed),
        (229, Moment.OWN, errors.PermissionMissing),
        (229, Moment.HANDLER, errors.StatementFailed),
        (916, Moment.HANDLER, errors.StatementFailed),
    ],
)
def test_whose_statement_it_was_says_whose_failure_it_is(number: int, moment: Moment, kind: type[Any]) -> None:
    assert type(translate(DriverError(number, "text"), SQL, moment)) is kind


@pytest.mark.parametrize(
    ("state", "text"), [("HYT00", "Query timeout expired"), ("08S01", "Communication link failure")]
)
def test_the_drivers_own_errors_are_told_by_their_state(state: str, text: str) -> None:
    assert type(translate(DriverError(0, text, state), SQL, Moment.HANDLER)) is errors.Unreachable


@pytest.mark.parametrize("moment", [Moment.OWN, Moment.HANDLER])
@pytest.mark.parametrize(("number", "text"), [(32, "TCP Provider: Error code 0x20"), (10054, "TCP Provider: reset")])
def test_a_number_of_the_operating_system_is_none_of_the_server(moment: Moment, number: int, text: str) -> None:
    error = DriverError(0, text, "08S01")
    error.diagnostics = [(f"[08S01] ({number})", f"[Microsoft][ODBC Driver 18 for SQL Server]{text}")]
    found = translate(error, SQL, moment)
    assert (type(found), found.number) == (errors.Unreachable, 0)


def test_of_several_records_the_one_that_passes_decides() -> None:
    error = DriverError(3621, "The statement has been terminated.")
    error.diagnostics.append(("[40001] (1205)", "[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]deadlocked"))
    assert type(translate(error, SQL, Moment.HANDLER)) is errors.Deadlock


def test_an_error_without_a_text_has_one() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    assert safe_text(Broken()) == "<Broken, whose text cannot be made: ZeroDivisionError>"
