"""The rules of a Batch node, each on one real node: a container with an engine of its own."""

from __future__ import annotations

import asyncio
import io
import subprocess
import zipfile

import docker
import pytest

from local.node.contract import (
    ApplicationPackage,
    ContainerSettings,
    NodeState,
    NodeUnreachable,
    OutputFile,
    UserAccount,
    UserIdentity,
)
from local.node.docker_executor import DockerExecutor
from local.node.relay import NodeRelay
from tests.figures import FIGURES
from tests.node.events import Events
from tests.node.real_node import ADMIN, BOOT_SECONDS, MEMBER, NODE_ID, USER, RealNode, named, node_spec
from tests.node.specs import fake_imds, run

TLS_HANDSHAKE = b"\x16"  # the first byte of a TLS record with a ClientHello

pytestmark = [pytest.mark.docker, pytest.mark.asyncio(loop_scope="package")]


async def test_a_node_becomes_idle(node: RealNode) -> None:
    FIGURES.append(f"a node is idle after {node.boot_seconds:.1f} s")
    assert node.boot_seconds < BOOT_SECONDS


async def test_the_start_task_ran_as_root_and_its_output_is_kept(node: RealNode) -> None:
    assert "uid=0(root)" in await node.text("startup/stdout.txt")
    assert "Server:" in await node.text("startup/stderr.txt")


async def test_date_and_hostname_runs_only_date_with_arguments(node: RealNode) -> None:
    ended, out, err = await node.do(run("date", "date && hostname"))
    assert ended.exit_code == 1
    assert out == ""
    assert "extra operand" in err or "invalid date" in err


async def test_variables_are_not_expanded(node: RealNode) -> None:
    _, out, _ = await node.do(run("echo", "echo $AZ_BATCH_NODE_ID ~ *"))
    assert out == "$AZ_BATCH_NODE_ID ~ *\n"


async def test_a_host_task_runs_as_the_auto_user_in_its_working_directory(node: RealNode) -> None:
    _, out, _ = await node.do(run("who", "sh -c 'id -un; pwd; hostname; touch mine; stat -c %U mine'"))
    assert out == f"_azbatch\n/mnt/batch/tasks/workitems/job/job-1/who/wd\n{NODE_ID}\n_azbatch\n"


async def test_an_admin_has_sudo_and_docker(node: RealNode) -> None:
    ended, out, _ = await node.do(run("admin", "sh -c 'sudo -n id -u && sudo -n docker ps'", user=named(ADMIN)))
    assert ended.exit_code == 0
    assert out.startswith("0\nCONTAINER ID")


async def test_a_member_of_the_docker_group_runs_docker_without_sudo(node: RealNode) -> None:
    ended, out, _ = await node.do(run("member", "sh -c 'id -un && docker ps'", user=named(MEMBER)))
    assert ended.exit_code == 0
    assert out.startswith(f"{MEMBER}\nCONTAINER ID")
    ended, _, _ = await node.do(run("member-sudo", "sudo -n true", user=named(MEMBER)))
    assert ended.exit_code == 1


async def test_a_user_who_is_neither_can_do_neither(node: RealNode) -> None:
    ended, _, err = await node.do(run("user-docker", "docker ps", user=named(USER)))
    assert ended.exit_code == 1
    assert "permission denied" in err.lower()
    ended, _, err = await node.do(run("user-sudo", "sudo -n true", user=named(USER)))
    assert ended.exit_code == 1
    assert "password is required" in err


async def test_a_task_scope_admin_is_a_user_of_its_own_that_goes_with_the_task(node: RealNode) -> None:
    identity = UserIdentity(auto_user_scope="task", admin=True)
    _, out, _ = await node.do(run("scoped", "sh -c 'id -un; sudo -n id -un'", user=identity))
    assert out == "_azbatchtask1\nroot\n"
    assert "_azbatchtask1" not in node.inside("cat", "/etc/passwd")


async def test_a_container_runs_as_the_task_users_uid(node: RealNode) -> None:
    settings = ContainerSettings(image=node.image, run_options="--rm")
    uid = node.inside("id", "-u", USER).strip()
    ended, out, _ = await node.do(
        run("uid", "sh -c 'id -u; pwd; touch made; getent hosts sql.azure.test'", container=settings, user=named(USER))
    )
    lines = out.splitlines()
    assert lines[:2] == [uid, "/mnt/batch/tasks/workitems/job/job-1/uid/wd"]
    assert "168.63.129.16" in lines[2]
    assert ended.container is not None
    assert ended.container.state == "exited"


async def test_run_options_decide_who_a_container_runs_as(node: RealNode) -> None:
    settings = ContainerSettings(
        image=node.image, run_options="--rm --init --cap-drop ALL --read-only --user 10001:10001"
    )
    ended, out, _ = await node.do(run("options", "sh -c 'id -u; touch made'", container=settings))
    assert (ended.exit_code, out) == (0, "10001\n")


async def test_a_pool_admin_auto_user_is_root_in_its_container(node: RealNode) -> None:
    settings = ContainerSettings(image=node.image, run_options="--rm")
    _, out, _ = await node.do(run("root", "id -u", container=settings, user=UserIdentity(admin=True)))
    assert out == "0\n"


