"""The real image: it builds, runs hardened under any uid, has a driver that loads, and stops on signals.

WORKER_BASE_IMAGE names a base image to build on; without it the local bootstrapped one is used (and made, if need be).
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.settings.stack import WorkerSettings
from infra.worker_image.image import build_args
from infra.worker_image.source import revision
from jobs.files.model.container import Container
from jobs.plan.definitions import RUN_OPTIONS, run_options
from local.node.image import ensure_base_image
from local.paths import Paths
from tools import sbom
from worker.docker_worker import VERSION

pytestmark = pytest.mark.docker

WORKER = Path(__file__).parents[2] / "worker"
OTHER_USER = ["--user", "54321"]
SETTINGS = WorkerSettings(base_image="set-by-the-fixture", source="https://git.example/team/project")
SECRET = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}|eyJ[\w-]{20,}\.eyJ|AccountKey=\w{20}")
HARDENED = [*RUN_OPTIONS.split(), "--network", "none"]


def docker(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=check, timeout=300)


@pytest.fixture(scope="session")
def base_image(tmp_path_factory: pytest.TempPathFactory) -> str:
    if given := os.environ.get("WORKER_BASE_IMAGE"):
        return given
    paths = Paths(tmp_path_factory.mktemp("home"))
    # Any authority will do, but always the same one: the image's fingerprint has it, and so the build cache is used.
    bundle = Path("/etc/ssl/certs/ca-certificates.crt").read_text()
    end = "-----END CERTIFICATE-----\n"
    paths.ca.write_text(bundle[: bundle.index(end) + len(end)])
    return ensure_base_image(paths, print)


@pytest.fixture(scope="session")
def image(base_image: str) -> Iterator[str]:
    name = f"worker-test:{uuid.uuid4().hex[:8]}"
    told = build_args(WORKER, SETTINGS.model_copy(update={"base_image": base_image}))
    words = [word for pair in told.items() for word in ("--build-arg", "=".join(pair))]
    docker("build", "--quiet", *words, "--tag", name, str(WORKER))
    yield name
    docker("image", "rm", "--force", name)


def test_it_runs_hardened_under_any_uid(image: str) -> None:
    done = docker("run", *HARDENED, *OTHER_USER, image, "wait", "--seconds", "0", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[0])["uid"] == 54321


PROBE = """
printf '#!/bin/sh\\necho ran\\n' > /tmp/x; chmod +x /tmp/x; /tmp/x 2>/dev/null || echo 'tmp is noexec'
touch /var/tmp/y 2>/dev/null && echo 'var/tmp is writable' || echo 'var/tmp is read-only'
echo "shm $(($(stat -f -c '%b * %S' /dev/shm) / 1048576)) open files $(ulimit -n)"
/opt/worker/bin/python3 -c "
import threading, time
try:
    for _ in range(400): threading.Thread(target=time.sleep, args=(1,), daemon=True).start()
except RuntimeError as error: print(error)
else: print('400 threads')
"
"""


def test_what_a_job_file_says_of_the_container_holds_in_it_and_nothing_of_it_without_a_word(image: str) -> None:
    more = Container(shm_size="128m", pids_limit=600, tmp_exec=True, writable=["/var/tmp"], ulimits={"nofile": "2048"})
    told = []
    for container in (Container(), more):
        options = run_options(container).split()
        done = docker("run", *options, *OTHER_USER, "--entrypoint", "/bin/sh", image, "-c", PROBE)
        told.append(done.stdout.splitlines())
    assert told[0][:2] == ["tmp is noexec", "var/tmp is read-only"]
    assert told[0][2].startswith("shm 64 ")
    assert told[0][3] == "can't start new thread"
    assert told[1] == ["ran", "var/tmp is writable", "shm 128 open files 2048", "400 threads"]


def test_the_default_command_is_check_and_says_what_is_missing(image: str) -> None:
    done = docker("run", *HARDENED, image, check=False)
    assert done.returncode == 78
    assert "no SQL_SERVER, SQL_DATABASE, AZURE_CLIENT_ID" in done.stderr


def test_the_microsoft_driver_loads_and_tries_to_connect(image: str) -> None:
    code = "import mssql_python as m; m.connect('Server=127.0.0.1,1;Database=d;UID=u;PWD=p;Encrypt=yes', timeout=2)"
    done = docker(
        "run", *HARDENED, *OTHER_USER, "--entrypoint", "/opt/worker/bin/python3", image, "-c", code, check=False
    )
    assert "Client unable to establish connection" in done.stderr
    assert "Failed to load the driver" not in done.stderr


@pytest.mark.parametrize("init", [True, False], ids=["with init", "as PID 1"])
def test_docker_stop_ends_it_with_143(image: str, init: bool) -> None:
    options = [option for option in HARDENED if option != "--rm" and (init or option != "--init")]
    container = docker("run", "--detach", *options, image, "wait", "--seconds", "60").stdout.strip()
    try:
        logs = subprocess.Popen(["docker", "logs", "--follow", container], stdout=subprocess.PIPE, text=True)
        assert logs.stdout is not None
        assert '"waiting"' in logs.stdout.readline()
        docker("stop", "--time", "20", container)
        logs.communicate(timeout=20)
        assert docker("wait", container).stdout.strip() == "143"
    finally:
        docker("rm", "--force", container)


def test_the_image_says_who_it_is_and_what_it_was_made_from_and_holds_no_pip(image: str) -> None:
    config = json.loads(docker("image", "inspect", image).stdout)[0]["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["/opt/worker/bin/python3", "-P", "-m", "docker_worker"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Labels"]["org.opencontainers.image.title"] == "docker-worker"
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items() if "opencontainers" in name}
    assert (labels["version"], labels["source"]) == (VERSION, SETTINGS.source)
    assert labels["revision"] == revision(WORKER)
    found = docker("run", *HARDENED, "--entrypoint", "/opt/worker/bin/python3", image, "-m", "pip", check=False)
    assert "No module named pip" in found.stderr


def test_a_team_derives_its_image_in_three_lines(image: str, tmp_path: Path) -> None:
    """The lines of docs/worker.md, with the image just built in place of the registry's."""
    guide = (WORKER.parent / "docs" / "worker.md").read_text()
    [lines] = re.findall(r"```dockerfile\n(.*?)```", guide, re.DOTALL)
    [handler] = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    assert len(lines.splitlines()) == 3
    (tmp_path / "Dockerfile").write_text(re.sub(r"(?m)^FROM .*", f"FROM {image}", lines))
    (tmp_path / "handlers.py").write_text(handler)
    name = f"worker-derived-test:{uuid.uuid4().hex[:8]}"
    docker("build", "--quiet", "--tag", name, str(tmp_path))
    try:
        done = docker("run", *HARDENED, *OTHER_USER, name, "run", "--queue", "q", check=False)
        assert (done.returncode, "no SQL_SERVER" in done.stderr) == (78, True)  # it found its handler: else 64
        done = docker("run", *HARDENED, name, "run", "--queue", "q", "--handler", "handlers:nothing", check=False)
        assert (done.returncode, "handlers:nothing" in done.stderr) == (64, True)
    finally:
        docker("image", "rm", "--force", name)


