"""What a task may try against its node, its node's host and the people who look at it, tried on one real node.

The kinds of attack are named in the tests; that each fails is asserted from outside: by what a blob service of the
test's own was sent, and by what root on the node sees.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import subprocess
import urllib.parse
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from jobs.exits import Exit
from jobs.terminal.render import Render
from jobs.verbs.output import collect
from local.node.contract import ActionRefused, ContainerSettings, OutputFile, ResourceFile, UserAccount
from tests.jobs.fakes import stage
from tests.node.real_node import NODE_ID, USER, RealNode, named
from tests.node.specs import run

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="package")]
BEGIN_OF_SHADOW = b"root:"


@dataclass
class BlobService:
    """Keeps what it is sent, on a port that the node reaches; answers GET with `given`."""

    url: str
    sent: dict[str, bytes] = field(default_factory=dict)
    given: bytes = b"a resource file\n"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
                method, target, _ = head.split(" ", 2)
                length = next((line for line in head.splitlines() if line.lower().startswith("content-length:")), ":0")
                body = await reader.readexactly(int(length.partition(":")[2]))
                if method == "PUT":
                    self.sent[urllib.parse.unquote(target.split("?")[0]).removeprefix("/account/c/")] = body
                    writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
                else:
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(self.given), self.given))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest_asyncio.fixture(loop_scope="package")
async def blobs(node: RealNode) -> AsyncIterator[BlobService]:
    service = BlobService(f"http://127.0.0.1:{node.port + 3}/account/c")
    server = await asyncio.start_server(service.answer, "127.0.0.1", node.port + 3)
    yield service
    server.close()


def upload(blobs: BlobService, *patterns: str) -> tuple[OutputFile, ...]:
    return tuple(
        OutputFile(file_pattern=pattern, container_url=blobs.url, identity_client_id="client-1") for pattern in patterns
    )


async def test_links_pipes_and_devices_among_the_outputs_are_told_and_not_read(
    node: RealNode, blobs: BlobService
) -> None:
    make = (
        "ln -s /etc/shadow a.txt; ln -s /run/node-agent/runtime/boot.json b.txt; ln -s /proc/1/environ c.txt; "
        "ln -s /etc folder; ln -s /proc/self/root root; mkfifo pipe.txt; ln -s good.txt inner.txt; "
        "ln /etc/passwd hard.txt; ln -s ../../../../.. up; echo fine > good.txt"
    )
    patterns = ("*.txt", "folder/shadow", "root/etc/shadow", "**/*", "up/var/lib/node-agent/*", "../wd/a.txt")
    spec = run("links", f"sh -c '{make}; true'", user=named(USER), output_files=upload(blobs, *patterns))
    ended, _, _ = await node.do(spec)
    assert set(blobs.sent) <= {"good.txt", "wd/good.txt", "hard.txt"}  # hard.txt: where the kernel lets one make it
    assert blobs.sent["good.txt"] == b"fine\n"
    assert not any(BEGIN_OF_SHADOW in body for name, body in blobs.sent.items() if name != "hard.txt")
    told = await node.text(f"{spec.directory}/fileuploaderr.txt")
    assert "'wd/a.txt': not uploaded: it is a symbolic link" in told
    assert "'wd/pipe.txt': not uploaded: it is a pipe" in told
    assert ended.exit_code == 0
    for name in ("a.txt", "b.txt", "c.txt", "folder/shadow", "root/etc/shadow", "pipe.txt"):
        with pytest.raises(FileNotFoundError):
            await node.text(f"{spec.directory}/wd/{name}")
    listed = [one.path for one in await node.executor.list_files(NODE_ID, f"{spec.directory}/wd", True)]
    assert "folder" in listed
    assert not any(path.startswith(("folder/", "root/", "up/")) for path in listed)
    await node.executor.delete_file(NODE_ID, spec.directory, True)
    assert node.inside("stat", "-c", "%s", "/etc/shadow", "/etc/passwd").count("\n") == 2


async def test_a_hard_link_to_a_file_that_the_task_may_not_read_is_refused(node: RealNode, blobs: BlobService) -> None:
    spec = run("hard", "true", user=named(USER), output_files=upload(blobs, "*"))
    folder = f"/mnt/batch/tasks/{spec.directory}/wd"
    node.inside("mkdir", "-p", folder)
    node.inside("ln", "/etc/shadow", f"{folder}/hard")  # what an unprotected kernel lets every user do
    ended, _, _ = await node.do(spec)
    assert blobs.sent == {}
    assert ended.failure is not None
    assert "may not read it" in str(ended.failure.details)


async def test_swapping_a_file_for_a_link_while_it_is_uploaded_gives_nothing(
    node: RealNode, blobs: BlobService
) -> None:
    swap = "while :; do ln -sf /etc/shadow t; mv -T t f; echo mine > u; mv -T u f; done"
    command = f"sh -c 'echo mine > f; setsid sh -c \"{swap}\" >/dev/null 2>&1 & sleep 0.2'"
    spec = run("race", command, user=named(USER), output_files=upload(blobs, *("f",) * 40, *("*",) * 40))
    await node.do(spec)
    node.inside("pkill", "-KILL", "-u", USER)
    assert not any(BEGIN_OF_SHADOW in body for body in blobs.sent.values())


async def test_root_in_a_container_cannot_lead_the_agent_out_of_the_node_root(
    node: RealNode, blobs: BlobService
) -> None:
    """It may write all of the node root, which is mounted: it lays links for the tasks after it."""
    jobs = "/mnt/batch/tasks/workitems/job/job-1"
    lay = (
        f"mkdir -p {jobs}/res/wd {jobs}/out/wd /etc/mine; ln -s /etc {jobs}/victim; "
        f"ln -s /etc/passwd {jobs}/res/wd/input; ln -s /root {jobs}/res/wd/folder; "
        f"ln -s /etc/passwd {jobs}/out/stdout.txt; ln -s /etc/passwd {jobs}/out/fileuploadout.txt"
    )
    before = node.inside("sh", "-c", "stat -c '%a %U' /etc /root; md5sum /etc/passwd; ls /etc /root")
    settings = ContainerSettings(image=node.image, run_options="--rm --user 0:0")
    assert (await node.do(run("lay", f"sh -c '{lay}'", container=settings)))[0].exit_code == 0
    await node.executor.start_run(NODE_ID, run("victim", "true"))
    victim = await node.events.ended("victim")
    assert victim.failure is not None
    assert victim.failure.code == "CommandLaunchFailed"
    resource = ResourceFile(http_url=f"{blobs.url}/x", file_path="input")
    got, out, _ = await node.do(run("res", "cat input", resource_files=(resource,)))
    assert (got.exit_code, out) == (0, blobs.given.decode())
    inner = ResourceFile(http_url=f"{blobs.url}/x", file_path="folder/input")
    await node.executor.start_run(
        NODE_ID, replace(run("res-2", "true"), directory=f"{jobs[17:]}/res", resource_files=(inner,))
    )
    assert (await node.events.ended("res-2")).failure is not None
    assert (await node.do(run("out", "echo ours", output_files=upload(blobs, "none*"))))[1] == "ours\n"
    assert node.inside("sh", "-c", "stat -c '%a %U' /etc /root; md5sum /etc/passwd; ls /etc /root") == before


async def test_a_login_key_is_not_written_through_a_link_in_the_users_home(node: RealNode) -> None:
    node.inside("sudo", "-u", USER, "ln", "-sfT", "/root", f"/home/{USER}/.ssh")
    with pytest.raises((ActionRefused, FileNotFoundError)):
        await node.executor.put_user(NODE_ID, UserAccount(name=USER, ssh_public_key="ssh-ed25519 AAAA attacker"))
    assert "authorized_keys" not in node.inside("ls", "-a", "/root")
    node.inside("rm", f"/home/{USER}/.ssh")


async def test_a_login_ends_with_its_user_its_key_and_its_session(node: RealNode, tmp_path: Path) -> None:
    key = tmp_path / "key"
    made = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    await asyncio.to_thread(subprocess.run, made, check=True)
    public = key.with_name("key.pub").read_text()
    await node.executor.put_user(NODE_ID, UserAccount(name="visitor", ssh_public_key=public))
    host, port = node.executor.remote_login(NODE_ID)
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes")
    words = ["ssh", *(word for one in options for word in ("-o", one)), "-i", str(key), "-p", str(port)]
    session = await asyncio.create_subprocess_exec(
        *words, f"visitor@{host}", "echo in; sleep 600", stdout=asyncio.subprocess.PIPE
    )
    assert session.stdout is not None
    assert await asyncio.wait_for(session.stdout.readline(), 20) == b"in\n"
    await node.executor.delete_user(NODE_ID, "visitor")
    assert await asyncio.wait_for(session.wait(), 20) != 0
    assert "visitor" not in node.inside("sh", "-c", "cat /etc/passwd; ls /home; ps -eo user:20,args | grep -v grep")


async def test_a_node_reaches_no_service_of_its_host_and_still_the_local_azure(node: RealNode) -> None:
    reached: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(b"somebody")
        writer.close()

    server = await asyncio.start_server(answer, "0.0.0.0")
    port = server.sockets[0].getsockname()[1]
    addresses = set((await output_of("hostname", "-I")).split())
    addresses |= set(node.inside("sh", "-c", "ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'").split())
    tries = "; ".join(
        f'timeout 3 bash -c "exec 3<>/dev/tcp/{address}/{port}" && echo reached {address}'
        for address in sorted(addresses)
        if ":" not in address
    )
    settings = ContainerSettings(image=node.image, run_options="--rm --network host")
    _, host_task, _ = await node.do(run("reach-host", f"bash -c '{tries}; true'"))
    _, container_task, _ = await node.do(run("reach-host-2", f"bash -c '{tries}; true'", container=settings))
    server.close()
    assert (host_task, container_task, reached) == ("", "", [])
    assert len(addresses) >= 2


async def output_of(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    return (await process.communicate())[0].decode()


NAMES = ("plain.csv", "esc\x1b[2J.csv", "n" * 250, "..dots", "new\nline", "\u202egnp.csv", "clash", "con", "Plain.csv")


async def test_whatever_a_tasks_files_are_called_they_are_collected_below_the_folder(
    node: RealNode, blobs: BlobService, tmp_path: Path
) -> None:
    deep = f"deep/{'d' * 200}/{'e' * 200}"
    lines = [
        "import os",
        f"os.makedirs({deep!r})",
        *(f"open({name!r}, 'w').write('x')" for name in (*NAMES, f"{deep}/f")),
    ]
    plain = upload(blobs, "plain.csv")[0]
    outputs = (*upload(blobs, "**/*", "..*"), replace(plain, path="clash/below"), replace(plain, path="../../../etc/x"))
    spec = run(
        "names",
        "python3 -c 'import os; exec(os.environ[\"SCRIPT\"])'",
        environment={"SCRIPT": "\n".join(lines)},
        output_files=outputs,
    )
    ended, _, _ = await node.do(spec)
    assert (ended.exit_code, ended.failure) == (0, None)
    assert {*NAMES, "clash/below", "../../../etc/x"} <= set(blobs.sent)
    await asyncio.to_thread(collect_below, tmp_path, blobs.sent)


def collect_below(folder: Path, sent: dict[str, bytes]) -> None:
    """Collect blobs of these names, and look at what lies where afterwards."""
    scene = stage()
    metadata = [{"name": "family", "value": "hello"}, {"name": "container", "value": "job-hello"}]
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}, "metadata": metadata})
    scene.blobs.content = {("job-hello", f"j/{name}"): body for name, body in sent.items()}
    arguments: Any = argparse.Namespace(job="j", folder=folder / "DIR", only=None)
    assert collect.run(arguments, scene.session) == Exit.MACHINE
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) == len(sent)
    assert all(path.is_relative_to(folder / "DIR") and str(path).isprintable() for path in files)
    assert "\x1b" not in scene.err.getvalue()


async def test_what_a_task_prints_drives_no_terminal(node: RealNode) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    _, out, _ = await node.do(run("escape", r"printf '\033]0;title\007\033[2J\302\233red\nplain\n'"))
    assert "\x1b]0;title" in out
    shown = Terminal()
    Render(out=shown).raw(out.encode())
    assert shown.getvalue() == r"\x1b]0;title\x07\x1b[2J\x9bred" + "\nplain\n"
