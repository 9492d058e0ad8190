"""Who commands run as: the pool's user accounts, Batch's own auto-users, logins, and the admins' sudo.

Facts (learn.microsoft.com/azure/batch/batch-user-accounts): pool-scope auto-user `_azbatch`; admins are in
`_azbatchsudogrp`; a pool-scope admin auto-user is root (also in containers). Being in the `docker` group is a start
task's business: the groups of a user are looked up each time a command starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import pwd
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from local.node.agent import failures
from local.node.agent.beneath import Beneath
from local.node.contract import UserAccount, UserIdentity

ADMIN_GROUP = "_azbatchsudogrp"
AUTO_USER = "_azbatch"
_SUDOERS = Path("/etc/sudoers.d/azbatch")
_RULES = f"%{ADMIN_GROUP} ALL=(ALL) NOPASSWD:ALL\nDefaults !fqdn\n"


class AccountRefused(Exception):
    """A user account cannot be made on this node."""


@dataclass(frozen=True)
class Account:
    """Whom a process becomes. `switch` False: it stays who the agent is."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = field(default=())
    switch: bool = True

    def own(self, descriptor: int) -> None:
        """Give an open file or folder to the account. Never a path: a task may have put a link there."""
        if self.switch:
            os.fchown(descriptor, self.uid, self.gid)

    def may(self, found: os.stat_result, wanted: int) -> bool:
        """Whether the account may do this (of os.R_OK, os.W_OK, os.X_OK) with a file or folder of these properties.

        By owner, group and mode, as the kernel decides for a process of the account; access lists are not looked at.
        Without `switch` the agent is the account, and the kernel has decided already.
        """
        if not self.switch or self.uid == 0:
            return True
        if found.st_uid == self.uid:
            allowed = found.st_mode >> 6
        elif found.st_gid in (self.gid, *self.groups):
            allowed = found.st_mode >> 3
        else:
            allowed = found.st_mode
        return allowed & wanted == wanted


class Accounts(Protocol):
    """What the agent needs of accounts."""

    async def prepare(self, users: tuple[UserAccount, ...]) -> None: ...
    async def put(self, user: UserAccount) -> None: ...
    async def remove(self, name: str) -> None: ...
    async def become(self, identity: UserIdentity) -> Account: ...
    async def release(self, account: Account, identity: UserIdentity) -> None: ...


class OwnAccount:
    """The process executor's accounts: there is one, the agent's own. Named users are refused in words."""

    async def prepare(self, users: tuple[UserAccount, ...]) -> None:
        """Pool accounts are not made; the tasks that name them fail."""

    async def put(self, user: UserAccount) -> None:
        """Refuse: the machine's users are not ours to change."""
        raise AccountRefused(f"user {user.name!r}: the process executor makes no users; use the docker executor.")

    async def remove(self, name: str) -> None:
        """Refuse, as `put` does."""
        raise FileNotFoundError(f"user {name!r} does not exist on this node")

    async def become(self, identity: UserIdentity) -> Account:
        """The agent's own user for every auto-user."""
        if identity.username:
            raise failures.RunFailed(failures.unknown_user(identity.username))
        return Account(pwd.getpwuid(os.getuid()).pw_name, os.getuid(), os.getgid(), switch=False)

    async def release(self, account: Account, identity: UserIdentity) -> None:
        """Nothing was made."""


