"""`connect NODE`: a user made for this on a node, and ssh as that user. By default a key made for this connection.

The user is an administrator of the node only with `--admin`, ends by itself after days, and is removed when ssh ends,
however it ends: also by Ctrl-C, by SIGTERM and when the terminal is closed (with `--print`: when you say `--remove`).
A password is shown once and kept nowhere. Batch tells no
node's host key: it is trusted at first use, and remembered nowhere.
"""

from __future__ import annotations

import argparse
import secrets
import shlex
import string
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ...errors import Conflict, NotFound, Refused, ServiceError, UsageError
from ...exits import Exit
from ...service.batch import NodeState
from ...session import Session
from ...signals import undisturbed
from ...terminal.render import Render
from ...terminal.wording import did_you_mean
from . import nodes

EXAMPLES: Final = (
    "connect tvm-1",
    'connect tvm-1 --run "docker ps"',
    "connect tvm-1 --pool default --days 2 --key ~/.ssh/id_ed25519",
)
PREFIX: Final = "ssh-"
# Batch wants three of: upper, lower, digit, other; these are easy to type and need no quoting.
SIGNS: Final = string.ascii_letters + string.digits + "-_"
PASSWORD_LENGTH: Final = 24


@dataclass(frozen=True)
class Target:
    """Where to log in, and as whom."""

    pool: str
    node: str
    user: str
    address: str
    port: int


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("node", metavar="NODE", help="a node's id, or the beginning of one")
    parser.add_argument("--run", dest="command", metavar="COMMAND", help="run this there instead of a shell")
    parser.add_argument("--pool", help="the node's pool (default: every pool of the stack is searched)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--key", type=Path, metavar="FILE", help="your private key; its public key is FILE.pub")
    how.add_argument("--password", action="store_true", help="make a password and show it once")
    how.add_argument("--remove", metavar="USER", help="only remove this user from the node")
    parser.add_argument("--admin", action="store_true", help="the user may use sudo")
    parser.add_argument(
        "--days", type=int, default=1, metavar="N", help="the user ends by itself after N days (default 1)"
    )
    parser.add_argument("--print", action="store_true", dest="only_print", help="print the ssh command, run nothing")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    render = session.render
    pool, node = find(session, arguments.node, arguments.pool)
    if arguments.remove:
        session.batch.delete_user(pool, node.id, arguments.remove)
        if render.as_json:
            render.record({"node": node.id, "user": arguments.remove, "removed": True})
        render.words(f"user {arguments.remove} is removed from {node.id}")
        return Exit.OK
    only_print = arguments.only_print or arguments.password or render.as_json
    if only_print and not (arguments.key or arguments.password):
        raise UsageError("a command to use later needs a key that stays", next_step="give --key FILE or --password")
    with ExitStack() as stack:
        key: Path | None = arguments.key
        if key is None and not arguments.password:
            key = make_key(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jobs-connect-"))))
        password = make_password() if arguments.password else ""
        address, port = find_address(session, pool, node)
        user = new_user(session, key=key, password=password, arguments=arguments)
        stack.callback(_remove, session, pool, node, user)  # before it is made: an answer may be lost
        session.batch.create_user(pool, node.id, user)
        target = Target(pool, node.id, user["name"], address, port)
        command = ssh_command(target, key, arguments.command)
        if only_print:
            stack.pop_all()  # the user stays, and the key is none of ours
            _tell(session, target, command, password)
            return Exit.OK
        return _run(command, render)


def _remove(session: Session, pool: str, node: NodeState, user: Mapping[str, Any]) -> None:
    """Remove the user. It ends by itself later, so that it could not be removed is told and changes no result."""
    name = user["name"]
    with undisturbed():
        try:
            session.batch.delete_user(pool, node.id, name)
        except NotFound:
            return  # it was never made, or went with its node
        except ServiceError as error:
            session.render.words(
                f"user {name} could not be removed from {node.id}: {error.fact}\nIt ends on {user['expiryTime'][:10]}; "
                f"remove it earlier: python -m jobs connect {node.id} --remove {name}"
            )
            return
        session.render.words(f"user {name} is removed from {node.id}")


def find(session: Session, given: str, pool: str | None) -> tuple[str, NodeState]:
    """The one node whose id begins so, and its pool."""
    every = [(where, node) for where in nodes.pools(pool, session) for node in session.batch.nodes(where)]
    found = [item for item in every if item[1].id == given] or [item for item in every if item[1].id.startswith(given)]
    if not found:
        ids = [node.id for _, node in every]
        near = did_you_mean(given, ids) or f" (nodes: {', '.join(ids[:5]) or 'none'})."
        raise NotFound(f"no node's id begins with {given!r}{near}", next_step="python -m jobs nodes")
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} nodes begin with {given!r}, for example {found[0][1].id}", next_step="give more of the id"
        )
    return found[0]


