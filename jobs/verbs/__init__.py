"""The table of verbs. A verb's module is loaded only when it is asked for: `--help` must answer at once.

A module has `options(parser)`, which adds its arguments and sets `run(arguments, session) -> Exit`, and `EXAMPLES`,
command lines without the program's name; its docstring's first line is for readers of the code, the sentence here is
for users.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Final

VERBS: Final[dict[str, str]] = {
    "submit": "create a job and its tasks from a job file",
    "validate": "check a job file and say everything that is wrong with it; nothing is sent",
    "watch": "follow a job to its end",
    "wait": "wait until a job or task runs, ends, succeeds or fails; says nothing until then, for scripts",
    "report": "each task's exit code and stdout, and the job in figures; as one HTML file with a picture",
    "tasks": "the tasks of a job: state, node, times, exit code, retries, and why one failed or waits",
    "logs": "print what tasks wrote, also while they write it",
    "collect": "download a job's outputs and logs",
    "list": "the jobs of the account, newest first",
    "show": "a job or one of its tasks, and why it failed, in words",
    "retry": "run the failed tasks of a job again, as new tasks",
    "cancel": "end a job, or some of its tasks, now",
    "delete": "delete a job with its tasks; what is in its container stays",
    "disable": "hold jobs: no task of theirs begins until they are enabled",
    "enable": "let the tasks of disabled jobs run again",
    "move": "move jobs to another pool: disabled, given the new pool, enabled again",
    "nodes": "the nodes of a pool as a map of states, and what is wrong with those that do not work",
    "top": "pools, active jobs and the tasks that run longest, drawn again and again",
    "dashboard": "pools, nodes, jobs and images in a browser on this machine",
    "connect": "log in to a node by ssh, as a user made for this",
    "pools": "the pools: size, autoscale; resize one",
    "pools wait": "wait until the nodes of pools work, or say what keeps them",
    "pools drain": "move every job of a pool to another one, and wait until the pool is idle",
    "schedules": "the job schedules: list, show, disable, enable, terminate, delete; submit makes them",
    "images": "what is in the registry, and which pools use it; push an image, or log docker in",
    "doctor": "check subscription, credentials, rights, quotas, images, containers and pools; each problem with a fix",
    "completion": "print the completion script for a shell",
    "help": "show what a verb takes, with examples",
}
# Verb -> its module. `list.py` would hide the builtin's name in imports; `submit.py` takes long to load.
_MODULES: Final = {
    "submit": "submit.options",
    "validate": "submit.validate",
    "retry": "submit.retry",
    "list": "look.listing",
    "show": "look.show",
    "tasks": "look.tasks",
    "watch": "look.watch",
    "wait": "look.wait",
    "top": "look.top",
    "dashboard": "look.dashboard",
    "logs": "output.logs",
    "collect": "output.collect",
    "report": "output.report",
    "cancel": "manage.cancel",
    "delete": "manage.delete",
    "disable": "manage.disable",
    "enable": "manage.enable",
    "move": "manage.move",
    "schedules": "manage.schedules",
    "nodes": "pools.nodes",
    "connect": "pools.connect",
    "pools": "pools.pools",
    "pools wait": "pools.wait",
    "pools drain": "pools.drain",
    "images": "pools.images",
    "doctor": "help.doctor",
    "completion": "help.completion",
    "help": "help.help",
}


def verb_of(words: Sequence[str]) -> str:
    """The verb that a command line begins with: one word, or two (`pools wait`). Empty when it is none."""
    for verb in (" ".join(words[:2]), *words[:1]):
        if verb in VERBS:
            return verb
    return ""


def module(verb: str) -> ModuleType:
    """The verb's module, loaded now."""
    return import_module(f"{__name__}.{_MODULES[verb]}")
