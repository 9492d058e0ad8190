"""Golden previews: what the real stacks and the bootstrap would make, as text whose difference a pull request shows.

    python -m ci.golden              compares ci/golden/*.txt with previews of now; exit code 1 if they differ
    python -m ci.golden --accept     writes them anew (make golden)

A preview is made offline, so it is the same for everybody: labelled placeholders stand for what only a subscription or
a secret's owner knows. What follows from the source under `worker/` alone has a label, too (`DERIVED`): its difference
is in the pull request already.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from ci import program
from ci.plans.plan import UNKNOWN
from ci.program import Exit, data, words
from local.deployment import offline
from local.deployment.project import Stack
from local.paths import CHECKOUT

FOLDER: Final = Path(__file__).with_name("golden")
ACCEPT: Final = "make golden"

DERIVED: Final[Mapping[tuple[str, ...], str]] = {
    ("docker:index/image:Image", "build", "contextDigest"): "[hash of the files in worker/]",
    ("docker:index/image:Image", "build", "args", "REVISION"): "[git tree of worker/docker_worker]",
}
"""Type and path of an input that changes with every line of the worker, and its label."""

BOOTSTRAP: Final = "bootstrap"
"""Not a stack of the platform: the program under `bootstrap/`, for the repository and subscriptions below."""
_BOOTSTRAP_CONFIG: Final[Mapping[str, Any]] = {
    "location": "westeurope",
    "prefix": "abp",
    "repository": "OWNER/NAME",
    "environments": {
        "dev": {"subscription_id": "11111111-2222-3333-4444-555555555555"},
        "prod": {"subscription_id": "66666666-7777-8888-9999-000000000000", "image_from": "dev"},
    },
}
"""As docs/ci.md calls it."""

_LONGEST: Final = 100
_HEADER: Final = """\
# What `pulumi up -s {stack}` would make from nothing: {count} resources, each with its inputs.
# Made offline by `{accept}`; read its difference, never edit it. [secret] is encrypted in state; [computed from X] is
# known only during `up`, when X is there. A long command is broken after each "; " outside double quotes.
"""


def names() -> list[str]:
    """All that has a golden preview."""
    return [*offline.stacks(), BOOTSTRAP]


def render(stack: str, digest: Mapping[str, Any]) -> str:
    """A digest of `pulumi preview --json` as text. The same plan gives the same text, whatever the order of its steps.

    Resources come in the order of their place in the tree, each with type, name, parent, protection and inputs.
    """
    states = [step["newState"] for step in digest["steps"] if "newState" in step]
    states = [state for state in states if not state["type"].startswith("pulumi:providers:")]
    parents = {state["urn"]: state.get("parent", "") for state in states}
    header = _HEADER.format(stack=stack, count=len(states), accept=ACCEPT)
    states.sort(key=lambda state: _place(state["urn"], parents))
    return "\n".join((header, *(_block(state) for state in states)))


def difference(stack: str, accepted: str, now: str) -> str:
    """What changed since the accepted preview, as a unified diff; empty if nothing did."""
    lines = difflib.unified_diff(
        accepted.splitlines(), now.splitlines(), f"ci/golden/{stack}.txt", f"preview of {stack}, now", lineterm="", n=5
    )
    return "\n".join(lines)


def preview(stack: str) -> str:
    """The golden preview of a stack as it is now. May take some ten seconds. Raises `LocalError`."""
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        prepare = _bootstrap if stack == BOOTSTRAP else offline.prepare
        return render(stack, offline.digest(prepare(Path(folder), stack)))


def _bootstrap(folder: Path, name: str) -> Stack:
    """The bootstrap's stack, offline: the placeholders of dev stand for who is signed in."""
    placeholders = {offline.VARIABLE: str(offline.PLACEHOLDERS / "dev.yaml")}
    stack = Stack(name, folder, placeholders, CHECKOUT / BOOTSTRAP)
    config = {f"azure-batch-bootstrap:{key}": value for key, value in _BOOTSTRAP_CONFIG.items()}
    offline.prepare_stack(stack, {"config": config}, {})
    return stack


