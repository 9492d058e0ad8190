"""`python -m ci.bootstrap --repository OWNER/NAME --environment dev=SUBSCRIPTION ...`: make what the pipelines need.

Run once by a person who is Owner of the subscriptions and signed in (`az login`, or ARM_* variables); run again it
changes what is different. It prints the variables of each GitHub environment. Its own state lies in `.bootstrap` of
this checkout: nothing in it is secret, but keep it (docs/ci.md).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, Final

from ci import program, pulumi
from ci.program import Exit, PipelineError, data

PROGRAM: Final = pulumi.ROOT / "bootstrap"
STACK: Final = "shared"
STATE: Final = pulumi.ROOT / ".bootstrap"


def settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The program's configuration. Raises `PipelineError` for words that cannot be meant."""
    environments: dict[str, dict[str, str]] = {}
    for given in arguments.environment:
        name, equals, subscription = given.partition("=")
        if not equals or not name or not subscription:
            raise PipelineError(
                f"--environment {given!r} is not NAME=SUBSCRIPTION", next_step="write it like --environment dev=1111..."
            )
        if name in environments:
            raise PipelineError(f"--environment {name} is given twice", next_step="remove one of them")
        previous = next(reversed(environments), None)
        environments[name] = {"subscription_id": subscription.lower()}
        if previous is not None:
            environments[name]["image_from"] = previous
    found: dict[str, Any] = {
        "location": arguments.location,
        "prefix": arguments.prefix,
        "repository": arguments.repository,
        "environments": environments,
    }
    given = {"subject": arguments.subject, "issuer": arguments.issuer}
    return found | {name: value for name, value in given.items() if value}


def run(configuration: Mapping[str, Any], *, preview: bool) -> int:
    """Write the configuration, run `up` (or `preview`), print the variables."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    environment = {
        "PULUMI_BACKEND_URL": f"file://{STATE}",
        "PULUMI_CONFIG_PASSPHRASE": "",  # there is no secret in this state
        **os.environ,
    }
    place = ["--cwd", str(PROGRAM), "--stack", STACK]
    done = pulumi.ask(environment, "stack", "select", "--create", *place)
    if done.code:
        raise PipelineError(
            "the bootstrap's own stack cannot be made",
            cause=done.err.strip(),
            next_step=f"see that {STATE} can be written",
        )
    for name, value in configuration.items():
        key = f"azure-batch-bootstrap:{name}"
        if isinstance(value, str):
            pulumi.need(pulumi.ask(environment, "config", "set", *place, key, value), f"config set {name}")
            continue
        for environment_name, section in value.items():
            for field, text in section.items():
                path = ("--path", f"{key}.{environment_name}.{field}", text)
                pulumi.need(pulumi.ask(environment, "config", "set", *place, *path), f"config set {name}")
    verb = ("preview",) if preview else ("up", "--yes")
    # Shown as it goes, on stdout: what follows is read by a person.
    code = subprocess.run(["pulumi", *verb, *place, *pulumi.QUIET], env=environment, check=False).returncode
    if code or preview:
        return code
    outputs = pulumi.need(pulumi.ask(environment, "stack", "output", "--json", *place), "stack output")
    data(json.dumps(json.loads(outputs.out), indent=2))
    return Exit.DONE


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ci.bootstrap", description="Make what the pipelines need.")
    parser.add_argument("--repository", required=True, metavar="OWNER/NAME", help="the GitHub repository")
    parser.add_argument("--subject", metavar="repo:OWNER@1/NAME@2", help="the subject's beginning, if it has ids in it")
    parser.add_argument("--issuer", metavar="URL", help="who signs the tokens of jobs, if an enterprise has its own")
    parser.add_argument(
        "--environment",
        action="append",
        required=True,
        metavar="NAME=SUBSCRIPTION",
        help="an environment and where it deploys to; each takes the image of the one before",
    )
    parser.add_argument("--location", default="westeurope")
    parser.add_argument("--prefix", default="abp", help="first part of every name (abp)")
    parser.add_argument("--preview", action="store_true", help="only show what it would make")
    options = parser.parse_args(arguments)
    return program.run(lambda: run(settings(options), preview=options.preview))


if __name__ == "__main__":
    sys.exit(main())
