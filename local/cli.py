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
from typing import Any

from local import background, stack, teardown, tour
from local.azure.paths import PRIVATE_UMASK, Paths
from local.engine import commands
from local.engine.project import Project
from local.errors import LocalError
from local.explain import explain
from local.words import say

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
EXITS = {
    DONE: "done",
    FAILED: "it could not be done, or (status) the local Azure does not run; the message says why",
    USAGE: "the command line is wrong; nothing was done",
    INTERRUPTED: "Ctrl-C; the same command goes on where it stopped",
    commands.FAILED: "the deployment began and failed (Pulumi's own code); the Diagnostics say why",
}


def start(paths: Paths, _arguments: argparse.Namespace) -> int:
    say("the local Azure was started" if background.start(paths) else "the local Azure runs already")
    say(f"connection facts: {paths.cloud_json}\nlogs: {paths.log}")
    return 0


def stop(paths: Paths, _arguments: argparse.Namespace) -> int:
    say("the local Azure was stopped" if background.stop(paths) else "the local Azure did not run")
    teardown.stop_nodes(paths)
    teardown.remove_runtime_folder(paths)
    return 0


def status(paths: Paths, arguments: argparse.Namespace) -> int:
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
    background.stop(paths)
    teardown.remove_everything(paths, caches=arguments.caches)
    return 0


def run_tour(paths: Paths, _arguments: argparse.Namespace) -> int:
    return tour.run(paths)


def project_of(paths: Paths, arguments: argparse.Namespace, *, reaches_cloud: bool, prepare: bool) -> Project:
    """The project of the stack that `--stack` names; `prepare` brings its images and settings up to date first."""
    if arguments.stack != stack.LOCAL:
        project = stack.offline_project(paths, arguments.stack)
        say(f"offline: no cloud is reached; what only a subscription knows is from {project.offline}")
        return project
    if not prepare:
        stack.require_settings(paths)
    if reaches_cloud:
        background.start(paths)
    if prepare:
        tour.prepare(paths)
    return stack.local_project(paths, stack.cloud_environment(paths) if reaches_cloud else {})


def engine(
    run: Callable[[Project, commands.Options], commands.Outcome], *, reaches_cloud: bool = True, prepare: bool = False
) -> Callable[[Paths, argparse.Namespace], int]:
    """A verb of the engine."""

    def verb(paths: Paths, arguments: argparse.Namespace) -> int:
        project = project_of(paths, arguments, reaches_cloud=reaches_cloud, prepare=prepare)
        options = commands.Options(json=arguments.json, expect_no_changes=arguments.expect_no_changes)
        return run(project, options).exit_code

    return verb


def destroy(paths: Paths, arguments: argparse.Namespace) -> int:
    if arguments.stack == stack.LOCAL:
        if not stack.settings_file(paths).exists():
            say("nothing was deployed from this checkout")
            return 0
        teardown.need_engine()
    code = engine(commands.destroy)(paths, arguments)
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
    "up": (engine(commands.up, prepare=True), "deploy the stack"),
    "preview": (engine(commands.preview, prepare=True), "show what up would change"),
    "refresh": (engine(commands.refresh), "bring the state up to date with the cloud"),
    "destroy": (destroy, "remove everything the stack deployed"),
    "outputs": (engine(commands.outputs, reaches_cloud=False), "the stack's outputs"),
    "export": (engine(commands.export, reaches_cloud=False), "the stack's state"),
    "recover": (engine(commands.recover), "settle operations that a killed run left open"),
}


FLAGS: dict[str, dict[str, Any]] = {
    "--stack": {"default": stack.LOCAL, "help": "local (default), or dev/prod for an offline preview"},
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
        text = explain(error, paths)
        if text is None:
            raise
        say(f"error: {text}")
        return FAILED
