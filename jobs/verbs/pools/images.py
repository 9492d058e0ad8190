"""`images`: what is in the stack's registry, and which pools use it; `images push` and `images login`.

Docker pushes; this module gives it a short-lived credential in docker's own form: for `push` in a configuration folder
that is deleted afterwards, for `login` through docker's standard input. The credential is on no command line.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ... import durations
from ...errors import MachineError, NotFound, ServiceError, UsageError
from ...exits import Exit
from ...session import Session
from ...terminal.table import Column, Listing
from ...terminal.wording import size_in_words

if TYPE_CHECKING:
    from ...service.registry import Manifest, Registry

EXAMPLES: Final = (
    "images",
    "images docker-worker -o wide",
    "images push my-simulation:1",
    "images push my-simulation:1 team/simulation:2026-11",
    "images login",
)
# Docker's reference grammar (https://github.com/distribution/reference): path components and a tag.
NAME: Final = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?"
)
DIGEST: Final = re.compile(r"digest: (sha256:[0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image in the registry, and who uses it: pools, or job files by `image: worker`."""

    registry: str
    manifest: Manifest
    pools: Sequence[str]
    is_worker: bool


LISTING: Final = Listing[Image](
    columns=(
        Column(name="repository", text=lambda one, now: one.manifest.repository, keep=True),
        Column(name="tags", text=lambda one, now: ", ".join(one.manifest.tags) or "-"),
        Column(name="digest", text=lambda one, now: one.manifest.digest[:19], short=True),
        Column(
            name="size",
            text=lambda one, now: size_in_words(one.manifest.size),
            key=lambda one, now: one.manifest.size,
            number=True,
        ),
        Column(
            name="age",
            text=lambda one, now: durations.age(one.manifest.created, now),
            key=lambda one, now: one.manifest.created and now - one.manifest.created,
            short=True,
        ),
        Column(
            name="used",
            text=lambda one, now: ", ".join([*one.pools, *(["`image: worker`"] if one.is_worker else [])]) or "-",
        ),
        Column(name="image", text=lambda one, now: _reference(one), wide=True),
    ),
    name=lambda one: _reference(one),
    record=lambda one: {"registry": one.registry, **vars(one.manifest), "pools": one.pools},
)


def _reference(one: Image) -> str:
    """What a job file names it by."""
    return f"{one.registry}/{one.manifest.repository}@{one.manifest.digest}"


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "words",
        metavar="REPOSITORY | push IMAGE [NAME] | login",
        nargs="*",
        help="a repository: only this one is listed; push: send a local image of docker's to the registry, "
        "as NAME (default: its own name); login: let docker use the registry for three hours",
    )
    LISTING.options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, session: Session) -> Exit:
    words: list[str] = arguments.words
    match words:
        case ["push", image]:
            return push(session, image, image.rpartition("/")[2].partition("@")[0])
        case ["push", image, name]:
            return push(session, image, name)
        case ["push", *_]:
            raise UsageError(
                "images push takes an image, and a name in the registry", next_step="images push IMAGE [NAME]"
            )
        case ["login"]:
            return login(session)
        case [] | [_]:
            return show(arguments, session, words[0] if words else None)
    raise UsageError(
        f"images takes one repository, `push` or `login`; got: {' '.join(words)}",
        next_step="python -m jobs images --help",
    )


def show(arguments: argparse.Namespace, session: Session, repository: str | None) -> Exit:
    registry = _registry(session)
    names = [repository] if repository else sorted(registry.repositories())
    manifests = [manifest for name in names for manifest in registry.manifests(name)]
    manifests.sort(key=lambda one: (one.repository, -(one.created.timestamp() if one.created else 0)))
    used = users(session, registry.server)
    outputs = session.connection.outputs
    worker = outputs.worker_image if outputs else ""
    found = [
        Image(
            registry=registry.server,
            manifest=one,
            pools=pools_with(used, registry.server, one),
            is_worker=worker.endswith(one.digest),
        )
        for one in manifests
    ]
    if not session.render.as_json and arguments.output in (None, "table", "wide"):
        session.render.words(f"registry {registry.server}")
    LISTING.show(arguments, session.render, found, session.clock.now())
    if not found:
        session.render.words("the registry is empty. Run up: it builds and pushes the worker image")
    return Exit.OK


def _registry(session: Session) -> Registry:
    from ...service.registry import Registry  # loads requests, which `--help` does not need

    return Registry(session.connection)


