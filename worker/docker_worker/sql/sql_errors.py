"""What an error of SQL Server or its driver means: by its number, its SQLSTATE and the moment it came at.

Words decide nothing while statements run: whoever writes a statement also writes what its error says. The driver knows
the number of every statement's error (`database.keep_diagnostics`). It does not know it while connecting and at COMMIT;
there the number is found by Microsoft's whole message, which has a form of its own for each number, and no handler
writes that text. Only connecting knows of tokens and certificates. Pure: nothing here talks to a database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ..errors import (
    CertificateNotTrusted,
    DatabaseMissing,
    Deadlock,
    LoginRefused,
    NotMigrated,
    PermissionMissing,
    ServerBusy,
    StatementFailed,
    TokenUnavailable,
    Unreachable,
    WorkerError,
)
from ..settings import SqlSettings


class Moment(Enum):
    """When an error came, and so whose it is."""

    CONNECT = "connect"
    OWN = "a statement of the worker"
    HANDLER = "a statement of a handler"
    COMMIT = "commit"


def _numbers(text: str) -> frozenset[int]:
    return frozenset(map(int, text.split()))


# Microsoft's transient numbers, from four lists as they stood on 2026-11-26:
#  - learn.microsoft.com/azure/azure-sql/database/troubleshoot-common-errors-issues, "transient fault error codes", and
#    .../resource-limits-logical-server for the 109xx of resource governance;
#  - learn.microsoft.com/dotnet/api/microsoft.data.sqlclient.sqlconfigurableretryfactory (SqlClient's baseline);
#  - dotnet/efcore, SqlServerTransientExceptionDetector.cs (Entity Framework's execution strategy);
#  - learn.microsoft.com/sql/relational-databases/errors-events: availability groups (976, 978, 979, 981, 983), shutdown
#    (6005, 6006), a session that was killed (596), a login while the server starts or stops (17142, 17147, 17148,
#    18461).
# Not taken: 4060 (it says that there is no such database: `DatabaseMissing`, transient only for who was in it before),
# 64, 121, 20, 10053, 10054, 10060, 11001 and -2, which are SqlClient's own numbers for what ODBC tells by SQLSTATE.
LOCKS: Final = _numbers("""
    1203 1204 1205 1215 1216 1221 1222 1232 3635 3941 3948 3950 3953 3957 3960 3966
    22335 41301 41302 41305 41325 41339 41839
""")
"""The transaction is lost and the connection is not: trying again may help at once."""

BUSY: Final = _numbers("""
    233 539 596 601 615 617 669 921 926 927 941 952 976 978 979 981 982 983 988 997 1404 1413
    1421 1438 1532 1533 1534 1535 1807 2021 2816 3429 3935 3947 3980 4117 4184 4221 5280 5529 6005
    6006 6292 7951 8628 8645 8651 9020 9515 9985 10922 10928 10929 10930 10936 11539 14355 14817
    14868 14906 16528 16554 16555 17065 17066 17067 17142 17147 17148 17197 17889 18401 18461 18858
    19413 19416 19494 20041 21503 22225 22226 22353 22355 22358 22427 22430 22491 22493 22498 22754
    22758 22759 22760 22984 25003 25738 25740 30080 30085 33123 35216 35218 35256 35293 37202 37327
    39025 39108 39110 39151 39152 40106 40143 40189 40197 40501 40540 40613 40623 40642 40648 40671
    40675 40890 40903 40918 40938 41383 41614 41619 41640 41700 41701 41823 41840 42029 42108 42109
    45153 45156 45157 45161 45179 45182 45319 45547 47132 47137 47139 49510 49802 49918 49919 49920
    49977 49983
