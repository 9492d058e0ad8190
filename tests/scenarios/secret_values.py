"""The values of every secret of a deployed local stack, and where a value is found.

Reads our own files: to look for a secret one has to know it.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.deployment import project, settings
from local.paths import Paths
from tests.scenarios import machine

SECRET_KEY = "4dabf18193072939515e22adb298388d"  # Pulumi's mark of a special value in a state file
TOKEN = re.compile(r"eyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16,}")  # a JWT, whoever issued it
ENVIRONMENT = "value in a task's environment"
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


def found_in(text: str, secrets: dict[str, str]) -> set[str]:
    """Names of the secrets in a text; `a token` stands for any JWT."""
    return {name for name, value in secrets.items() if value in text} | ({"a token"} if TOKEN.search(text) else set())


def badly_kept(paths: Paths, secrets: dict[str, str]) -> list[str]:
    """Files and folders that others may read, and secrets in files that are not made for them."""
    wrong = []
    for folder in (paths.home, paths.sockets):
        for place in [folder, *folder.rglob("*")]:
            if place.is_symlink() or not (place.is_dir() or place.is_file()):
                continue  # sockets are protected by their folders
            mode = place.stat().st_mode & 0o777
            if mode & 0o077 and place != paths.ca:
                wrong.append(f"{place} has mode {mode:o}")
            if place.is_file():
                name = str(place.relative_to(folder))
                allowed = KEPT[NODES] if place.name.endswith(".kept.json") else KEPT.get(name, frozenset())
                if extra := found_in(place.read_bytes().decode("latin-1"), secrets) - allowed:
                    wrong.append(f"{place} holds {', '.join(sorted(extra))}")
    return wrong


def said_on_nodes(paths: Paths, secrets: dict[str, str]) -> list[str]:
    """Secrets in what `docker inspect` and `docker logs` tell of nodes and of task containers, and in files that a
    user without rights may read on a node."""
    wrong = []
    for node in machine.node_containers(paths):
        name = node["Name"].strip("/")
        texts = {"docker inspect of the node": json.dumps(node)}
        texts["docker inspect of its tasks"] = json.dumps(machine.task_containers(name))
        texts["docker logs of the node"] = machine.docker.from_env().containers.get(name).logs().decode("latin-1")
        for what, text in texts.items():
            wrong += [f"{what} tells {found}" for found in sorted(found_in(text, secrets))]
        search = ["grep", "-rsIlFf", "-", "/etc", "/home", "/mnt", "/opt", "/run", "/tmp", "/var/log"]
        _, files = machine.on_node(name, *search, user="batchuser", text="\n".join(secrets.values()))
        wrong += [f"{file} on the node is readable by batchuser" for file in files.split()]
    return wrong


def unpacked(file: Path) -> Iterator[bytes]:
    """What a blob of a registry holds, in pieces: layers are compressed."""
    with file.open("rb") as opened:
        opener = zlib.decompressobj(wbits=31) if opened.read(2) == b"\x1f\x8b" else None
        opened.seek(0)
        while piece := opened.read(1 << 20):
            yield opener.decompress(piece) if opener else piece


def pushed(paths: Paths, secrets: dict[str, str]) -> list[str]:
    """Secrets in what the registries hold: layers, configurations with their history, manifests."""
    wrong, looked_at = [], 0
    wanted = {name: value.encode() for name, value in secrets.items()}
    longest = max(map(len, wanted.values()))
    for blob in (paths.state / "registry").rglob("data"):
        looked_at, tail = looked_at + 1, b""
        for piece in unpacked(blob):
            text = tail + piece
            wrong += [f"{blob} holds {name}" for name, value in wanted.items() if value in text]
            tail = text[-longest:]
    assert looked_at > 3, "there are no images: nothing was looked at"
    return wrong
