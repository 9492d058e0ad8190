"""Each test gets a project folder; programs run for real, in their own process, against the plugin in `plugins/`.

The engine itself runs in the test's process (that saves an interpreter start per run), except where it gets killed.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from unittest import mock

import pytest

from local.engine.__main__ import main
from local.engine.snapshot import Snapshot

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
HEAD = "import pulumi\nimport cloud\nfrom cloud import Account, Container, Group, Image, Pool\n" \
       "from pulumi import ResourceOptions as O\n"  # fmt: skip
GROUP = 'rg = Group("rg", groupName="rg")\n'
ENVIRONMENT = {"PULUMI_CONFIG_PASSPHRASE": "pw", "PYTHONPATH": f"{CHECKOUT}{os.pathsep}{HERE / 'sdk'}"}


class Result:
    def __init__(self, code, stdout, stderr):
        self.code, self.stdout, self.stderr, self.out = code, stdout, stderr, stdout + stderr
        try:
            self.json = json.loads(stdout)
        except ValueError:
            self.json = {}

    @property
    def summary(self):
        return self.json["changeSummary"]

    def ops(self):
        """(op, name) of each step that is not `same` and not a provider's."""
        return [
            (step["op"], step["urn"].rsplit("::", 1)[1])
            for step in self.json["steps"]
            if step["op"] != "same" and "pulumi:providers" not in step["urn"]
        ]


class Stack:
    def __init__(self, path, name="demo"):
        self.path, self.name = path, name
        path.mkdir(parents=True, exist_ok=True)
        plugin = os.path.relpath(HERE / "plugins" / "cloud", path)
        (path / "Pulumi.yaml").write_text(
            f"name: {name}\nruntime: python\nplugins:\n  providers:\n    - {{name: cloud, path: {plugin}}}\n"
        )
        self.settings("config:\n  cloud:location: westeurope\n")

    def settings(self, text):
        (self.path / "Pulumi.local.yaml").write_text(text)

    def program(self, text, head=HEAD):
        (self.path / "__main__.py").write_text(head + textwrap.dedent(text))

    def run(self, verb, *args, text=None, env=None, js=True, stdin=""):
        if text is not None:
            self.program(text)
        if js and verb in ("preview", "up", "refresh", "destroy"):
            args = ("--json", *args)
        out, err = io.StringIO(), io.StringIO()
        environment = mock.patch.dict(os.environ, {**ENVIRONMENT, **(env or {})})
        given = mock.patch.object(sys, "stdin", io.StringIO(stdin))
        with environment, given, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([verb, *args, "-C", str(self.path)])
        return Result(code, out.getvalue(), err.getvalue())

    def popen(self, verb):
        """The engine in a process of its own, to be killed or interrupted."""
        return subprocess.Popen(
            [sys.executable, "-m", "local.engine", verb, "-C", str(self.path)],
            env={**os.environ, **ENVIRONMENT},
            cwd=CHECKOUT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def popen_until_hanging(self, verb, text=None):
        """Start the engine and return when the plugin does not answer as it was told to."""
        if text is not None:
            self.program(text)
        process = self.popen(verb)
        assert process.stdout
        for line in process.stdout:
            if "hanging as told" in line:
                return process
        raise AssertionError(process.communicate())

    def kill_while_hanging(self, verb, text=None):
        """SIGKILL the engine alone, as the OOM killer would, and wait until its children have noticed."""
        process = self.popen_until_hanging(verb, text)
        process.kill()
        process.communicate(timeout=20)
        wait_until(lambda: not self.processes())

    def processes(self):
        """What runs in the project's folder."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and (entry / "cwd").readlink() == self.path:
                    found.append(int(entry.name))
        return found

    @property
    def state_file(self):
        return self.path / ".pulumi" / "stacks" / self.name / "local.json"

    @property
    def state(self):
        return json.loads(self.state_file.read_text())["checkpoint"]["latest"]

    def names(self):
        return [r["urn"].rsplit("::", 1)[1] for r in self.state["resources"]]

    def res(self, name, **match):
        return next(
            r
            for r in self.state["resources"]
            if r["urn"].endswith("::" + name) and all(bool(r.get(k)) == v for k, v in match.items())
        )

    @property
    def cloud(self):
        store = self.path / "store.json"
        return json.loads(store.read_text()) if store.exists() else {}

    def ids(self):
        return sorted(key for key in self.cloud if not key.startswith("__"))

    def tamper(self, change):
        data = self.cloud
        change(data)
        (self.path / "store.json").write_text(json.dumps(data))

    def fault(self, **faults):
        self.tamper(lambda data: data.__setitem__("__faults", {k.replace("_", "-"): v for k, v in faults.items()}))

    def verify(self):
        if self.state_file.exists():
            Snapshot(self.state_file, self.name, "local", "pw").verify()


def wait_until(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


@pytest.fixture
def stack(tmp_path):
    """A project with one stack; afterwards its state must hold what the engine promises of every state."""
    stack = Stack(tmp_path / "p")
    yield stack
    stack.verify()


@pytest.fixture
def make_stack(tmp_path):
    return lambda name: Stack(tmp_path / name, name)
