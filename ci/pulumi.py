"""The Pulumi CLI as the pipelines' scripts run it: previews as plans, deployments that a cancelled run cannot block.

Written for the CLI of 3.274, which gives each kind of failure an exit code of its own. The CLI is `pulumi` on PATH,
with the environment as it is: who runs the script has signed in and said where the state is (PULUMI_BACKEND_URL).
"""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ci.plans import plan
from ci.plans.plan import Plan
from ci.program import PipelineError, words
from local.deployment import recovery
from local.exits import PULUMI, Exit

ROOT: Final = Path(__file__).resolve().parent.parent
POLICY: Final = ROOT / "policy"
QUIET: Final = ("--non-interactive", "--color=never")
STACK_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""What Pulumi takes as a stack's name (pkg/backend/diy)."""

_LOCKED: Final = "the stack is currently locked by"
_LOCK: Final = re.compile(r"created by (?P<user>\S+)@(?P<host>\S+) \(pid (?P<pid>\d+)\) at (?P<time>\S+)")


@dataclass(frozen=True)
class Lock:
    """Who holds a stack, as the CLI tells it."""

    user: str
    host: str
    pid: int
    time: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host} (process {self.pid}) since {self.time}"


@dataclass(frozen=True)
class Done:
    """A command of the CLI that ended."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """All that it printed."""
        return f"{self.out}\n{self.err}".strip()


def check_name(stack: str) -> str:
    """The stack's name. Raises `PipelineError` for one that Pulumi, or a command line, would read otherwise."""
    if not STACK_NAME.fullmatch(stack) or stack.startswith("-"):
        raise PipelineError(
            f"{stack!r} is no stack name", next_step="use letters, digits, _, - and .; `pulumi stack ls` shows them"
        )
    return stack


