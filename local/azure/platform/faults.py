"""Faults on purpose: one table of rules for each process, and the control socket by which a person or a test sets them.

Owns which kinds of faults each service knows (`SERVICES`), when a rule fires, and the socket `<sockets>/faults-PROCESS`
(mode 0600, in a folder of mode 0700). What a fault does is done at one place of each service: `sites.py` for everything
that is HTTP, `sql/faults.py` for sessions, `node_faults.py` for nodes.

    with Control(paths, "sql").injected(Rule("sql", "deadlock", match="work_items")) as number: ...
    python -m local fault set sql deadlock --match work_items --times 2

The answer comes once the rule is in force. Rules live in the process: a restart has none, `clear` removes them.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import threading
from collections.abc import Callable, Container, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from local.paths import Paths

AZURE, SQL = "azure", "sql"  # the processes
REQUEST: Final = "request"
LOGIN, STATEMENT, COMMIT, COMMITTED = "login", "statement", "commit", "committed"
BOOT, RUN, NOW = "boot", "run", "now"


@dataclass(frozen=True)
class Kind:
    """When a kind of fault can happen, and what it does."""

    stages: tuple[str, ...]
    text: str


_HTTP: Final = {
    "throttle": Kind((REQUEST,), "the service's own refusal of too many requests (with --retry-after: that header)"),
    "fail": Kind((REQUEST,), "the service's own internal error; nothing is done"),
    "delay": Kind((REQUEST,), "the request waits --seconds before anything is done"),
    "cut": Kind((REQUEST,), "the connection ends; nothing is done"),
    "apply-then-fail": Kind((REQUEST,), "the request is done, and answered by the service's internal error"),
    "apply-then-cut": Kind((REQUEST,), "the request is done, and the connection ends without an answer"),
    "lost-role": Kind((REQUEST,), "the caller is treated as if no role were assigned to it"),
    "token-skew": Kind((REQUEST,), "the clock for tokens differs by --seconds (+ ahead, - behind) in this request"),
}
_PARTIAL: Final = Kind((REQUEST,), "a list has one item a page; of tasks added together every second is refused (5xx)")
_NODE: Final = (RUN, NOW)
SERVICES: Final[Mapping[str, Mapping[str, Kind]]] = {
    "arm": {**_HTTP, "partial": _PARTIAL},
    "authority": _HTTP,  # sign-in
    "graph": _HTTP,
    "imds": _HTTP,  # the instance metadata endpoint, also for nodes
    "batch": {**_HTTP, "partial": _PARTIAL},  # the data plane of every account
    "blobs": _HTTP,
    "registry": _HTTP,
    "nodes": {
        "kill": Kind(_NODE, "the node's machine fails and boots again; what ran on it is lost"),
        "preempt": Kind(_NODE, "the node is preempted; what ran on it is lost"),
        "unusable": Kind(_NODE, "the node is unusable until it is rebooted or reimaged; what ran on it is lost"),
        "start-task-failed": Kind((BOOT,), "the start task ends with exit code 1"),
        "pull-failed": Kind(
            (BOOT, RUN), "an image cannot be pulled: at boot the node is unusable, else the task fails"
        ),
        "disk-full": Kind((BOOT, RUN), "no space is left: at boot the node is unusable, else the task fails"),
    },
    "sql": {
        "login-failed": Kind((LOGIN,), "error 18456"),
        "token-expired": Kind((LOGIN,), "error 18456, in Azure SQL's words for an old token"),
        "no-database": Kind((LOGIN,), "error 4060"),
        "failover": Kind((LOGIN, STATEMENT, COMMIT), "error 40613, and the connection ends"),
        "deadlock": Kind((STATEMENT,), "error 1205, and the transaction is undone"),
        "cut": Kind((STATEMENT,), "the connection ends before the statement runs"),
        "cut-before-commit": Kind((COMMIT,), "nothing is kept, and the client gets no answer"),
        "cut-after-commit": Kind((COMMITTED,), "everything is kept, and the client gets no answer"),
        "slow": Kind((STATEMENT,), "the statement waits --seconds first"),
        "slow-commit": Kind((COMMIT,), "the commit takes --seconds, and takes effect also when the client is gone"),
        "late-answer": Kind((COMMITTED,), "everything is kept, and the client gets its answer --seconds later"),
        "mute": Kind((LOGIN, STATEMENT), "no answer for --seconds, not even to a cancellation; then the end"),
        "error": Kind((LOGIN, STATEMENT, COMMIT), "error --number with the text --message; the transaction stays"),
    },
}
_CONTROL_SECONDS: Final = 10.0


class FaultRefused(Exception):
    """There is no such fault, or no process that could take it runs."""


@dataclass(frozen=True)
class Rule:
    """One row of the table. It fires where `match` (a regular expression, no case) is found in the operation's text.

    The text is the operation's name with method and path for HTTP (`create_task POST /jobs/j/tasks`), the statement
    (for logins: the database) for SQL, `STAGE POOL NODE [JOB TASK]` for nodes. `after`: so many matches pass first;
    `times` 0: until cleared. `probability` is that of each match, drawn from `seed`.
    """

    service: str
    kind: str
    times: int = 1
    match: str = ""
    seconds: float = 0.0
    probability: float = 1.0
    seed: int = 0
    number: int = 50000
    message: str = "a fault on purpose"
    after: int = 0
    retry_after: int | None = None

    def __post_init__(self) -> None:
        known = SERVICES.get(self.service)
        if known is None:
            raise FaultRefused(f"{self.service!r} is no service that has faults; there are {', '.join(SERVICES)}")
        if self.kind not in known:
            raise FaultRefused(f"{self.kind!r} is no kind of fault of {self.service}; there are {', '.join(known)}")
        if self.times < 0 or self.after < 0 or (self.retry_after or 0) < 0 or not 0 <= self.probability <= 1:
            raise FaultRefused(f"times, after and retry_after are at least 0, probability is from 0 to 1: {self}")
        if self.seconds < 0 and self.kind != "token-skew":
            raise FaultRefused(f"seconds are at least 0 (a token-skew may be negative): {self}")
        if self.retry_after is not None and self.kind != "throttle":
            raise FaultRefused(f"retry_after belongs to throttle, not to {self.kind}")
        try:
            re.compile(self.match)
        except re.error as error:
            raise FaultRefused(f"match is no regular expression: {self.match!r} ({error})") from error

    @property
    def process(self) -> str:
        """Which process has the service."""
        return SQL if self.service == "sql" else AZURE


@dataclass
class _InForce:
    rule: Rule
    matched: int = 0
    fired: int = 0
    dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.rule.seed)  # noqa: S311  chance, not a secret

    def fires(self, service: str, stage: str, text: str) -> bool:
        """Whether it happens now; counts it."""
        rule = self.rule
        if rule.service != service or stage not in SERVICES[service][rule.kind].stages:
            return False
        if (rule.times and self.fired >= rule.times) or not re.search(rule.match, text, re.IGNORECASE):
            return False
        self.matched += 1
        if self.matched <= rule.after or self.dice.random() >= rule.probability:
            return False
        self.fired += 1
        return True


class Faults:
    """The rules in force in one process. May be asked from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._rules: dict[int, _InForce] = {}
        self.on_set: Callable[[Rule], None] = lambda rule: None
        """Called once a rule is in force, on the thread that set it."""

    def set(self, rule: Rule) -> int:
        """Put a rule in force; its number."""
        with self._lock:
            self._last += 1
            number = self._last
            self._rules[number] = _InForce(rule)
        self.on_set(rule)
        return number

    def clear(self, number: int | None = None) -> None:
        """Remove one, or all; FaultRefused for a number that is not in force."""
        with self._lock:
            if number is None:
                self._rules.clear()
            elif self._rules.pop(number, None) is None:
                raise FaultRefused(f"there is no fault {number}; in force are {list(self._rules) or 'none'}")

    def state(self) -> dict[int, dict[str, Any]]:
        """What is in force and how often each fired."""
        with self._lock:
            return {number: {**asdict(one.rule), "fired": one.fired} for number, one in self._rules.items()}

    @property
    def any(self) -> bool:
        """Whether there is a rule at all."""
        return bool(self._rules)

    def meet(self, service: str, stage: str, text: str, possible: Container[str] | None = None) -> list[Rule]:
        """The rules that fire now; `possible` names the kinds that can mean anything here (None: all)."""
        if not self.any:
            return []
        with self._lock:
            rules = [one for one in self._rules.values() if possible is None or one.rule.kind in possible]
            return [one.rule for one in rules if one.fires(service, stage, text)]