def push(session: Session, image: str, name: str) -> Exit:
    """Tag the local image for the registry, push it, take the tag away again, and say how a job file names it."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for an image: expected lower case letters, digits, '.', '_', '-' and '/', "
            "and perhaps a tag",
            next_step="give another name, like team/simulation:2026-11",
        )
    _docker(
        ["image", "inspect", "--format", "{{.Id}}", image],
        f"docker has no image {image!r}. Build it: docker build -t {image} .",
    )
    registry = _registry(session)
    target = f"{registry.server}/{name if ':' in name else f'{name}:latest'}"
    with tempfile.TemporaryDirectory(prefix="jobs-push-") as folder:
        auth = base64.b64encode(f"{_docker_user()}:{registry.refresh_token()}".encode()).decode()
        config = Path(folder) / "config.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps({"auths": {registry.server: {"auth": auth}}}))
        _docker(["tag", image, target], f"{image} cannot be tagged as {target}")
        try:
            digest = _push(session, target, {**os.environ, "DOCKER_CONFIG": folder})
        finally:
            if image != target:
                subprocess.run(["docker", "image", "rm", "--no-prune", target], capture_output=True, check=False)
    reference = f"{target.rpartition(':')[0]}@{digest}"
    if session.render.as_json:
        session.render.record({"image": reference, "tag": target})
    else:
        session.render.data(reference)
    session.render.words(f"pushed {target}. In a job file: image: {reference}")
    return Exit.OK


def _push(session: Session, target: str, environment: Mapping[str, str]) -> str:
    """Docker's own progress goes to stderr, as it comes; the digest that it says at the end."""
    digest, last = "", ""
    with subprocess.Popen(
        ["docker", "push", target], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=dict(environment)
    ) as process:
        assert process.stdout is not None
        for raw in process.stdout:
            last = raw.decode(errors="replace").rstrip() or last
            session.render.words(f"  {last}")
            if match := DIGEST.search(last):
                digest = match[1]
        code = process.wait()
    if code or not digest:
        step = "you need AcrPush on the registry" if "denied" in last or "unauthorized" in last else "try again"
        raise ServiceError(f"docker push of {target} failed (exit code {code}): {last}", next_step=step)
    return digest


def login(session: Session) -> Exit:
    """Give docker a token for the registry, through its standard input."""
    registry = _registry(session)
    _docker(
        ["login", registry.server, "--username", _docker_user(), "--password-stdin"],
        f"docker could not log in to {registry.server}",
        said=registry.refresh_token(),
    )
    session.render.words(
        f"docker may use {registry.server} for three hours, as far as your roles go; "
        f"end it: docker logout {registry.server}"
    )
    if session.render.as_json:
        session.render.record({"registry": registry.server})
    return Exit.OK


def _docker_user() -> str:
    from ...service.registry import DOCKER_USER

    return DOCKER_USER


def _docker(words: Sequence[str], otherwise: str, *, said: str = "") -> str:
    """Run docker; `said` goes to its standard input. Its own last line is the cause when it fails."""
    if not shutil.which("docker"):
        raise MachineError(
            "docker is not on this machine, and it is what pushes images", next_step="install its client"
        )
    try:
        done = subprocess.run(
            ["docker", *words], input=said, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError as error:
        raise MachineError(
            f"docker cannot be started: {error.strerror}", next_step="see what is wrong with it: docker version"
        ) from error
    if done.returncode == 0:
        return done.stdout
    why = next((line for line in reversed(done.stderr.strip().splitlines()) if line.strip()), "")
    if "cannot connect" in why.casefold() or "permission denied" in why.casefold():
        raise MachineError(f"the Docker engine does not answer: {why}", next_step="start it, or correct DOCKER_HOST")
    raise (NotFound if "no such image" in why.casefold() else MachineError)(f"{otherwise} ({why})")


def users(session: Session, server: str) -> dict[str, list[str]]:
    """Image reference -> the pools whose nodes fetch it when they start."""
    found: dict[str, list[str]] = {}
    outputs = session.connection.outputs
    by_start_task = outputs.pool_images if outputs else {}
    for pool in session.batch.pools():
        for image in {*pool.images, by_start_task.get(pool.id, "")}:
            if image.startswith(f"{server}/"):
                found.setdefault(image, []).append(pool.id)
    return found


def pools_with(used: dict[str, list[str]], server: str, one: Manifest) -> list[str]:
    name = f"{server}/{one.repository}"
    references = [f"{name}@{one.digest}", *(f"{name}:{tag}" for tag in one.tags)]
    return sorted({pool for reference in references for pool in used.get(reference, ())})
