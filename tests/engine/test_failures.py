"""Things that go wrong half way, with the engine alive to see it."""

import os
import signal
from pathlib import Path

from tests.engine.conftest import GROUP, wait_until

THREE = (
    GROUP
    + """
a = Account("a", groupName=rg.name, accountName="acct")
c = Container("c", groupName=rg.name, accountName=a.name, containerName="c")
"""
)


def test_a_create_fails_half_way_and_the_next_up_goes_on(stack):
    stack.fault(a="fail")
    r = stack.run("up", text=THREE)
    assert r.code == 255 and "QuotaExceeded" in r.out and "Traceback" not in r.out
    assert stack.names() == ["demo-local", "default_1_0_0", "rg"] and "pending_operations" not in stack.state
    stack.fault()
    r = stack.run("up")
    assert r.code == 0 and r.ops() == [("create", "a"), ("create", "c")]


def test_siblings_under_way_are_recorded(stack):
    stack.fault(bad="fail")
    text = GROUP + 'bad = Group("bad")\n' + "".join(f'Group("s{i}")\n' for i in range(8))
    r = stack.run("up", text=text, env={"CLOUD_DELAY": "0.3"})
    assert r.code == 255
    kept = sorted(r["id"] for r in stack.state["resources"] if r["type"].endswith("Group"))
    assert stack.ids() == kept  # nothing exists that the file does not know


def test_created_but_not_ready_is_recorded_and_updated_next_time(stack):
    stack.fault(a="partial")
    r = stack.run("up", text=THREE)
    assert r.code == 255 and "never became ready" in r.out
    assert stack.res("a")["id"] and stack.res("a")["initErrors"]
    stack.fault()
    r = stack.run("up")
    assert r.code == 0 and r.ops() == [("update", "a"), ("create", "c")], r.out
    assert "initErrors" not in stack.res("a")


def test_a_failed_delete_keeps_what_it_needs(stack):
    stack.run("up", text=THREE)
    stack.fault(a="fail-delete")
    r = stack.run("destroy")
    assert r.code == 255 and "injected failure of a delete" in r.out
    assert "a" in stack.names() and "rg" in stack.names()
    stack.fault()
    assert stack.run("destroy").code == 0 and stack.names() == []


def test_already_existing_without_an_interrupted_creation_is_somebody_elses(stack):
    stack.run("up", text=GROUP)
    stack.state_file.unlink()
    r = stack.run("up")
    assert r.code == 255 and "cannot create already existing resource '/groups/rg'" in r.out
    assert "rg" not in stack.names() and "__deleted" not in stack.cloud


def test_ctrl_c_lets_what_runs_finish(stack):
    stack.fault(a="hang")
    process = stack.popen_until_hanging("up", THREE)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "cancelling" in err
    assert "pending_operations" not in stack.state and "rg" in stack.names()
    assert not stack.processes()


def test_a_second_ctrl_c_ends_everything_at_once(stack):
    stack.program(
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('hanging as told')\ntime.sleep(60)",
        head="",
    )
    process = stack.popen_until_hanging("up")
    process.send_signal(signal.SIGINT)
    wait_until(lambda: "cancelling" in process.stderr.readline())
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    wait_until(lambda: not stack.processes())


def test_two_engines_at_once_are_refused(stack):
    stack.fault(a="hang")
    process = stack.popen_until_hanging("up", THREE)
    r = stack.run("up")
    assert r.code == 1 and "currently locked by another process" in r.stderr and str(process.pid) in r.stderr
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def test_a_plugin_dies_and_the_next_up_settles_what_it_was_doing(stack):
    stack.fault(a="hang")
    process = stack.popen_until_hanging("up", THREE)
    children = [pid for pid in stack.processes() if _parent(pid) == process.pid and "plugins/cloud" in _command(pid)]
    assert len(children) == 1
    os.kill(children[0], signal.SIGKILL)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 255 and "plugin cloud exited with -9" in out, out
    assert [p["type"] for p in stack.state["pending_operations"]] == ["creating"]
    stack.fault()
    r = stack.run("up")
    assert r.code == 0 and stack.cloud["__created"].count("a") == 1, r.out


def test_a_plugin_that_does_not_start_is_named(stack):
    folder = stack.path / "broken"
    folder.mkdir()
    plugin = folder / "pulumi-resource-cloud"
    (stack.path / "Pulumi.yaml").write_text("name: demo\nplugins: {providers: [{name: cloud, path: broken}]}\n")
    r = stack.run("preview", text=GROUP)
    assert r.code == 255 and "plugin cloud cannot be started" in r.out and "No such file" in r.out
    plugin.write_text("#!/bin/sh\necho a word of explanation >&2\nexit 1\n")
    plugin.chmod(0o755)
    r = stack.run("preview")
    assert r.code == 255 and "plugin cloud did not start" in r.out and "a word of explanation" in r.out


def _parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def _command(pid):
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_a_program_that_fails_does_not_take_the_stacks_outputs_away(stack):
    assert stack.run("up", text='import pulumi\npulumi.export("kept", 1)\npulumi.export("dropped", 2)').code == 0
    r = stack.run("up", text='import pulumi\npulumi.export("new", 3)\nraise ValueError("wrong")')
    assert r.code == 255 and r.out.count("ValueError: wrong") == 1 + 1, r.out  # the diagnostic, and the JSON digest
    assert stack.run("outputs", "--json").json == {"kept": 1, "dropped": 2, "new": 3}
    assert stack.run("up", text='import pulumi\npulumi.export("kept", 1)').code == 0
    assert stack.run("outputs", "--json").json == {"kept": 1}
