"""The verbs of `python -m local`: run the local Azure and deploy to it with the Pulumi CLI.

A deployment's progress goes where Pulumi writes it.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from local import console
from local.exits import MEANING, Exit
from local.paths import LOCAL_STACK, PRIVATE_UMASK, Paths

# Commands of Pulumi that reach the cloud: the local Azure is started for them.
REACH_CLOUD = {"up", "update", "preview", "pre", "destroy", "refresh", "import", "watch", "down"}


def start(paths: Paths, _arguments: argparse.Namespace) -> int:
    from local.processes import background

    console.info("the local Azure was started" if background.start(paths) else "the local Azure runs already")
    console.info(f"connection facts: {paths.cloud_json}\nlogs: {paths.log}")
    return Exit.DONE


def stop(paths: Paths, _arguments: argparse.Namespace) -> int:
    from local.deployment import teardown
    from local.processes import background

    console.info("the local Azure was stopped" if background.stop(paths) else "the local Azure did not run")
    teardown.stop_nodes(paths)
    teardown.remove_runtime_folder(paths)
    return Exit.DONE


def status(paths: Paths, arguments: argparse.Namespace) -> int:
    from local.processes import background

    processes = background.status(paths)
    if arguments.json:
        console.json_data({"running": bool(processes), "processes": processes})
    elif processes:
        for name, pid in processes.items():
            console.data(f"{name:16} pid {pid}")
    else:
        console.info("the local Azure does not run")
    return Exit.DONE if processes else Exit.FAILED


def reset(paths: Paths, arguments: argparse.Namespace) -> int:
    from local.deployment import losses, teardown
    from local.processes import background

    what = "deletes every resource, node and blob of the local Azure"
    if not losses.agreed(paths, "python -m local reset --yes", what, yes=arguments.yes):
        return Exit.DONE
    background.stop(paths)
    teardown.remove_everything(paths, caches=arguments.caches)
    return Exit.DONE


def save(paths: Paths, arguments: argparse.Namespace) -> int:
    from local.deployment import saving

    saving.save(paths, arguments.file)
    return Exit.DONE


def restore(paths: Paths, arguments: argparse.Namespace) -> int:
    from local.deployment import saving

    saving.restore(paths, arguments.file, yes=arguments.yes)
    return Exit.DONE


def run_tour(paths: Paths, _arguments: argparse.Namespace) -> int:
    from local.deployment import tour

    return tour.run(paths)


def up(paths: Paths, arguments: argparse.Namespace) -> int:
    from local.deployment import offline, project, tour
    from local.processes import background

    if arguments.stack != LOCAL_STACK:
        raise offline.refuse("up", arguments.stack)
    background.start(paths)
    tour.prepare(paths)
    stack = tour.repaired_stack(paths)
    return project.become(stack, [*tour.command(stack, "up"), *arguments.rest])


def preview(paths: Paths, arguments: argparse.Namespace) -> int:
    from local.deployment import offline, project, tour
    from local.processes import background

    command = ["preview", "--policy-pack", str(project.POLICY), *arguments.rest]
    if arguments.stack != LOCAL_STACK:
        stack = offline.prepare(paths.home / "offline" / arguments.stack, arguments.stack)
        console.info(
            f"offline: no cloud is reached; what only a subscription knows is from local/offline/{stack.name}.yaml"
        )
        return project.become(stack, command)
    if background.status(paths):
        tour.prepare(paths)
        return project.become(tour.repaired_stack(paths), command)
    console.info("the local Azure is stopped: it is started for this preview, and stopped again after it")
    background.start(paths)
    try:
        tour.prepare(paths)
        return project.run(tour.repaired_stack(paths), *command)
    finally:
        stop(paths, arguments)


def destroy(paths: Paths, arguments: argparse.Namespace) -> int:
    from local.deployment import losses, offline, project, settings, teardown, tour
    from local.processes import background

    if arguments.stack != LOCAL_STACK:
        raise offline.refuse("destroy", arguments.stack)
    if not settings.stack(paths).settings_file.exists():
        console.info("nothing was deployed from this checkout")
        return Exit.DONE
    teardown.need_engine()
    what = "deletes everything that the stack 'local' deployed, its jobs"
    # Nobody can be asked without a terminal: then the command itself is the answer, as it always was.
    yes = arguments.yes or bool(os.environ.get("YES")) or not console.is_attended()
    if not losses.agreed(paths, "make destroy YES=1, or: python -m local destroy --yes", what, yes=yes):
        return Exit.DONE
    background.start(paths)
    stack = tour.repaired_stack(paths)
    code = project.run(stack, *tour.command(stack, "destroy"), *arguments.rest)
    if code:
        return code
    teardown.remove_worker_images(paths)
    return teardown.show_remaining(paths)


def pulumi(paths: Paths, arguments: argparse.Namespace) -> int:
    from local.deployment import project, settings
    from local.processes import background

    settings.require_settings(paths)
    if REACH_CLOUD.intersection(arguments.rest):
        background.start(paths)
    cloud = settings.cloud_environment(paths) if background.status(paths) else {}
    return project.become(settings.stack(paths, cloud), arguments.rest)


def env(paths: Paths, _arguments: argparse.Namespace) -> int:
    from local.deployment import project, settings
    from local.processes import background

    settings.require_settings(paths)
    cloud = settings.cloud_environment(paths) if background.status(paths) else {}
    stack, cli = settings.stack(paths, cloud), project.installation()
    project.write_project_file(stack, cli)
    if not cloud:
        console.info("the local Azure does not run: these variables are good for commands that need no cloud")
    console.data(
        "\n".join(f"export {name}={shlex.quote(value)}" for name, value in project.variables(stack, cli).items())
    )
    return Exit.DONE


def fault(paths: Paths, arguments: argparse.Namespace) -> int:
    from local import fault_verbs

    return fault_verbs.fault(paths, arguments)


def clock(paths: Paths, arguments: argparse.Namespace) -> int:
    from local import fault_verbs

    return fault_verbs.clock(paths, arguments)


VERBS: dict[str, tuple[Callable[[Paths, argparse.Namespace], int], str]] = {
    "start": (start, "start the local Azure in the background"),
    "stop": (stop, "stop it, and the nodes; all state is kept"),
    "status": (status, "which processes run"),
    "reset": (reset, "delete all its state"),
    "save": (save, "write the whole state to one file: resources, jobs, files, blobs, images, databases, secrets"),
    "restore": (restore, "replace the whole state by that of a file that `save` wrote"),
    "fault": (fault, "faults on purpose of a running local Azure: set, list, clear, kinds"),
    "clock": (clock, "what time it is in the running local Azure; move it ahead"),
    "tour": (run_tour, "the main job from end to end (make up)"),
    "up": (up, "pulumi up of the stack 'local'; further words go to Pulumi"),
    "preview": (preview, "pulumi preview; of dev and prod offline; further words go to Pulumi"),
    "destroy": (destroy, "pulumi destroy of the stack 'local', and a look at what is left"),
    "pulumi": (pulumi, "any command of Pulumi on the stack 'local': python -m local pulumi stack output --json"),
    "env": (env, "variables for a shell in which `pulumi` is that of the stack 'local': eval \"$(... env)\""),
}
PULUMI_VERBS = ("up", "preview", "destroy")  # arguments that we do not have are Pulumi's


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="python -m local",
        description="The local Azure and the stack 'local' that is deployed to it.",
        epilog="exit codes: " + "; ".join(f"{code.value} {meaning}" for code, meaning in MEANING.items()),
    )
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, (_, text) in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name == "status":
            verb.add_argument("--json", action="store_true", help="data as JSON on stdout")
        if name == "reset":
            verb.add_argument("--yes", action="store_true", help="do not ask")
            verb.add_argument("--caches", action="store_true", help="delete cached images, too")
        if name == "destroy":
            verb.add_argument("--yes", action="store_true", help="do not ask (also with YES=1 in the environment)")
        if name in ("save", "restore"):
            verb.add_argument("file", type=Path, metavar="FILE", help="holds every secret: keep it as one")
        if name == "restore":
            verb.add_argument("--yes", action="store_true", help="do not ask")
        if name == "fault":
            from local.fault_verbs import add_fault_options

            add_fault_options(verb)
        if name == "clock":
            verb.add_argument("--ahead", metavar="DURATION", help="move it ahead by so much (ISO 8601: PT2H30M)")
        if name in PULUMI_VERBS:
            verb.add_argument("--stack", "-s", default=LOCAL_STACK, help="local (default); preview: dev, prod, offline")
    return top


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line; `rest` are the arguments for Pulumi."""
    if argv[:1] == ["pulumi"]:  # everything after it is Pulumi's, --help included
        return argparse.Namespace(verb="pulumi", rest=argv[1:])
    top = parser()
    arguments, rest = top.parse_known_args(argv)
    if rest and arguments.verb not in PULUMI_VERBS:
        top.error(f"{arguments.verb} takes no such argument: {' '.join(rest)}")
    arguments.rest = rest
    return arguments


def _finish_restore(paths: Paths) -> None:
    """Go on with a restore that was killed while it exchanged the folders."""
    if not (paths.home / ".restore").exists():
        return
    from local.processes import saved_state

    if saved_state.pending(paths):
        console.info("a restore was interrupted: it is finished now")
        with saved_state.alone(paths):
            saved_state.exchange(paths)


def main(argv: list[str] | None = None) -> int:
    arguments = parse(sys.argv[1:] if argv is None else argv)
    os.umask(PRIVATE_UMASK)
    paths = Paths.default()
    try:
        _finish_restore(paths)
        paths.ensure(sockets=False)
        return VERBS[arguments.verb][0](paths, arguments)
    except KeyboardInterrupt:
        console.info(f"interrupted; the same command goes on where this one stopped: python -m local {arguments.verb}")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; say nothing at exit either
        return Exit.DONE
    except ModuleNotFoundError:
        raise  # a package is missing: `local/__main__.py` says which Python has it
    except Exception as error:
        from local.explain import explain  # it knows what every library raises, and loads them

        text = explain(error, paths)
        if text is None:
            raise
        console.info(f"error: {text}")
        return Exit.FAILED