""")
"""A failover, a restart, or a server out of something: try again after a while, on a new connection."""

DENIED: Final = frozenset({229, 230, 262, 297, 300, 916, 15247, 15151, 15562})
OBJECT_MISSING: Final = 208
OBJECT_EXISTS: Final = frozenset({2714, 2705, 1913})
GONE: Final = frozenset({3701, 3727, 3728})  # DROP of what is not there
DUPLICATE_KEY: Final = frozenset({2601, 2627})
LOGIN_FAILED: Final = frozenset(
    {18450, 18451, 18452, 18456, 18470, 18486, 18487, 18488, 40532, 40607, 40615, 47073, 33134}
)
NO_DATABASE: Final = 4060

# Messages by their form, for the moments at which the driver gives no number. A form is the beginning of Microsoft's
# text; what is another's name in it stands in quotes.
_NAME: Final = r"""['"].*?['"]"""
_FORMS: Final = tuple(
    (re.compile(form, re.DOTALL), number)
    for form, number in (
        (rf"Cannot open database {_NAME} requested by the login", NO_DATABASE),
        (rf"Cannot open server {_NAME} requested by the login", 40615),
        (rf"Login failed for user {_NAME}\. Reason: Server is in script upgrade mode", 18401),
        (r"Login failed for user ", 18456),
        (r"Login to read-secondary failed due to long wait on ", 4221),
        (r"Login failed due to timeout; the connection has been closed", 17197),
        (rf"Database {_NAME} on server {_NAME} is not currently available", 40613),
        (r"Database is unavailable at the moment, please retry connection", 49802),
        (r"The service is currently busy\. Retry the request after", 40501),
        (r"The service has encountered an error processing your request", 40197),
        (r"Cannot process request\. Not enough resources to process request", 49918),
        (r"Cannot process create or update request\. Too many create or update operations in progress", 49919),
        (r"Cannot process request\. Too many operations in progress", 49920),
        (r"Resource ID ?: ?\d+\. The request limit for the elastic pool is", 10936),
        (
            r"Resource ID ?: ?\d+\. The .{1,40}? limit for the (database|elastic pool) is \d+ and has been reached",
            10928,
        ),
        (r"Resource ID ?: ?\d+\. The .{1,40}? minimum guarantee is ", 10929),
        (r"The server is currently too busy", 40642),
        (r"The service is currently too busy", 40675),
        (r"Too many requests have been performed", 40648),
        (rf"Could not find database ID \d+, name {_NAME}\. The database may be offline", 615),
        (rf"Database {_NAME} cannot be opened\. It has been marked SUSPECT by recovery", 926),
        (rf"Database {_NAME} cannot be opened\. It is in the middle of a restore", 927),
        (rf"Database {_NAME} has not been recovered yet", 921),
        (rf"Database {_NAME} is in transition", 952),
        (
            rf"The target database, {_NAME}, is participating in an availability group and is currently not accessible",
            976,
        ),
        (rf"Unable to access availability database {_NAME} because the database replica is not in the PRIMARY", 983),
        (rf"Unable to access database {_NAME} because it lacks a quorum", 988),
        (r"SHUTDOWN is in progress", 6005),
        (r"Server shut down by ", 6006),
        (r"Cannot continue the execution because the session is in the kill state", 596),
        (r"The SQL pool is warming up", 42109),
        (r"Can not connect to the SQL pool since it is paused", 42108),
        (r"Transaction (\(Process ID \d+\) )?was deadlocked on ", 1205),
        (r"Lock request time out period exceeded", 1222),
        (r"The current transaction failed to commit due to a repeatable read validation failure", 41305),
        (r"The current transaction failed to commit due to a serializable validation failure", 41325),
        (r"A dependency was taken on another transaction that later failed to commit|Dependency failure", 41301),
        (rf"Invalid object name {_NAME}\.?$", OBJECT_MISSING),
        (rf"There is already an object named {_NAME}", 2714),
        (r"[A-Z ]+ permission (was )?denied ", 262),
    )
)

# The driver's names of SQLSTATEs, where it keeps the name and drops the state: https://learn.microsoft.com/sql/odbc/
# reference/appendixes/appendix-a-odbc-error-codes. The connection is gone, or the time is up.
_STATES: Final = {
    "Client unable to establish connection": "08001",
    "Connection name in use": "08002",
    "Connection not open": "08003",
    "Server rejected the connection": "08004",
    "Connection failure during transaction": "08007",
    "Communication link failure": "08S01",
    "Timeout expired": "HYT00",
    "Connection timeout expired": "HYT01",
    "Invalid authorization specification": "28000",
    "Serialization failure": "40001",
}
_LINK_WORDS: Final = re.compile(
    r"(TCP Provider|SSL Provider|Named Pipes Provider|Shared Memory Provider): |Communication link failure|"
    r"(Query|Login|Connection)? ?timeout expired|Unable to complete login process|"
    r"Cannot (commit|rollback|create cursor|execute)\b.* closed connection|.*Cursor is closed",
    re.IGNORECASE,
)
_CERTIFICATE: Final = re.compile(
    r"certificate verify failed|certificate chain|subject name does not match|self[- ]signed|certificate has expired|"
    r"unable to get (local )?issuer|hostname mismatch|name mismatch",
    re.IGNORECASE,
)
_TOKEN: Final = re.compile(
    r"managedidentity|imds|identity endpoint|azure ad token|credential|acquire.{0,20}token", re.I
)
_EXPIRED: Final = re.compile(r"Login failed for user .{0,60}\. Token (is|has) expired", re.IGNORECASE)


@dataclass(frozen=True)
class Diagnosis:
    """One error, read. `number` 0 and `state` "": not known. `of_driver`: no server wrote the text."""

    number: int
    state: str
    text: str
    of_driver: bool


def diagnose(error: BaseException) -> Diagnosis:
    """Number, SQLSTATE and text of an error: the driver's own records, or what can be told without them."""
    text = safe_text(getattr(error, "ddbc_error", "") or error)
    plain, of_driver = _without_origin(text)
    records = [found for record in getattr(error, "diagnostics", ()) if (found := _record(record)) is not None]
    if records:
        state, number, message = next((record for record in records if record[1] in LOCKS | BUSY), records[0])
        plain, of_driver = _without_origin(message)
        return Diagnosis(number, state, plain, of_driver)
    state = _STATES.get(str(getattr(error, "driver_error", "")), "")
    number = next((number for form, number in _FORMS if form.match(plain)), 0)
    return Diagnosis(number, state, plain, of_driver and not number)


def translate(error: BaseException, sql: SqlSettings, moment: Moment = Moment.HANDLER) -> WorkerError:
    """The driver's error as one of ours, with its number and text as part of the cause."""
    found = diagnose(error)
    shown = f"{found.number}: {found.text}" if found.number else found.text

    def build(kind: type[WorkerError], fact: str, cause: str, next_step: str) -> WorkerError:
        names = {"server": sql.server, "database": sql.database, "who": sql.who}
        ours = kind(fact.format(**names), cause=f"{cause.format(**names)} ({shown})", next_step=next_step)
        ours.number = found.number
        return ours

    if moment is Moment.CONNECT and (refusal := _refusal(found, build)) is not None:
        return refusal
    if found.number in LOCKS or (not found.number and found.state == "40001"):
        return build(Deadlock, "{server} rolled our transaction back", "another one had the lock", "try again")
    if found.number in BUSY:
        return build(
            ServerBusy,
            "{server} cannot serve {database!r} now",
            "a failover, or too much load",
            "try again in a minute",
        )
    if not found.number and (
        found.state.startswith("08") or found.state in ("HYT00", "HYT01") or _is_link_failure(found)
    ):
        return build(
            Unreachable,
            "the connection to {server} failed",
            "the server or the network dropped it, or took too long",
            "try again; if it stays, look at the server",
        )
    if moment is Moment.OWN and found.number == OBJECT_MISSING:
        return build(
            NotMigrated,
            "database {database!r} has no tables of the worker",
            "nobody ran `migrate` in it",
            "run `migrate` once, as an identity that may create tables (docs/worker.md)",
        )
    if moment is Moment.OWN and found.number in DENIED:
        return build(
            PermissionMissing,
            "{who} may not do this in {database!r}",
            "its database user lacks a right",
            "run the script of docs/sql.md",
        )
    ours = StatementFailed(
        f"{sql.server} answered with an error", cause=shown, next_step="try again; if it stays, report it"
    )
    ours.number = found.number
    return ours


def was_refused_for(error: WorkerError, numbers: Iterable[int]) -> bool:
    """Whether the server refused a statement with one of these numbers."""
    return isinstance(error, StatementFailed) and error.number in numbers


def safe_text(value: object) -> str:
    """The text of an error, whatever its class does when it is asked for one."""
    try:
        return str(value)
    except Exception as broken:
        return f"<{type(value).__name__}, whose text cannot be made: {type(broken).__name__}>"


def _refusal(found: Diagnosis, build: Callable[[type[WorkerError], str, str, str], WorkerError]) -> WorkerError | None:
    """The errors that only connecting has: token, certificate, login, database."""
    if found.number == NO_DATABASE:
        return build(
            DatabaseMissing,
            "database {database!r} cannot be opened on {server}",
            "it does not exist there, or the identity has no user in it",
            "check sql.database of the stack, and run the script of docs/sql.md",
        )
    if found.number == 18456 and _EXPIRED.match(found.text):
        return build(
            TokenUnavailable,
            "{server} refused the token of {who}",
            "it was expired",
            "try again; if it stays, compare the clocks of server and node",
        )
    if found.number in LOGIN_FAILED or (not found.number and found.state == "28000"):
        return build(
            LoginRefused,
            "{server} refused {who}",
            "database {database!r} has no user for it, or is not there",
            "check sql.database of the stack, and run the script of docs/sql.md as the server's Entra administrator",
        )
    if found.number:
        return None
    if _CERTIFICATE.search(found.text):
        return build(
            CertificateNotTrusted,
            "the certificate of {server} is not trusted",
            "its authority is not in the image's CA store, or it names another host",
            "add the CA to the base image, or use the name in the certificate",
        )
    if "encryption not supported" in found.text.casefold():
        return build(
            CertificateNotTrusted,
            "{server} offers no encryption",
            "the worker never speaks in clear",
            "give the server a certificate",
        )
    if not found.state and _TOKEN.search(found.text):
        return build(
            TokenUnavailable,
            "no token for {who}",
            "the identity endpoint did not give one",
            "check that the pool has this identity assigned",
        )
    return None


def _is_link_failure(found: Diagnosis) -> bool:
    return found.of_driver and _LINK_WORDS.match(found.text) is not None


def _record(record: object) -> tuple[str, int, str] | None:
    """`("[42S22] (207)", "[Microsoft]...")` of the driver, as SQLSTATE, number and text."""
    try:
        head, message = record  # type: ignore[misc]
        match = re.fullmatch(r"\[(\w{5})\] \((-?\d+)\)", str(head).strip())
    except (TypeError, ValueError):
        return None
    if match is None:
        return None
    # what the driver says itself has a number of the operating system's (32: a broken pipe), which is none of a server
    return match[1], 0 if _without_origin(str(message))[1] else max(0, int(match[2])), str(message)


def _without_origin(text: str) -> tuple[str, bool]:
    """`[Microsoft][ODBC Driver 18 for SQL Server][SQL Server]text` as its text, and whether the driver wrote it."""
    match = re.match(r"(?:Driver Error: .*?; DDBC Error: )?((?:\[[^\]]*\])*)(.*)", text, re.DOTALL)
    assert match is not None
    return match[2].strip(), not match[1].endswith("[SQL Server]")