def find_address(session: Session, pool: str, node: NodeState) -> tuple[str, int]:
    """Where ssh is answered. Batch maps its port only on pools that say so (since 30 November 2025)."""
    try:
        return session.batch.ssh_address(pool, node.id)
    except (Conflict, NotFound, Refused) as error:
        if error.code == "NodeNotReady" or session.batch.pool(pool).maps_ssh:
            raise
        raise Conflict(
            f"pool {pool} lets nobody log in to its nodes: its setting `ssh_from` names no network",
            next_step=(
                "add the networks that may, for example `ssh_from: [203.0.113.0/24]`, to this pool in the "
                f"stack's settings and run up: it makes a new generation of the pool ({error.code})"
            ),
            code=error.code,
        ) from error


def make_key(folder: Path) -> Path:
    """A key pair that lives as long as the folder."""
    path = folder / "key"
    try:
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "jobs-connect", "-f", str(path)],
            check=True,
            capture_output=True,
        )
    except FileNotFoundError as error:
        raise UsageError("there is no ssh-keygen here", next_step="install OpenSSH, or use --password") from error
    except subprocess.CalledProcessError as error:
        raise UsageError(
            f"ssh-keygen failed: {error.stderr.decode(errors='replace').strip()}", next_step="use --key FILE"
        ) from error
    return path


def make_password() -> str:
    """With a letter of each kind and a digit, as Batch asks for."""
    while True:
        made = "".join(secrets.choice(SIGNS) for _ in range(PASSWORD_LENGTH))
        if (
            any(sign.isupper() for sign in made)
            and any(sign.islower() for sign in made)
            and any(map(str.isdigit, made))
        ):
            return made


def new_user(session: Session, *, key: Path | None, password: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The user as Batch takes it, under a name that nobody has."""
    user: dict[str, Any] = {
        "name": f"{PREFIX}{secrets.token_hex(4)}",
        "isAdmin": arguments.admin,
        "expiryTime": expiry(session.clock.now(), arguments.days),
    }
    if key is not None:
        user["sshPublicKey"] = public_key(key)
    else:
        user["password"] = password
    return user


def expiry(now: datetime, days: int) -> str:
    """The end of the last day: "for Linux nodes, the expiryTime has a precision up to a day" (REST reference), and on a
    Linux system a user whose end is today cannot log in any more."""
    if days < 1:
        raise UsageError(
            f"--days {days}: a user lives for 1 day or more on Linux nodes", next_step="--remove ends it earlier"
        )
    return f"{now + timedelta(days=days + 1):%Y-%m-%d}T00:00:00Z"


def public_key(key: Path) -> str:
    """The text of FILE.pub; giving the public key itself is a mistake worth a sentence."""
    if key.suffix == ".pub":
        raise UsageError(
            f"{key} is a public key", next_step=f"give the private one beside it: --key {key.with_suffix('')}"
        )
    path = key.with_name(f"{key.name}.pub")
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: cannot be read: {error}", next_step=f"make a pair with: ssh-keygen -f {key}"
        ) from error


def ssh_command(target: Target, key: Path | None, command: str | None) -> list[str]:
    """ssh for this login; the host key is looked for in no file of the user's."""
    return [
        "ssh",
        *_ssh_options(key),
        "-p",
        str(target.port),
        f"{target.user}@{target.address}",
        *([command] if command else []),
    ]


def _ssh_options(key: Path | None) -> Iterator[str]:
    # No connection of the user's own settings that would outlive this one (ControlMaster), nor his agent on the node.
    alone = ("ControlMaster=no", "ControlPath=none", "ForwardAgent=no")
    for option in ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", *alone):
        yield from ("-o", option)
    if key is not None:
        yield from ("-i", str(key), "-o", "IdentitiesOnly=yes")


def _run(command: list[str], render: Render) -> Exit:
    """ssh in our place; its own failure (255) is the service's, another code is the command's."""
    try:
        code = subprocess.run(command, check=False).returncode
    except FileNotFoundError as error:
        raise UsageError("there is no ssh here", next_step="install OpenSSH") from error
    if code == 255:
        raise ServiceError("ssh could not log in", next_step="look at its message above, and at: python -m jobs nodes")
    if code:
        render.words(f"the remote command ended with {code}")
        return Exit.COMMAND_FAILED
    return Exit.OK


def _tell(session: Session, target: Target, command: list[str], password: str) -> None:
    render = session.render
    shown = shlex.join(command)
    if render.as_json:
        secret = {"password": password} if password else {}
        render.record({**vars(target), "command": shown, **secret})
        return
    render.data(shown)
    if password:
        render.words(f"password, shown this once: {password}")
    render.words(f"when you are done: python -m jobs connect {target.node} --remove {target.user}")
