"""The verbs of `python -m local`: run the local Azure and deploy to it.

Data goes to stdout, words to stderr; a deployment's progress goes to stdout, as Pulumi's does. `EXITS` is the table of
exit codes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from local.engine import outcome
from local.errors import LocalError
from local.paths import PRIVATE_UMASK, Paths
from local.words import say

if TYPE_CHECKING:  # a verb loads what it needs when it runs: `outputs`, which `jobs` asks for each time, is then quick
    from local.engine.project import Project

LOCAL = "local"  # the stack that is deployed to the local Azure
DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
EXITS = {
    DONE: "done",
    FAILED: "it could not be done, or (status) the local Azure does not run; the message says why",
    USAGE: "the command line is wrong; nothing was done",
    INTERRUPTED: "Ctrl-C; the same command goes on where it stopped",
    outcome.FAILED: "the deployment began and failed (Pulumi's own code); the Diagnostics say why",
}


def start(paths: Paths, _arguments: argparse.Namespace) -> int:
    from local.processes import background

    say("the local Azure was started" if background.start(paths) else "the local Azure runs already")
    say(f"connection facts: {paths.cloud_json}\nlogs: {paths.log}")
    return 0


def stop(paths: Paths, _arguments: argparse.Namespace) -> int:
    from local import teardown
    from local.processes import background

    say("the local Azure was stopped" if background.stop(paths) else "the local Azure did not run")
    teardown.stop_nodes(paths)
    teardown.remove_runtime_folder(paths)
    return 0


def status(paths: Paths, arguments: argparse.Namespace) -> int:
    from local.processes import background

    processes = background.status(paths)
    if arguments.json:
        print(json.dumps({"running": bool(processes), "processes": processes}))
    elif processes:
        print("\n".join(f"{name:16} pid {pid}" for name, pid in processes.items()))
    else:
        say("the local Azure does not run")
    return 0 if processes else FAILED


def reset(paths: Paths, arguments: argparse.Namespace) -> int:
    if not arguments.yes:
        raise LocalError(
            "reset deletes every resource, node and blob of the local Azure", next_step="python -m local reset --yes"
        )
    from local import teardown
    from local.processes import background

    background.stop(paths)
    teardown.remove_everything(paths, caches=arguments.caches)
    return 0


def run_tour(paths: Paths, _arguments: argparse.Namespace) -> int:
    from local import tour

    return tour.run(paths)


def project_of(paths: Paths, name: str, *, reaches_cloud: bool, prepare: bool = False) -> Project:
    """The project of the stack of this name; `prepare` brings its images and settings up to date first."""
    from local import stack

    if name != LOCAL:
        project = stack.offline_project(paths, name)
        say(f"offline: no cloud is reached; what only a subscription knows is from {project.offline}")
        return project
    if not prepare:
        stack.require_settings(paths)
    if reaches_cloud:
        from local.processes import background

        background.start(paths)
    if prepare:
        from local import tour

        tour.prepare(paths)
    return stack.local_project(paths, stack.cloud_environment(paths) if reaches_cloud else {})


def deployment(verb: str, *, prepare: bool = False) -> Callable[[Paths, argparse.Namespace], int]:
    """A verb of the engine that runs something (`local/engine/commands.py`)."""

    def run(paths: Paths, arguments: argparse.Namespace) -> int:
        from local.engine import commands

        project = project_of(paths, arguments.stack, reaches_cloud=True, prepare=prepare)
        options = outcome.Options(json=arguments.json, expect_no_changes=arguments.expect_no_changes)
        return getattr(commands, verb)(project, options).exit_code

    return run


def reading(verb: str) -> Callable[[Paths, argparse.Namespace], int]:
    """A verb of the engine that reads the state (`local/engine/reading.py`)."""

    def run(paths: Paths, arguments: argparse.Namespace) -> int:
        from local.engine import reading

        project = project_of(paths, arguments.stack, reaches_cloud=False)
        return getattr(reading, verb)(project, outcome.Options(json=arguments.json)).exit_code

    return run


def destroy(paths: Paths, arguments: argparse.Namespace) -> int:
    from local import stack, teardown

    if arguments.stack == LOCAL:
        if not stack.settings_file(paths).exists():
            say("nothing was deployed from this checkout")
            return 0
        teardown.need_engine()
    code = deployment("destroy")(paths, arguments)
    if code:
        return code
    teardown.remove_worker_images(paths)
    return teardown.show_remaining(paths)


VERBS: dict[str, tuple[Callable[[Paths, argparse.Namespace], int], str]] = {
    "start": (start, "start the local Azure in the background"),
    "stop": (stop, "stop it, and the nodes; all state is kept"),
    "status": (status, "which processes run"),
    "reset": (reset, "delete all its state"),
    "tour": (run_tour, "the main job from end to end (make up)"),
    "up": (deployment("up", prepare=True), "deploy the stack"),
    "preview": (deployment("preview", prepare=True), "show what up would change"),
    "refresh": (deployment("refresh"), "bring the state up to date with the cloud"),
    "destroy": (destroy, "remove everything the stack deployed"),
    "outputs": (reading("outputs"), "the stack's outputs"),
    "export": (reading("export"), "the stack's state"),
    "recover": (deployment("recover"), "settle operations that a killed run left open"),
}


FLAGS: dict[str, dict[str, Any]] = {
    "--stack": {"default": LOCAL, "help": "local (default), or dev/prod for an offline preview"},
    "--json": {"action": "store_true", "help": "data as JSON on stdout"},
    "--expect-no-changes": {"action": "store_true", "help": "fail if anything would change"},
    "--yes": {"action": "store_true", "help": "do it"},
    "--caches": {"action": "store_true", "help": "delete cached images, too"},
}
_RUN = ("--stack", "--json", "--expect-no-changes")
# verb -> the flags it takes: one that would change nothing is refused
TAKES: dict[str, tuple[str, ...]] = {
    "status": ("--json",),
    "reset": ("--yes", "--caches"),
    "outputs": ("--stack", "--json"),
    "export": ("--stack",),
    "recover": ("--stack",),
    **dict.fromkeys(("up", "preview", "refresh", "destroy"), _RUN),
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m local",
        description="The local Azure and the engine that deploys to it.",
        epilog="exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXITS.items()),
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (_, text) in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        verb.set_defaults(json=False, expect_no_changes=False)
        for flag in TAKES.get(name, ()):
            verb.add_argument(*((flag, "-s") if flag == "--stack" else (flag,)), **FLAGS[flag])
    return top


def main(argv: list[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    os.umask(PRIVATE_UMASK)
    paths = Paths.default()
    try:
        paths.ensure(sockets=False)
        return VERBS[arguments.verb][0](paths, arguments)
    except KeyboardInterrupt:
        say(f"interrupted; the same command goes on where this one stopped: python -m local {arguments.verb}")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; say nothing at exit either
        return DONE
    except Exception as error:
        from local.explain import explain  # it knows what every library raises, and loads them

        text = explain(error, paths)
        if text is None:
            raise
        say(f"error: {text}")
        return FAILED
