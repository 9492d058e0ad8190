"""The verbs `fault` and `clock` of `python -m local`, which talk to the control sockets of a running local Azure."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import isodate

from local import console
from local.azure.platform.faults import AZURE, SERVICES, SQL, Control, FaultRefused, Rule
from local.errors import LocalError
from local.paths import Paths

PROCESSES = (AZURE, SQL)


def add_fault_options(verb: argparse.ArgumentParser) -> None:
    verb.epilog = "what each kind does: python -m local fault kinds"
    what = verb.add_subparsers(dest="what", required=True, metavar="set|list|clear|kinds")
    put = what.add_parser("set", help="put a fault in force; its name goes to stdout")
    put.add_argument("service", help=", ".join(SERVICES))
    put.add_argument("kind", help="one of the service's: python -m local fault kinds")
    put.add_argument("--times", type=int, default=1, help="how often it happens (0: until cleared; default 1)")
    put.add_argument("--after", type=int, default=0, help="how many that match pass before the first (default 0)")
    put.add_argument("--match", default="", help="a regular expression that the operation, statement or node has")
    put.add_argument("--probability", type=float, default=1.0, help="of each that matches (default 1)")
    put.add_argument("--seed", type=int, default=0, help="from which chance is drawn: the same again with the same one")
    put.add_argument("--seconds", type=float, default=5.0, help="of kinds that take time (default 5)")
    put.add_argument("--retry-after", type=int, help="seconds in the Retry-After header of `throttle`")
    put.add_argument("--number", type=int, default=50000, help="of the SQL server's `error` (default 50000)")
    put.add_argument("--message", default="a fault on purpose", help="of the SQL server's `error`")
    shown = what.add_parser("list", help="what is in force, and how often it happened")
    shown.add_argument("--json", action="store_true", help="as JSON")
    clear = what.add_parser("clear", help="end faults")
    clear.add_argument("names", nargs="*", metavar="NAME", help="as `list` shows them (none: all)")
    what.add_parser("kinds", help="what there is")


def fault(paths: Paths, arguments: argparse.Namespace) -> int:
    match arguments.what:
        case "set":
            console.data(_set(paths, arguments))
        case "list":
            _list(paths, as_json=arguments.json)
        case "clear":
            _clear(paths, arguments.names)
        case _:
            for service, kinds in SERVICES.items():
                console.data("\n".join(f"{service:10} {kind:18} {one.text}" for kind, one in kinds.items()))
    return 0


def _set(paths: Paths, arguments: argparse.Namespace) -> str:
    names = ("service", "kind", "times", "match", "seconds", "probability", "seed", "number", "message", "after")
    rule = Rule(**{name: getattr(arguments, name) for name in names}, retry_after=arguments.retry_after)
    return f"{rule.process}-{Control(paths, rule.process).set(rule)}"


def _list(paths: Paths, *, as_json: bool) -> None:
    rules = [
        {"name": f"{process}-{number}", **rule}
        for process, state in _each(paths, Control.state)
        for number, rule in state.items()
    ]
    if as_json:
        console.json_data(rules)
        return
    plain = Rule("sql", "cut")
    for rule in rules:
        changed = [f"{key}={rule[key]}" for key in rule if getattr(plain, key, None) not in (None, rule[key])]
        settings = " ".join(part for part in changed if not part.startswith(("service=", "kind=")))
        console.data(f"{rule['name']:10} {rule['service']} {rule['kind']}, happened {rule['fired']} times  {settings}")


def _each(paths: Paths, ask: Callable[[Control], Any]) -> list[tuple[str, Any]]:
    """What each process answers; one that does not run is named, unless none runs."""
    answers, refusals = [], []
    for process in PROCESSES:
        try:
            answers.append((process, ask(Control(paths, process))))
        except FaultRefused as error:
            refusals.append(error)
    if not answers:
        raise refusals[0]
    for error in refusals:
        console.info(str(error))
    return answers


def _clear(paths: Paths, names: list[str]) -> None:
    if not names:
        _each(paths, Control.clear)
    for name in names:
        process, _, number = name.rpartition("-")
        if process not in PROCESSES or not number.isdecimal():
            raise LocalError(f"{name!r} is no name of a fault", next_step="python -m local fault list")
        Control(paths, process).clear(int(number))


def clock(paths: Paths, arguments: argparse.Namespace) -> int:
    seconds = _seconds(arguments.ahead) if arguments.ahead else 0.0
    answer = Control(paths, AZURE).ask({"do": "clock", "seconds": seconds})
    console.data(answer["now"])
    console.info(f"{answer['offset']:g} seconds ahead of this machine's clock")
    return 0


def _seconds(text: str) -> float:
    try:
        duration = isodate.parse_duration(text)
        if not isinstance(duration, timedelta):
            raise isodate.ISO8601Error("years and months have no fixed length")
    except isodate.ISO8601Error as error:
        raise LocalError(
            f"--ahead {text} is no length of time", cause=str(error), next_step="for instance: --ahead PT2H30M"
        ) from None
    return duration.total_seconds()