class SystemAccounts:
    """Users of the node's own /etc/passwd."""

    def __init__(self) -> None:
        self._changing = asyncio.Lock()
        self._task_users = 0

    async def prepare(self, users: tuple[UserAccount, ...]) -> None:
        """At boot: the admin group with its sudo rule, the auto-user, the pool's accounts."""
        await self._group(ADMIN_GROUP)
        _write_sudo_rule()
        await self._user(AUTO_USER)
        for user in users:
            await self._account(user)

    async def put(self, user: UserAccount) -> None:
        """Add or change a login; the SSH server is started with the first one."""
        await self._account(user)
        await self._start_ssh_server()

    async def remove(self, name: str) -> None:
        """Remove a login and its processes. FileNotFoundError if there is none."""
        if not _exists(name):
            raise FileNotFoundError(f"user {name!r} does not exist on this node")
        with contextlib.suppress(AccountRefused):
            await _run("pkill", "-KILL", "-u", name)
        await _run("userdel", "--remove", "--force", name)

    async def become(self, identity: UserIdentity) -> Account:
        """The account of a run, its groups as they are now. Task-scope users are made here."""
        name = identity.username or AUTO_USER
        if not identity.username and identity.admin and identity.auto_user_scope == "pool":
            name = "root"
        elif not identity.username and identity.auto_user_scope == "task":
            self._task_users += 1
            name = f"{AUTO_USER}task{self._task_users}"
            await self._account(UserAccount(name=name, admin=identity.admin))
        if not _exists(name):
            raise failures.RunFailed(failures.unknown_user(name))
        entry = pwd.getpwnam(name)
        return Account(name, entry.pw_uid, entry.pw_gid, tuple(os.getgrouplist(name, entry.pw_gid)))

    async def release(self, account: Account, identity: UserIdentity) -> None:
        """A task-scope user ends with its task."""
        if not identity.username and identity.auto_user_scope == "task":
            with contextlib.suppress(FileNotFoundError):
                await self.remove(account.name)

    async def _account(self, user: UserAccount) -> None:
        await self._user(user.name, user.uid, user.gid)
        if user.admin:
            await _run("usermod", "--append", "--groups", ADMIN_GROUP, user.name)
        if user.password:
            await _run("chpasswd", stdin=f"{user.name}:{user.password}\n")
        if user.expiry:
            await _run("usermod", "--expiredate", user.expiry[:10], user.name)  # Debian knows days only
        if user.ssh_public_key:
            _authorize(user.name, user.ssh_public_key)

    async def _user(self, name: str, uid: int | None = None, gid: int | None = None) -> None:
        async with self._changing:
            if _exists(name):
                return
            options = ["--create-home", "--shell", "/bin/bash"]
            if gid is not None:
                if not any(entry.gr_gid == gid for entry in grp.getgrall()):
                    await _run("groupadd", "--gid", str(gid), name)
                options += ["--gid", str(gid)]
            elif any(entry.gr_name == name for entry in grp.getgrall()):
                options += ["--gid", name]  # Debian already has groups such as operator, backup or users
            else:
                options += ["--user-group"]
            if uid is not None:
                options += ["--uid", str(uid)]
            await _run("useradd", *options, name)

    async def _group(self, name: str) -> None:
        if not any(entry.gr_name == name for entry in grp.getgrall()):
            await _run("groupadd", "--system", name)

    async def _start_ssh_server(self) -> None:
        if _alive(Path("/run/sshd.pid")):
            return
        await _run("ssh-keygen", "-A")  # makes the host keys that are missing
        await _run("install", "-d", "-m", "0755", "/run/sshd")
        options = ("PermitRootLogin=no", "AllowAgentForwarding=no", "X11Forwarding=no", "UseDNS=no")
        await _run("/usr/sbin/sshd", *(word for option in options for word in ("-o", option)))


def _write_sudo_rule() -> None:
    if not _SUDOERS.exists():
        _SUDOERS.touch(mode=0o440)
        _SUDOERS.write_text(_RULES)


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _alive(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def _authorize(name: str, public_key: str) -> None:
    """The home folder is the user's, who may have put a link where ours should go: nothing there is followed."""
    entry = pwd.getpwnam(name)
    owner = Account(name, entry.pw_uid, entry.pw_gid)
    with Beneath.at(Path(entry.pw_dir)) as home, home.folder(".ssh", make=True, owner=owner) as folder:
        os.fchmod(folder.fileno(), 0o700)
        with os.fdopen(folder.create_file("authorized_keys", mode=0o600, owner=owner), "w") as keys:
            keys.write(public_key.strip() + "\n")


async def _run(*command: str, stdin: str = "") -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate(stdin.encode())
    if process.returncode:
        raise AccountRefused(f"{command[0]} ended with {process.returncode}: {errors.decode().strip()}")