def layers(image: str) -> list[str]:
    return json.loads(docker("image", "inspect", image).stdout)[0]["RootFS"]["Layers"]


def secrets_of(image: str, base: str, folder: Path) -> tuple[int, list[str]]:
    """How many files the image's own layers have, and those with private keys, tokens or account keys in them: also
    files that a later layer deletes."""
    saved = folder / "image.tar"
    docker("save", "--output", str(saved), image)
    seen, bad = 0, []
    with tarfile.open(saved) as archive:
        [manifest] = json.load(archive.extractfile("manifest.json") or io.BytesIO())
        own = manifest["Layers"][len(layers(base)) :]
        assert layers(image)[: len(layers(base))] == layers(base)
        for name in own:
            with tarfile.open(fileobj=archive.extractfile(name)) as layer:
                for entry in filter(tarfile.TarInfo.isfile, layer):
                    seen += 1
                    content = layer.extractfile(entry)
                    # METADATA is a package's published description: PyJWT's shows an example token
                    if content and SECRET.search(content.read()) and not entry.name.endswith("dist-info/METADATA"):
                        bad.append(entry.name)
    saved.unlink()
    return seen, bad


def secret_words(image: str) -> list[str]:
    """Words of secrets in the image's history (every ARG, RUN and label) and environment."""
    config = json.loads(docker("image", "inspect", image).stdout)[0]["Config"]
    text = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout + json.dumps(config["Env"])
    return [word for word in ("password", "pwd=", "secret", "token", "accountkey") if word in text.casefold()]


def test_the_image_has_no_secret_in_any_layer_nor_in_its_history(image: str, base_image: str, tmp_path: Path) -> None:
    seen, bad = secrets_of(image, base_image, tmp_path)
    assert seen > 500
    assert bad == []
    assert secret_words(image) == []


def test_a_planted_secret_is_found(image: str, base_image: str, tmp_path: Path) -> None:
    """In a file that a later layer deletes, in a build argument, and in the environment."""
    context = tmp_path / "context"
    context.mkdir()
    key = "-----BEGIN " + "PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 2 + "\n"
    (context / "id.pem").write_text(key)
    lines = [
        f"FROM {image}",
        "USER 0",
        "COPY id.pem /opt/worker/id.pem",
        'RUN ["/opt/worker/bin/python3", "-c", "import os; os.remove(\'/opt/worker/id.pem\')"]',
        "ARG PASSWORD=hunter2",
        "ENV API_TOKEN=x",
    ]
    (context / "Dockerfile").write_text("\n".join(lines))
    name = f"worker-planted-test:{uuid.uuid4().hex[:8]}"
    docker("build", "--quiet", "--tag", name, str(context))
    try:
        assert secrets_of(name, base_image, tmp_path)[1] == ["opt/worker/id.pem"]
        assert secret_words(name) == ["password", "token"]
    finally:
        docker("image", "rm", "--force", name)


def test_the_sbom_is_what_the_image_has(image: str, tmp_path: Path) -> None:
    file = tmp_path / "worker.cdx.json"
    assert sbom.main(["--image", image, str(file)]) == 0
    parts = json.loads(file.read_text())["components"]
    listed = {(one["purl"].split("/")[0], one["name"]): one["version"] for one in parts}
    assert len(listed) == len(parts)
    code = "import importlib.metadata as m; print(*(f'{d.name.lower()}=={d.version}' for d in m.distributions()))"
    python = docker("run", *HARDENED, "--entrypoint", "/opt/worker/bin/python3", image, "-c", code).stdout.split()
    assert {f"{name}=={version}" for (kind, name), version in listed.items() if kind == "pkg:pypi"} == {
        re.sub(r"[_.]", "-", one.partition("==")[0]) + "==" + one.partition("==")[2] for one in python
    }
    assert {"libltdl7", "libkrb5-3", "libssl3", "base-files"} <= {name for kind, name in listed if kind == "pkg:deb"}


def test_nothing_but_the_package_and_its_lock_is_in_the_build_context() -> None:
    lines = [line for line in (WORKER / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert [line for line in lines if line.startswith("!")] == ["!requirements.txt", "!docker_worker"]