async def test_a_containers_exit_code_streams_and_environment(node: RealNode) -> None:
    settings = ContainerSettings(image=node.image)
    spec = run(
        "streams", "sh -c 'echo \"$TEXT\"; echo err >&2; exit 5'", container=settings, environment={"TEXT": "a\nb c"}
    )
    ended, out, err = await node.do(spec)
    assert (ended.exit_code, out, err) == (5, "a\nb c\n", "err\n")
    assert ended.failure is not None
    assert ended.failure.code == "FailureExitCode"
    assert ended.container is not None
    assert ended.container.container_id in node.inside("docker", "ps", "-aq", "--no-trunc")


async def test_without_mounts_a_container_sees_nothing_of_the_node(node: RealNode) -> None:
    settings = ContainerSettings(
        image=node.image, run_options="--rm", bind_mounts=(), working_directory="containerImageDefault"
    )
    ended, out, _ = await node.do(run("bare", "sh -c 'ls /mnt; env | grep -c _DIR; pwd'", container=settings))
    assert (ended.exit_code, out) == (0, "0\n/\n")


async def test_a_container_runs_a_program_of_an_application_package(node: RealNode) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        entry = zipfile.ZipInfo("tool")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, "#!/bin/sh\necho a tool on $(ls /mnt/batch/tasks)\n")

    async def give(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % content.tell() + content.getvalue())

    server = await asyncio.start_server(give, "127.0.0.1", node.port + 3)
    url = f"http://127.0.0.1:{node.port + 3}/app/tool"
    package = ApplicationPackage(application="tool", version="1", folder="tool12026-01-01-00-00", url=url)
    mounts = ({"source": "Applications", "isReadOnly": True},)
    settings = ContainerSettings(
        image=node.image, run_options="--rm", bind_mounts=mounts, working_directory="containerImageDefault"
    )
    command = "sh -c '$AZ_BATCH_APP_PACKAGE_tool_1/tool'"
    ended, out, _ = await node.do(run("tool", command, container=settings, application_packages=(package,)))
    server.close()
    assert (ended.exit_code, out) == (0, "a tool on applications\n")


async def test_an_image_that_does_not_exist_is_the_users_error(node: RealNode) -> None:
    async def unknown(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1) != TLS_HANDSHAKE:  # the engine tries https first, and would wait 10 s for an answer
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(unknown, "127.0.0.1", node.port)
    settings = ContainerSettings(image=f"127.0.0.1:{node.port}/none:1")
    ended, _, _ = await node.do(run("no-image", "true", container=settings))
    server.close()
    assert ended.exit_code is None
    assert ended.failure is not None
    assert (ended.failure.category, ended.failure.code) == ("usererror", "ContainerInvalidImage")


async def test_a_container_without_such_a_program_or_with_bad_options_says_so(node: RealNode) -> None:
    ended, _, _ = await node.do(
        run("no-program", "no-such", container=ContainerSettings(image=node.image, run_options="--rm"))
    )
    assert ended.failure is not None
    assert ended.failure.code == "CommandProgramNotFound"
    ended, _, _ = await node.do(
        run("bad", "true", container=ContainerSettings(image=node.image, run_options="--no-such"))
    )
    assert ended.failure is not None
    assert "unknown flag: --no-such" in str(ended.failure.details)


async def test_terminating_a_container_gives_its_program_the_signal(node: RealNode) -> None:
    settings = ContainerSettings(image=node.image, run_options="--rm --init")
    await node.executor.start_run(NODE_ID, run("term", "sleep 1000", container=settings))
    await node.events.started("term")
    assert "sleep" in node.inside("ps", "-eo", "args")
    await node.executor.terminate_run(NODE_ID, "term")
    ended = await node.events.ended("term")
    assert ended.exit_code == 143
    assert ended.failure is not None
    assert ended.failure.code == "TaskEnded"


async def test_files_are_readable_while_a_container_runs(node: RealNode) -> None:
    settings = ContainerSettings(image=node.image, run_options="--rm --init")
    command = "sh -c 'echo early; touch ready; while [ ! -e go ]; do sleep 0.1; done'"
    await node.executor.start_run(NODE_ID, run("live", command, container=settings))
    await node.events.started("live")
    folder = "workitems/job/job-1/live"
    while "ready" not in [info.path for info in await node.executor.list_files(NODE_ID, f"{folder}/wd", False)]:
        pass
    assert await node.text(f"{folder}/stdout.txt") == "early\n"
    node.inside("touch", f"/mnt/batch/tasks/{folder}/wd/go")
    assert (await node.events.ended("live")).exit_code == 0


async def test_tasks_reach_the_local_azure_and_its_identity_endpoint_from_a_container(node: RealNode) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nfrom the host")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", node.port + 1)
    script = (
        "import urllib.request as u; "
        f"print(u.urlopen('http://sql.azure.test:{node.port + 1}').read().decode()); "
        "print(u.urlopen(u.Request('http://169.254.169.254/metadata/identity/oauth2/token?client_id=client-1', "
        "headers={'Metadata': 'true'})).read().decode())"
    )
    settings = ContainerSettings(image=node.image, run_options="--rm")
    _, out, err = await node.do(run("reach", f'python3 -c "{script}"', container=settings))
    server.close()
    assert out.startswith("from the host\n"), err
    assert "token of client-1" in out


