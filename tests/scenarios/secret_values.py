"""The values of every secret of a deployed local stack, and the places where one may lie.

Reads our own files: to look for a secret one has to know it. `secret_search.py` does the looking.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.deployment import project, settings
from local.paths import Paths
from tests.scenarios import machine
from tests.scenarios.secret_search import Search

SECRET_KEY = "4dabf18193072939515e22adb298388d"  # Pulumi's mark of a special value in a state file
ENVIRONMENT = "value in a task's environment"
APPLICATION = "secret of an application"
NODES = "kept.json of a node"


@dataclass(frozen=True)
class Place:
    """Where secrets may lie, readable for their owner only, and why."""

    name: str
    secrets: frozenset[str]
    why: str


DATABASE = frozenset(
    {
        "client secret",
        "blob secret",
        "adminPassword",
        "userPassword",
        "account key key1",
        "account key key2",
        ENVIRONMENT,
        APPLICATION,
    }
)
PLACES = (
    Place("cloud.json", frozenset({"client secret"}), "clients of the local Azure sign in with it"),
    Place("stack/passphrase", frozenset({"passphrase"}), "it seals the secrets of the stack `local`"),
    Place("state/azure.db", DATABASE, "what Azure itself remembers: accounts, pools, tasks"),
    Place("state/azure.db-wal", DATABASE, "the same, newer"),
    Place("state/registry/config.yml", frozenset({"upload secret"}), "the registry reads it there"),
    Place("state/registry/upload.secret", frozenset({"upload secret"}), "it lasts longer than the registry's process"),
    Place("state/ca.key", frozenset({"key of the CA"}), "it signs the certificates of all services"),
    Place("state/token.key", frozenset({"key of the tokens"}), "it signs the tokens of all identities"),
    Place(
        NODES, frozenset({"adminPassword", "userPassword"}), "users of a node that boots again; out of the node's sight"
    ),
    Place("environment of azurite", frozenset({"blob secret"}), "only there Azurite takes the key of its accounts"),
    Place(
        "a task's container", frozenset({ENVIRONMENT}), "the task reads it; whoever may use the node's engine sees it"
    ),
    Place("a job's or task's definition", frozenset({ENVIRONMENT}), "Batch shows it to whoever may read jobs"),
)
"""The only places; docs/threat-model.md shows them. Names with a `/` or a `.` are files below `.local`."""
KEPT = {place.name: place.secrets for place in PLACES}


def state_file(paths: Paths) -> Path:
    return paths.stack / ".pulumi" / "stacks" / "azure-batch-platform" / "local.json"


def image_login(state: dict[str, Any]) -> dict[str, Any]:
    """The registry fields of the image in a state, as they lie there."""
    resources = state["checkpoint"]["latest"]["resources"]
    return next(one for one in resources if one["type"] == "docker:index/image:Image")["inputs"]["registry"]


def registry_token(paths: Paths) -> str:
    """The push token that the last `up` left in the state, decrypted."""
    sealed = image_login(json.loads(state_file(paths).read_text()))["password"]
    assert sealed[SECRET_KEY] and "plaintext" not in sealed, "the push token lies in the state in clear"
    return json.loads(image_login(shown_state(paths))["password"]["plaintext"])


def replace_registry_token(paths: Paths, token: str) -> None:
    """Put another push token into the state, sealed, as if an `up` had left it."""
    state = shown_state(paths)
    image_login(state)["password"]["plaintext"] = json.dumps(token)
    exported = {"version": 3, "deployment": state["checkpoint"]["latest"]}
    project.ask(settings.stack(paths), "stack", "import", stdin=json.dumps(exported))


def shown_state(paths: Paths) -> dict[str, Any]:
    """The state with its secrets in clear."""
    exported = project.ask(settings.stack(paths), "stack", "export", "--show-secrets")
    return {"checkpoint": {"latest": json.loads(exported)["deployment"]}}


def known(paths: Paths, azurite: int) -> dict[str, str]:
    """Name -> value; `azurite` is that process's id."""
    config = json.loads(project.ask(settings.stack(paths), "config", "--show-secrets", "--json"))
    environment = dict(
        entry.split("=", 1) for entry in Path(f"/proc/{azurite}/environ").read_text().split("\0") if "=" in entry
    )
    return {
        "passphrase": (paths.stack / "passphrase").read_text(),
        "adminPassword": config["azure-batch-platform:adminPassword"]["value"],
        "userPassword": config["azure-batch-platform:userPassword"]["value"],
        "client secret": json.loads(paths.cloud_json.read_text())["client_secret"],
        "push token": registry_token(paths),
        "blob secret": environment["LOCAL_AZURE_BLOBS_SECRET"],
        "upload secret": (paths.state / "registry" / "upload.secret").read_text(),
        "key of the CA": (paths.state / "ca.key").read_text().splitlines()[2],
        "key of the tokens": (paths.state / "token.key").read_text().splitlines()[2],
    }