def for_stack(stack: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for one stack: variables with its name (PULUMI_BACKEND_URL_DEV) say where it is, if they are set.

    Every environment has a state and a subscription of its own; `bootstrap/` prints the variables.
    """
    suffix = f"_{re.sub(r'[^A-Z0-9]', '_', check_name(stack).upper())}"
    own = {
        "PULUMI_BACKEND_URL": environment.get(f"PULUMI_BACKEND_URL{suffix}"),
        "ARM_SUBSCRIPTION_ID": environment.get(f"AZURE_SUBSCRIPTION_ID{suffix}"),
    }
    return {**environment, **{name: value for name, value in own.items() if value}}


def meaning(code: int) -> str:
    """An exit code of the CLI in words."""
    return PULUMI.get(code, f"exit code {code}")


def ask(environment: Mapping[str, str], *arguments: str) -> Done:
    """Run the CLI without showing it, and without questions."""
    try:
        done = subprocess.run(
            ["pulumi", *arguments, *QUIET],
            cwd=ROOT,
            env=dict(environment),
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except FileNotFoundError:
        raise _no_cli() from None
    return Done(done.returncode, done.stdout, done.stderr)


def need(done: Done, what: str) -> Done:
    """The command, which must have succeeded. Raises `PipelineError` with its words."""
    if done.code:
        raise PipelineError(
            f"`pulumi {what}` failed ({meaning(done.code)})",
            cause=done.text.removeprefix("error: "),
            next_step=f"run `pulumi {what}` by hand",
        )
    return done


def preview(stack: str, environment: Mapping[str, str], *options: str, golden: Sequence[str] = ()) -> Plan:
    """The plan of `pulumi preview` with the policy pack. A preview that fails is a plan, too: it says why."""
    with tempfile.TemporaryDirectory(prefix="preview-") as folder:
        log = Path(folder) / "events.jsonl"
        words = [
            "preview",
            "--stack",
            check_name(stack),
            "--json",
            "--policy-pack",
            str(POLICY),
            "--event-log",
            str(log),
        ]
        # `--event-log` is one of Pulumi's debug commands.
        done = ask({**for_stack(stack, environment), "PULUMI_DEBUG_COMMANDS": "true"}, *words, *options)
        events = plan.read_events(log.read_text()) if log.exists() else []
    digest = plan.read_digest(done.out)
    if done.code not in (0, Exit.PULUMI_WOULD_CHANGE) and not digest.get("steps"):
        said = done.err.strip() or str(digest.get("error") or "") or meaning(done.code)
        digest = {**digest, "diagnostics": [*(digest.get("diagnostics") or ()), {"severity": "error", "message": said}]}
    return plan.read(stack, done.code, digest, events, golden)


def change(stack: str, environment: Mapping[str, str], *arguments: str, recover_lock: bool) -> int:
    """`pulumi up` or `destroy`, shown as it goes; its exit code.

    With `recover_lock` a lock that a cancelled run left is told, removed, and the command runs again. Give it only
    where no other run can be alive: workflows have one concurrency group per stack. Somebody else's lock is never
    removed.
    """
    environment = for_stack(stack, environment)
    done = _shown(environment, [arguments[0], "--stack", stack, *arguments[1:], *QUIET])
    if done.code == 0 or _LOCKED not in done.text:
        return done.code
    locks = [
        Lock(found["user"], found["host"], int(found["pid"]), found["time"]) for found in _LOCK.finditer(done.text)
    ]
    held = ", ".join(map(str, locks)) or "somebody who is not named"
    others = [lock for lock in locks if not _is_left_over(lock)]
    if not recover_lock or others or not locks:
        raise PipelineError(
            f"stack {stack} is locked by {held}",
            cause="another run changes it now, or one on another machine or by a person was killed",
            next_step=f"wait for it; if its process is gone for sure: pulumi cancel --stack {stack}",
        )
    words(f"stack {stack} is locked by {held}: that run was cancelled or killed. Its lock is removed")
    removed = ask(environment, "cancel", "--yes", "--stack", stack)
    if removed.code:
        raise PipelineError(
            f"the lock of stack {stack} could not be removed",
            cause=removed.err.strip(),
            next_step=f"pulumi cancel --stack {stack}",
        )
    settle(stack, environment)
    return _shown(environment, [arguments[0], "--stack", stack, *arguments[1:], *QUIET]).code


def unfinished(stack: str, environment: Mapping[str, str]) -> list[str]:
    """Operations that are under way, or that a killed run left; empty if the state cannot be read."""
    exported = ask(for_stack(stack, environment), "stack", "export", "--stack", stack)
    try:
        pending = json.loads(exported.out)["deployment"].get("pending_operations") or ()
        return [f"{one['type']} {one['resource']['urn'].rpartition('::')[2]}" for one in pending]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def settle(stack: str, environment: Mapping[str, str]) -> list[str]:
    """What a killed run did not finish, told, and taken over or forgotten by the state; names of the resources.

    The state has a note of every operation that was under way. Nobody but Azure knows whether a creation happened, so
    each is written into the state with the id that its inputs give it, and a refresh asks: what exists stays, as it is
    now, and what does not exist is dropped. `pulumi refresh --import-pending-creates` would be the shorter way, but
    3.274.1 forgets such a creation instead of importing it.
    """
    exported = ask(environment, "stack", "export", "--stack", stack)
    try:
        state = json.loads(exported.out)
        resources, pending = (
            state["deployment"].get("resources") or [],
            state["deployment"].pop("pending_operations", []),
        )
        named = [(str(one["type"]), one["resource"]) for one in pending or ()]
        names = [f"{how} {resource['urn'].rpartition('::')[2]}" for how, resource in named]
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    if not named:
        return []
    for name in names:
        words(f"the cancelled run did not finish {name}: Azure is asked what became of it")
    for how, resource in named:
        resource_id = recovery.expected_id(resource, environment.get("ARM_SUBSCRIPTION_ID", ""))
        if how == recovery.CREATING and resource_id is not None:
            recovery.adopt(resources, {**resource, "id": resource_id})
    state["deployment"]["resources"] = resources
    with tempfile.TemporaryDirectory(prefix="state-") as folder:
        file = Path(folder) / "state.json"
        file.write_text(json.dumps(state))
        need(ask(environment, "stack", "import", "--stack", stack, "--file", str(file)), "stack import")
    there = {one["urn"] for one in resources}
    targets = [f"--target={resource['urn']}" for _, resource in named if resource["urn"] in there]
    if targets:
        need(ask(environment, "refresh", "--yes", "--skip-preview", "--stack", stack, *targets), "refresh")
    return names


def outputs(stack: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The outputs of a deployed stack. Raises `PipelineError`."""
    done = ask(for_stack(stack, environment), "stack", "output", "--json", "--stack", stack)
    try:
        found = json.loads(done.out) if done.code == 0 else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise PipelineError(
            f"the outputs of stack {stack} cannot be had",
            cause=done.err.strip() or meaning(done.code),
            next_step="deploy the stack first",
        )
    return found


def _is_left_over(lock: Lock) -> bool:
    """Whether the lock is of a run like this one that ended: ours by its user, and its process is not alive here."""
    if lock.user != getpass.getuser():
        return False
    return lock.host != os.uname().nodename or not Path(f"/proc/{lock.pid}").exists()


def _shown(environment: Mapping[str, str], arguments: Sequence[str]) -> Done:
    """Run the CLI, pass on what it prints as it prints it, and keep it.

    A cancelled workflow sends SIGINT, then SIGTERM. Both reach the CLI as SIGINT: it finishes what is under way and
    takes its lock away, if GitHub leaves it the time.
    """
    try:
        process = subprocess.Popen(
            ["pulumi", *arguments],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except FileNotFoundError:
        raise _no_cli() from None

    def pass_on(_number: int, _frame: object) -> None:
        process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    lines: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            words(line.removesuffix("\n"))
            lines.append(line)
        return Done(process.wait(), "".join(lines), "")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _no_cli() -> PipelineError:
    return PipelineError(
        "there is no `pulumi` on PATH",
        next_step="in a workflow use the step pulumi/actions; on this machine `make setup` and `python -m local env`",
    )
