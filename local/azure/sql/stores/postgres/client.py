"""A connection to PostgreSQL by psycopg, on a Unix socket. No SQL of its own.

psycopg connects; statements go through its libpq, for two things that a session needs: a wait that also looks at the
client (a cancelled statement), and the savepoint before a statement in the same packet as the statement. Values stay
text: `types.py` knows T-SQL's. Blocks; one thread has one connection.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from psycopg import Connection, OperationalError, pq
from psycopg.pq.abc import PGresult

_LOOK_SECONDS: Final = 0.05
_CONNECT_SECONDS: Final = 10

Parameter = tuple[int, bytes | None]  # type oid (0: as the server infers it) and the value as text


class Refused(Exception):
    """PostgreSQL's ERROR: its fields by their letter ('C' is the code, 'M' the message)."""

    def __init__(self, result: PGresult) -> None:
        found = {chr(name): result.error_field(name) for name in pq.DiagnosticField}
        self.fields = {letter: text.decode("utf-8", "replace") for letter, text in found.items() if text is not None}
        self.code = self.fields.get("C", "")
        super().__init__(f"{self.code} {self.fields.get('M', '')}")


class Lost(Exception):
    """The connection ended: the database was shut down, or died."""


@dataclass
class Answer:
    """Columns as (name, type oid), rows as text, and the command's tag (`UPDATE 3`)."""

    columns: list[tuple[str, int]] = field(default_factory=list)
    rows: list[list[bytes | None]] = field(default_factory=list)
    tag: str = ""
    described: bool = False


class Client:
    """One connection. `look` is called while the server is busy and may raise: then the statement is cancelled."""

    def __init__(self, address: Path, *, user: str, database: str) -> None:
        port = address.name.rpartition(".")[2]
        try:
            self._connection = Connection.connect(
                host=str(address.parent),
                port=port,
                user=user,
                dbname=database,
                client_encoding="UTF8",
                connect_timeout=_CONNECT_SECONDS,
                autocommit=True,
            )
        except OperationalError as error:
            raise Lost(f"{address}: {error}") from error
        self._libpq = self._connection.pgconn

    def script(self, sql: str) -> None:
        """Run statements without parameters or results."""
        self._read(lambda: self._libpq.send_query(sql.encode()))

    def query(
        self,
        sql: str,
        parameters: Sequence[Parameter] = (),
        *,
        first: Sequence[str] = (),
        look: Callable[[], None] | None = None,
    ) -> Answer:
        """Run one statement; those of `first` run before it, sent with it."""

        def send() -> None:
            for statement in first:
                self._libpq.send_query_params(statement.encode(), None)
            values, kinds = [value for _, value in parameters], [kind for kind, _ in parameters]
            self._libpq.send_query_params(sql.encode(), values, kinds)
            if first:
                self._libpq.pipeline_sync()

        if not first:
            return self._read(send, look)
        self._libpq.enter_pipeline_mode()
        try:
            return self._read(send, look, len(first) + 2)  # the statement itself, and the end of the packet
        finally:
            with contextlib.suppress(OperationalError):  # of a connection that ended
                self._libpq.exit_pipeline_mode()

    def close(self) -> None:
        """Say good-bye."""
        self._connection.close()

    def _read(self, send: Callable[[], None], look: Callable[[], None] | None = None, parts: int = 1) -> Answer:
        """Send, then read what each part gave; raises the first error when all is read."""
        answer, problem, cancelled = Answer(), None, None
        try:
            send()
            while self._libpq.flush():
                select.select([], [self._libpq.socket], [])
            while parts:
                if look is not None and cancelled is None:
                    try:
                        self._wait(look)
                    except BaseException as reason:
                        cancelled = reason
                        self._libpq.cancel_conn().blocking()
                else:
                    self._wait()
                result = self._libpq.get_result()
                if result is None or result.status == pq.ExecStatus.PIPELINE_SYNC:
                    parts -= 1
                elif result.status == pq.ExecStatus.FATAL_ERROR:
                    problem = problem or Refused(result)
                elif result.status in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
                    answer = _answer(result)
        except OperationalError as error:
            raise Lost(str(error)) from error
        if self._libpq.status != pq.ConnStatus.OK:
            raise Lost(str(problem or "PostgreSQL closed the connection"))
        if cancelled is not None:
            raise cancelled
        if problem is not None:
            raise problem
        return answer

    def _wait(self, look: Callable[[], None] | None = None) -> None:
        """Until a result can be had without waiting."""
        while self._libpq.is_busy():
            if select.select([self._libpq.socket], [], [], _LOOK_SECONDS if look else None)[0]:
                self._libpq.consume_input()
            elif look:
                look()


def _answer(result: PGresult) -> Answer:
    tag, described = (result.command_status or b"").decode(), result.status == pq.ExecStatus.TUPLES_OK
    columns = [((result.fname(at) or b"").decode(), result.ftype(at)) for at in range(result.nfields)]
    rows = [[result.get_value(row, at) for at in range(len(columns))] for row in range(result.ntuples)]
    return Answer(columns, rows, tag, described)
