"""The T-SQL that lets the node identity into the database. No resource: server and database are settings.

`pulumi stack output --json | python -m infra.sql` prints it; `docs/sql.md` says who runs it and what it grants. Run by
the server's Entra administrator, once per database and identity; running it again changes nothing.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Mapping
from typing import Any, Final

ROLES: Final = ("db_datareader", "db_datawriter")

GRANTS: Final = ("CREATE TABLE", "ALTER ON SCHEMA::dbo")
"""What the worker's `check` needs to make its own table, once; `docs/sql.md` shows how to take it back."""

USAGE: Final = "usage: pulumi stack output --json | python -m infra.sql   (no arguments; the script is printed)"


def user_script(*, database: str, identity_name: str, client_id: str) -> str:
    """A script that makes the identity a database user and gives it `ROLES` and `GRANTS`.

    The SID form needs no directory look-up, so the server needs no directory rights of its own: SID is the client id's
    bytes, TYPE E an external user (learn.microsoft.com/sql/t-sql/statements/create-user-transact-sql, "TYPE = E").
    """
    name, literal = _bracketed(identity_name), _literal(identity_name)
    sid = f"0x{uuid.UUID(client_id).bytes_le.hex().upper()}"
    lines = [
        f"-- Lets the node identity {_comment(identity_name)} into database {_comment(database)} (infra/sql.py).",
        f"-- Run it while connected to {_comment(database)}, as the server's Microsoft Entra administrator.",
        # An identity made anew (a destroy, then an up) has its old name and another client id.
        f"IF EXISTS (SELECT 1 FROM sys.database_principals WHERE name = {literal} AND sid <> {sid})",  # noqa: S608
        f"    DROP USER {name};",
        f"IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = {literal})",  # noqa: S608 - quoted above
        f"    CREATE USER {name} WITH SID = {sid}, TYPE = E;",
    ]
    lines += [f"ALTER ROLE {role} ADD MEMBER {name};" for role in ROLES]
    lines += [f"GRANT {grant} TO {name};" for grant in GRANTS]
    return "\n".join(lines) + "\n"


def script_for(outputs: Mapping[str, Any]) -> str:
    """The script for a stack's outputs."""
    try:
        identity, database = outputs["worker_identity"], outputs["sql"]["database"]
        name, client_id = identity["resource_id"].rsplit("/", 1)[-1], identity["client_id"]
    except (KeyError, TypeError) as missing:
        raise ValueError(f"the outputs have no {missing}; pass the JSON of `pulumi stack output --json`") from None
    return user_script(database=database, identity_name=name, client_id=client_id)


def _bracketed(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"


def _literal(text: str) -> str:
    return "N'" + text.replace("'", "''") + "'"


def _comment(text: str) -> str:
    return " ".join(text.split())


def main(arguments: list[str]) -> int:
    """Read outputs from standard input, write the script to standard output."""
    if arguments or sys.stdin.isatty():
        print(USAGE, file=sys.stderr)
        return 2
    try:
        # As bytes: json finds out itself whether they are UTF-8 or UTF-16 (Windows PowerShell), with or without a mark.
        print(script_for(json.loads(getattr(sys.stdin, "buffer", sys.stdin).read())), end="")
    except UnicodeDecodeError as problem:
        print(f"infra.sql: the outputs are no text: {problem}; save them as UTF-8", file=sys.stderr)
        return 2
    except (ValueError, RecursionError) as problem:
        print(f"infra.sql: {problem}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