@dataclass
class Conditions:
    """What rules change for the length of one request. Tasks that the request began inherit its context: they see that
    it is `over`."""

    without_roles: bool = False
    token_skew: timedelta = timedelta(0)
    partial: bool = False
    withheld: bool = False  # the answer is not the client's to see
    over: bool = False


_CONDITIONS: ContextVar[Conditions] = ContextVar("conditions")
_NORMAL: Final = Conditions()


def conditions() -> Conditions:
    """Those of the request that is being answered."""
    found = _CONDITIONS.get(_NORMAL)
    return _NORMAL if found.over else found


@contextlib.contextmanager
def under(rules: list[Rule]) -> Iterator[None]:
    """Answer a request under the conditions of these rules."""
    skew = sum(rule.seconds for rule in rules if rule.kind == "token-skew")
    kinds = {rule.kind for rule in rules}
    withheld = any(kind.startswith("apply-then-") for kind in kinds)
    now = Conditions("lost-role" in kinds, timedelta(seconds=skew), "partial" in kinds, withheld)
    token = _CONDITIONS.set(now)
    try:
        yield
    finally:
        now.over = True
        _CONDITIONS.reset(token)


class Listener:
    """`with Listener(paths, process, faults):` the control socket of a process: one JSON line asks, one answers.

    `more` are further questions that the process answers (moving its clock).
    """

    def __init__(
        self,
        paths: Paths,
        process: str,
        faults: Faults,
        more: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] | None = None,
    ) -> None:
        self._path = control_socket(paths, process)
        self._faults = faults
        self._answers = {"set": self._set, "clear": self._clear, "list": self._list, **(more or {})}

    def __enter__(self) -> Listener:
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(self._path))
        self._path.chmod(0o600)
        self._socket.listen()
        threading.Thread(target=self._serve, name="faults", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(_CONTROL_SECONDS)
                with connection.makefile("rw") as stream:
                    stream.write(json.dumps(self._answer(stream.readline())) + "\n")

    def _answer(self, line: str) -> dict[str, Any]:
        try:
            asked = json.loads(line)
            answer = self._answers.get(asked["do"])
            if answer is None:
                raise FaultRefused(f"{asked['do']!r} is no question here; there are {', '.join(self._answers)}")
            return answer(asked)
        except (ValueError, KeyError, TypeError, FaultRefused) as error:
            return {"error": str(error)}

    def _set(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        known = [one.name for one in fields(Rule)]
        if unknown := sorted(set(asked["rule"]) - set(known)):
            raise FaultRefused(f"a rule has no {', '.join(unknown)}; it has {', '.join(known)}")
        return {"number": self._faults.set(Rule(**asked["rule"]))}

    def _clear(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        self._faults.clear(asked.get("number"))
        return {}

    def _list(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return {"faults": self._faults.state()}


class Control:
    """Asks a running process of a home."""

    def __init__(self, paths: Paths, process: str) -> None:
        self._path = control_socket(paths, process)

    def set(self, rule: Rule) -> int:
        """Put a rule in force; its number."""
        return self.ask({"do": "set", "rule": asdict(rule)})["number"]

    def clear(self, number: int | None = None) -> None:
        """Remove one, or all."""
        self.ask({"do": "clear", "number": number})

    def state(self) -> dict[str, dict[str, Any]]:
        """What is in force, by number, and how often each fired."""
        return self.ask({"do": "list"})["faults"]

    def fired(self, number: int) -> int:
        """How often a rule fired (0 for one that is cleared)."""
        return self.state().get(str(number), {}).get("fired", 0)

    @contextlib.contextmanager
    def injected(self, rule: Rule) -> Iterator[int]:
        """The rule, for the length of a block."""
        number = self.set(rule)
        try:
            yield number
        finally:
            self.clear(number)

    def ask(self, what: dict[str, Any]) -> dict[str, Any]:
        """One question and its answer; FaultRefused when there is none, or when it is a refusal."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(_CONTROL_SECONDS)
                connection.connect(str(self._path))
                with connection.makefile("rw") as stream:
                    stream.write(json.dumps(what) + "\n")
                    stream.flush()
                    answer = json.loads(stream.readline())
        except (OSError, ValueError) as error:
            raise FaultRefused(
                f"the control socket {self._path} does not answer ({error})\n"
                "  cause: the local Azure does not run\n  next:  python -m local start"
            ) from error
        if "error" in answer:
            raise FaultRefused(answer["error"])
        return answer


def control_socket(paths: Paths, process: str) -> Path:
    """Where a process is asked."""
    return paths.sockets / f"faults-{process}"
