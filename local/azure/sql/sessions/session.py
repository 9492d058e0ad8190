"""One client's connection from its first byte to its last. Blocks; runs on a thread of its own."""

from __future__ import annotations

import logging
import ssl
import time
from dataclasses import dataclass
from typing import Final

from local.azure.sql.errors import (
    TOKEN_LOGIN,
    Attention,
    CannotOpenDatabase,
    ConnectionClosed,
    DatabaseDenied,
    HandleMissing,
    LoginFailed,
    NotSupported,
    ProcedureMissing,
    ProtocolError,
    SqlError,
)
from local.azure.sql.faults import SessionFaults
from local.azure.sql.sessions.directory import Directory
from local.azure.sql.sessions.execution import Execution
from local.azure.sql.stores.postgres.backend import PostgresBackend
from local.azure.sql.stores.records import MASTER
from local.azure.sql.tds import tokens, wire
from local.azure.sql.tds.login import LoginRequest, login_answer, prelogin_answer, read_login
from local.azure.sql.tds.reader import Reader
from local.azure.sql.tds.rpc import Call, bind, read_call, without_headers

log = logging.getLogger("local.azure.sql")

_TLS_HELLO: Final = 0x16
_BEGIN, _COMMIT, _ROLLBACK = 5, 7, 8
_LOOK_SECONDS: Final = 0.05  # how often a waiting statement looks for a cancellation


@dataclass(frozen=True)
class Parts:
    """What every session shares. `strict` is the TLS context of TDS 8.0."""

    databases: PostgresBackend
    directory: Directory
    tls: ssl.SSLContext
    strict: ssl.SSLContext
    faults: SessionFaults


