"""`python -m local.azure.sql`: the SQL Server stand-in as a process, until SIGTERM."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from local.azure.platform.faults import SQL, Faults, Listener
from local.azure.platform.ports import PortInUse, Ports
from local.azure.platform.store import Store
from local.azure.sql.service import Server
from local.azure.sql.sessions.directory import Directory, SqlAccount
from local.azure.sql.stores.postgres.backend import open_backend
from local.azure.sql.stores.postgres.cluster import Cluster, ClusterError
from local.paths import Paths

log = logging.getLogger("local.azure.sql")

_LOOK_SECONDS: Final = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Parse, serve, stop."""
    parser = argparse.ArgumentParser(prog="python -m local.azure.sql", description=__doc__)
    parser.add_argument("--home", type=Path, help="the local Azure's folder (default: .local of the checkout)")
    parser.add_argument("--database", action="append", default=[], help="make this database unless it is there")
    parser.add_argument("--sql-login", metavar="NAME", help="allow this SQL login (tests only; off by default)")
    parser.add_argument("--password-file", type=Path, help="the file that holds the SQL login's password")
    given = parser.parse_args(arguments)
    if (given.sql_login is None) != (given.password_file is None):
        parser.error("--sql-login and --password-file go together: give both or none")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # its warnings repeat what our refusals say
    paths = Paths(given.home.resolve()) if given.home else Paths.default()
    paths.ensure()
    account = None
    if given.sql_login:
        account = SqlAccount(given.sql_login, given.password_file.read_text().rstrip("\n"))
    store = Store(paths.database)
    port = Ports(store).reserve("sql")
    store.close()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    faults = Faults()
    try:
        with ExitStack() as stack:
            cluster = stack.enter_context(Cluster(paths))
            databases = open_backend(paths)
            for name in given.database:
                databases.ensure(name)
            stack.enter_context(Listener(paths, SQL, faults))
            server = stack.enter_context(Server(paths, Directory(paths, account=account), port, databases, faults))
            log.info("listening on port %d", server.port)
            while not stop.wait(_LOOK_SECONDS):
                if not cluster.running:
                    log.error("PostgreSQL ended; so do we, and the next start recovers what was committed")
                    return 1
    except (PortInUse, ClusterError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
