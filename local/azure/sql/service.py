"""Listens and gives every connection a thread. Owns sockets and threads, nothing of the protocol."""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import ssl
import threading

from local.azure.platform.certificates import server_files
from local.azure.platform.faults import Faults
from local.azure.platform.ports import HOST, PortInUse
from local.azure.sql.faults import SessionFaults
from local.azure.sql.sessions.directory import Directory
from local.azure.sql.sessions.session import Parts, Session
from local.azure.sql.stores.postgres.backend import PostgresBackend
from local.azure.sql.tds.wire import Wire
from local.paths import Paths

log = logging.getLogger("local.azure.sql")

NAMES = ("sql.azure.test", "localhost", HOST)


class Server:
    """`with Server(...) as server:` answers until the block ends."""

    def __init__(
        self, paths: Paths, directory: Directory, port: int, databases: PostgresBackend, faults: Faults | None = None
    ) -> None:
        tls = _context(paths)
        tls.maximum_version = ssl.TLSVersion.TLSv1_2  # [MS-TDS]: TLS 1.3 only with TDS 8.0
        strict = _context(paths)
        strict.set_alpn_protocols(["tds/8.0"])
        self._parts = Parts(databases, directory, tls, strict, SessionFaults(faults))
        self._port = port
        self._socket: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def databases(self) -> PostgresBackend:
        """The server's databases."""
        return self._parts.databases

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port if self._socket is None else self._socket.getsockname()[1]

    def __enter__(self) -> Server:
        try:
            self._socket = socket.create_server((HOST, self._port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortInUse("sql", self._port) from error
            raise
        threading.Thread(target=self._accept, args=(self._socket,), name="sql accept", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._socket is not None
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), name="sql session", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            Session(Wire(connection), self._parts).run()
        except Exception:  # one session's bug must not end the others
            log.exception("a session ended by an error of ours")
            connection.close()
        finally:
            with self._lock:
                self._open.discard(connection)


def _context(paths: Paths) -> ssl.SSLContext:
    certificate, key = server_files(paths, "sql", NAMES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context