def badly_kept(paths: Paths, search: Search) -> list[str]:
    """Files and folders that others may read, and secrets in files that are not made for them.

    What the registries hold is `pushed`'s.
    """
    wrong = []
    for folder in (paths.home, paths.sockets):
        for place in [folder, *folder.rglob("*")]:
            if place.is_symlink() or not (place.is_dir() or place.is_file()):
                continue  # sockets are protected by their folders
            mode = place.stat().st_mode & 0o777
            if mode & 0o077 and place != paths.ca:
                wrong.append(f"{place} has mode {mode:o}")
            if place.is_file() and not _is_blob(place, paths):
                name = str(place.relative_to(folder))
                allowed = KEPT[NODES] if place.name.endswith(".kept.json") else KEPT.get(name, frozenset())
                if extra := search.in_file(place) - allowed:
                    wrong.append(f"{place} holds {', '.join(sorted(extra))}")
    return wrong


def _is_blob(place: Path, paths: Paths) -> bool:
    return place.name == "data" and place.is_relative_to(paths.state / "registry")


def pushed(paths: Paths, search: Search) -> list[str]:
    """Secrets in what the registries hold: layers, configurations with their history, manifests."""
    # Named by their digests: what several registries hold is looked at once.
    blobs = {blob.parent.name: blob for blob in (paths.state / "registry").rglob("data")}
    assert len(blobs) > 3, "there are no images: nothing was looked at"
    return [f"{blob} holds {name}" for blob in blobs.values() for name in sorted(search.in_file(blob))]


def shown_on_nodes(paths: Paths, search: Search) -> list[str]:
    """Secrets in what `docker inspect` and `docker logs` tell of nodes and of task containers, and in files of a node,
    as a user without rights and as root reads them."""
    wrong = []
    for node in machine.node_containers(paths):
        name = node["Name"].strip("/")
        texts = {"docker inspect of the node": json.dumps(node)}
        texts["docker inspect of its tasks"] = json.dumps(machine.task_containers(name))
        texts["docker logs of the node"] = machine.docker.from_env().containers.get(name).logs().decode("latin-1")
        for what, text in texts.items():
            wrong += [f"{what} tells {found}" for found in sorted(search.names(text))]
        for file, found in _files_on_node(name, "batchuser", search).items():
            wrong.append(f"{file} on the node tells batchuser {', '.join(sorted(found))}")
        for file, found in _files_on_node(name, "root", search).items():
            wrong.append(f"{file} on the node holds {', '.join(sorted(found))}")
    return wrong


def _files_on_node(node: str, user: str, search: Search) -> dict[str, set[str]]:
    folders = ["/etc", "/home", "/mnt", "/opt", "/root", "/run", "/tmp", "/var/log"]
    grep = subprocess.run(
        ["docker", "exec", "-i", "-u", user, "-e", "LC_ALL=C", node, "grep", "-rsaoZFf", "-", *folders],
        input=search.patterns,
        capture_output=True,
        check=False,
    )
    found: dict[str, set[str]] = {}
    for line in grep.stdout.splitlines():
        file, _, form = line.partition(b"\0")
        found.setdefault(file.decode(errors="replace"), set()).add(search.name_of(form))
    return found


def in_environments(processes: Mapping[str, int], search: Search) -> list[str]:
    """Secrets in the environments of processes (name -> id), but for those that the table names."""
    wrong = []
    for name, pid in processes.items():
        found = search.names(machine.read(Path(f"/proc/{pid}/environ")))
        if extra := found - KEPT.get(f"environment of {name}", frozenset()):
            wrong.append(f"the environment of {name} holds {', '.join(sorted(extra))}")
    return wrong


def left_behind(folders: Iterable[Path], since: float, search: Search, *, but: Iterable[Path] = ()) -> list[str]:
    """Secrets in files below the folders that were written `since` (seconds since 1970), but for some folders."""
    wrong = []
    for folder in folders:
        for parent, names, files in os.walk(folder):
            names[:] = [name for name in names if Path(parent, name) not in but]
            for file in (Path(parent, name) for name in files):
                if not file.is_symlink() and file.is_file() and file.stat().st_mtime >= since:
                    wrong += [f"{file} holds {name}" for name in sorted(search.in_file(file))]
    return wrong


def core_dumps(folders: Iterable[Path]) -> list[Path]:
    """What a process that crashed may have left."""
    return [
        file
        for folder in folders
        for file in folder.rglob("core*")
        if re.fullmatch(r"core(\.\d+)?", file.name) and file.is_file()
    ]