def accepted(stack: str) -> str:
    """The golden preview in the repository; empty if there is none yet."""
    file = FOLDER / f"{stack}.txt"
    return file.read_text() if file.exists() else ""


def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code: 0 equal or accepted, 1 different, 2 no preview."""
    parser = argparse.ArgumentParser(prog="python -m ci.golden", description="Golden previews of the real stacks.")
    parser.add_argument("stacks", nargs="*", metavar="STACK", help="those to look at (all)")
    parser.add_argument("--accept", action="store_true", help="write the files anew")
    options = parser.parse_args(arguments)
    return program.run(lambda: compare(options.stacks or names(), accept=options.accept))


def compare(stacks: Sequence[str], *, accept: bool) -> Exit:
    """Show how previews differ from the accepted ones, and write these anew if asked to. Raises `LocalError`."""
    code = Exit.DONE
    for stack in stacks:
        now = preview(stack)
        changes = difference(stack, accepted(stack), now)
        if changes:
            data(changes)
        if accept:
            FOLDER.mkdir(exist_ok=True)
            (FOLDER / f"{stack}.txt").write_text(now)
            words(f"ci/golden/{stack}.txt: {'written anew' if changes else 'unchanged'}")
        elif changes:
            code = Exit.FAILED
            words(f"The preview of {stack} is not the accepted one. If it is meant: {ACCEPT}")
    return code


def _block(state: Mapping[str, Any]) -> str:
    """One resource: its title, and what is to be said of it below."""
    body: dict[str, Any] = {}
    if state.get("parent"):
        body["parent"] = _title(state["parent"])
    if state.get("protect"):
        body["protect"] = True
    if state.get("inputs"):
        sources = state.get("propertyDependencies", {})
        body["inputs"] = {
            key: _shown(value, (state["type"], key), _computed(sources.get(key, ())))
            for key, value in sorted(state["inputs"].items())
        }
    text = yaml.dump(body, Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True) if body else ""
    return "\n".join((_title(state["urn"]), *(f"  {line}".rstrip() for line in text.splitlines()), ""))


def _title(urn: str) -> str:
    """Type and name. A URN's type is the chain of its parents' types, joined by `$`."""
    kind, name = urn.split("::")[2:4]
    return f"{kind.rsplit('$', 1)[-1]} {name}"


def _computed(sources: Iterable[str]) -> str:
    """The label of an unknown value, with the names of the resources that it is made from."""
    names = sorted({urn.split("::")[3] for urn in sources})
    return f"[computed from {', '.join(names)}]" if names else "[computed]"


def _place(urn: str, parents: Mapping[str, str]) -> tuple[str, ...]:
    """The titles from the stack down to the resource: children follow their component."""
    chain = [urn]
    while parents.get(chain[-1]):
        chain.append(parents[chain[-1]])
    return tuple(_title(item) for item in reversed(chain))


def _shown(value: Any, path: tuple[str, ...], computed: str) -> Any:
    """A value with its labels: computed, derived, long commands broken, whole numbers without a fraction."""
    if path in DERIVED:
        return DERIVED[path]
    if isinstance(value, Mapping):
        return {key: _shown(item, (*path, key), computed) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [_shown(item, path, computed) for item in value]
    if value == UNKNOWN:
        return computed
    if isinstance(value, str) and len(value) > _LONGEST and "\n" not in value:
        return "\n".join(_statements(value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _statements(command: str) -> Iterator[str]:
    """A command, broken after each "; " that does not stand in double quotes."""
    statement, quotes = "", 0
    for part in re.split(r"(?<=;) ", command):
        statement += f" {part}" if statement else part
        quotes += part.count('"')
        if quotes % 2 == 0:
            yield statement
            statement = ""
    if statement:
        yield statement


class _Dumper(yaml.SafeDumper):
    """YAML with text of several lines as it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


if __name__ == "__main__":
    sys.exit(main())