class Session:
    """Handshake, login, then requests until either side ends it."""

    def __init__(self, connection: wire.Wire, parts: Parts) -> None:
        self._wire = connection
        self._parts = parts
        self._prepared: dict[int, tuple[str, str]] = {}
        self._execution: Execution | None = None

    def run(self) -> None:
        """Serve the client; returns when the connection is over."""
        try:
            self._handshake()
            self._execution = self._login()
            while True:
                kind, body = self._wire.receive()
                self._request(self._execution, kind, body)
        except (ConnectionClosed, OSError, ProtocolError) as ended:
            if str(ended):
                log.info("connection ended: %s", ended)
        finally:
            if self._execution is not None:
                self._execution.close()
            self._wire.close()

    def _handshake(self) -> None:
        """TLS always: first of all in TDS 8.0, after PRELOGIN in 7.x."""
        strict = self._wire.peek(1) == bytes([_TLS_HELLO])
        if strict:
            self._wire.start_tls(self._parts.strict, wrapped=False)
        kind, body = self._wire.receive()
        if kind != wire.PRELOGIN:
            raise ProtocolError(f"the first message is of type 0x{kind:02x}, not PRELOGIN")
        answer, can_encrypt = prelogin_answer(body)
        self._wire.send(answer)
        if not strict:
            if not can_encrypt:
                raise ProtocolError("the client cannot encrypt; encryption is required")
            self._wire.start_tls(self._parts.tls, wrapped=True)

    def _login(self) -> Execution:
        kind, body = self._wire.receive()
        if kind != wire.LOGIN7:
            raise ProtocolError(f"the message after the handshake is of type 0x{kind:02x}, not LOGIN7")
        request = read_login(body)
        try:
            execution = self._admit(request)
        except SqlError as refusal:
            log.info("login refused: %s", refusal.message)
            self._wire.send(tokens.error(refusal) + tokens.done(status=tokens.FAILED))
            raise ConnectionClosed from refusal
        log.info("login of %s as %s in %s", request.application, execution.user, execution.database)
        answer, size = login_answer(request, execution.database)
        self._wire.send(answer)
        self._wire.packet_size = size
        return execution

    def _admit(self, request: LoginRequest) -> Execution:
        parts, database = self._parts, request.database or MASTER
        parts.faults.at_login(database)
        if request.token is not None:
            login, words = parts.directory.by_token(request.token), TOKEN_LOGIN
        else:
            login = parts.directory.by_password(request.user, request.password)
            words = f"Login failed for user '{request.user}'."
        if not parts.databases.exists(database):
            raise CannotOpenDatabase(database) if login.is_admin else LoginFailed(words)
        try:
            return Execution(parts.databases, parts.directory, login, database, parts.faults, self._wait, self._look)
        except DatabaseDenied as error:
            raise LoginFailed(words) from error

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if self._wire.has_input(min(left, _LOOK_SECONDS)):
                raise Attention

    def _look(self) -> None:
        if self._wire.has_input(0):
            raise Attention

    def _request(self, execution: Execution, kind: int, body: bytes) -> None:
        out, token = bytearray(), tokens.DONE_PROC if kind == wire.RPC else tokens.DONE
        try:
            if kind == wire.ATTENTION:
                self._wire.send(tokens.done(status=tokens.CANCELLED))
                return
            content = without_headers(body)
            if kind == wire.BATCH:
                execution.batch(content.decode("utf-16-le"), {}, token, out)
            elif kind == wire.RPC:
                self._call(execution, read_call(content), out)
            elif kind == wire.TRANSACTION:
                self._transaction(execution, Reader(content), out)
            else:
                raise NotSupported(f"requests of type 0x{kind:02x}")
        except Attention:
            self._wire.receive()
            self._wire.send(bytes(out) + tokens.done(status=tokens.CANCELLED))
        except SqlError as refusal:
            self._wire.send(bytes(out) + tokens.error(refusal) + tokens.done(token, tokens.FAILED))
            if refusal.fatal:
                raise ConnectionClosed from refusal
        else:
            self._wire.send(tokens.without_more(bytes(out)))

    def _transaction(self, execution: Execution, reader: Reader, out: bytearray) -> None:
        """Transaction manager requests: what drivers send when autocommit is off."""
        kind = reader.number("<H")
        if kind == _BEGIN:
            execution.transactions.begin()
            out += tokens.transaction_begun()
        elif kind in (_COMMIT, _ROLLBACK):
            if kind == _COMMIT:
                execution.commit()
            else:
                execution.transactions.rollback()
            out += tokens.transaction_ended(kept=kind == _COMMIT)
            reader.take(2 * reader.number("<B"))
            if reader.left and reader.number("<B") & 1:
                execution.transactions.begin()
                out += tokens.transaction_begun()
        else:
            raise NotSupported(f"transaction manager request {kind}")
        out += tokens.done()

    def _call(self, execution: Execution, call: Call, out: bytearray) -> None:
        returned = b""
        match call.procedure:
            case "sp_executesql":
                values = bind(call.text(1), call.parameters[2:])
                execution.batch(call.text(0), values, tokens.DONE_IN_PROC, out)
            case "sp_prepare" | "sp_prepexec":
                handle = len(self._prepared) + 1
                self._prepared[handle] = (call.text(2), call.text(1))
                returned = tokens.returned(call.parameters[0].name, handle)
                if call.procedure == "sp_prepexec":
                    self._execute(execution, handle, call, 3, out)
            case "sp_execute":
                self._execute(execution, call.parameters[0].value, call, 1, out)
            case "sp_unprepare":
                pass  # handles are numbered by the table's size, so the table only grows; it goes with the session
            case other:
                raise ProcedureMissing(other)
        out += tokens.return_status() + returned + tokens.done(tokens.DONE_PROC)

    def _execute(self, execution: Execution, handle: object, call: Call, first: int, out: bytearray) -> None:
        if not isinstance(handle, int) or handle not in self._prepared:
            raise HandleMissing(handle)
        text, declaration = self._prepared[handle]
        execution.batch(text, bind(declaration, call.parameters[first:]), tokens.DONE_IN_PROC, out)