async def test_a_missing_output_container_is_the_services_error(node: RealNode) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 404 Not Found\r\nx-ms-error-code: ContainerNotFound\r\nContent-Length: 0\r\n\r\n")

    server = await asyncio.start_server(refuse, "127.0.0.1", node.port + 2)
    url = f"http://127.0.0.1:{node.port + 2}/account/none"
    output = OutputFile(file_pattern="../std*.txt", container_url=url, identity_client_id="client-1")
    ended, _, _ = await node.do(run("upload", "echo hi", output_files=(output,)))
    server.close()
    assert ended.exit_code == 0
    assert ended.failure is not None
    assert ended.failure.code == "FileUploadContainerNotFound"


async def test_a_login_is_added_and_its_port_answers_as_ssh(node: RealNode) -> None:
    await node.executor.put_user(NODE_ID, UserAccount(name="operator", password="Login-pw-7", admin=True))
    host, port = node.executor.remote_login(NODE_ID)
    reader, writer = await asyncio.open_connection(host, port)
    assert (await reader.readline()).startswith(b"SSH-2.0-OpenSSH")
    writer.close()
    assert "_azbatchsudogrp" in node.inside("id", "operator")
    await node.executor.delete_user(NODE_ID, "operator")
    with pytest.raises(FileNotFoundError):
        await node.executor.delete_user(NODE_ID, "operator")


async def test_no_password_is_on_a_command_line_or_in_the_containers_settings(node: RealNode) -> None:
    inspected = str(docker.from_env().api.inspect_container(node.container))
    assert "Adm1n-pw-9" not in inspected
    assert "Adm1n-pw-9" not in node.inside("ps", "-eo", "args")
    boot = "/run/node-agent/runtime/boot.json"
    with pytest.raises(subprocess.CalledProcessError):
        node.inside("stat", boot)
    with pytest.raises(subprocess.CalledProcessError):
        node.inside("grep", "-rlF", "Adm1n-pw-9", "/etc", "/home", "/mnt", "/opt", "/root", "/run", "/tmp", "/var/lib")


async def test_a_failing_start_task_makes_the_node_starttaskfailed_with_evidence(node: RealNode) -> None:
    failed = await node.events.node(NodeState.START_TASK_FAILED, node_id="tvm-bad")
    assert failed.start_task_exit_code == 9
    pieces = node.executor.read_file("tvm-bad", "startup/stderr.txt", 0, None)
    assert b"".join([piece async for piece in pieces]) == b"why\n"
    await node.executor.delete_node("tvm-bad")
    with pytest.raises(NodeUnreachable):
        node.executor.remote_login("tvm-bad")


async def test_another_life_of_the_local_azure_takes_up_node_and_runs(node: RealNode) -> None:
    settings = ContainerSettings(image=node.image, run_options="--rm")
    await node.executor.start_run(NODE_ID, run("across", "sleep 1", container=settings))
    await node.events.started("across")
    paths = node.executor._paths
    await node.executor.close()
    block, events = node.executor._ports, Events()
    again = DockerExecutor(paths, NodeRelay(block, fake_imds), ports=block, image=node.executor._image)
    await again.open(events)
    node.executor, node.events = again, events
    await again.create_node(node_spec())
    assert (await events.node(NodeState.IDLE)).start_task_exit_code == 0
    assert (await events.ended("across")).exit_code == 0
    await again.start_run(NODE_ID, run("across", "sleep 1", container=settings))


async def test_a_reboot_loses_the_runs_keeps_the_files_and_runs_the_start_task_again(node: RealNode) -> None:
    await node.executor.start_run(NODE_ID, run("rebooted", "sleep 1000"))
    await node.events.started("rebooted")
    position = len(node.events.all)
    await node.executor.reboot_node(NODE_ID)
    assert (await node.events.ended("rebooted")).lost
    await node.events.node(NodeState.STARTING, after=position)
    await node.events.node(NodeState.IDLE, after=position)
    assert (await node.do(run("after-reboot", "true")))[0].exit_code == 0
    assert await node.text("workitems/job/job-1/echo/stdout.txt") == "$AZ_BATCH_NODE_ID ~ *\n"


async def test_a_killed_node_is_reported_and_comes_back_without_its_runs(node: RealNode) -> None:
    settings = ContainerSettings(image=node.image, run_options="--name left-over")
    await node.executor.start_run(NODE_ID, run("killed", "sleep 1000", container=settings))
    await node.events.started("killed")
    position = len(node.events.all)
    docker.from_env().containers.get(node.container).kill()
    await node.events.node(NodeState.UNKNOWN, after=position)
    assert (await node.events.ended("killed")).lost
    await node.events.node(NodeState.IDLE, after=position)
    assert "left-over" not in node.inside("docker", "ps", "--all")
