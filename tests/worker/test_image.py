"""The real image: it builds, runs hardened under any uid, has a driver that loads, and stops on signals.

WORKER_BASE_IMAGE names a base image to build on; without it the local bootstrapped one is used (and made, if need be).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.tasks import RUN_OPTIONS
from local.azure.paths import Paths
from local.node.image import ensure_base_image

pytestmark = pytest.mark.docker

WORKER = Path(__file__).parents[2] / "worker"
OTHER_USER = ["--user", "54321"]
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
    docker("build", "--quiet", "--build-arg", f"BASE_IMAGE={base_image}", "--tag", name, str(WORKER))
    yield name
    docker("image", "rm", "--force", name)


def test_it_runs_hardened_under_any_uid(image: str) -> None:
    done = docker("run", *HARDENED, *OTHER_USER, image, "wait", "--seconds", "0", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout.splitlines()[0])["uid"] == 54321


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


def test_the_image_says_who_it_is_and_holds_no_pip_and_no_secret(image: str) -> None:
    config = json.loads(docker("image", "inspect", image).stdout)[0]["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["/opt/worker/bin/python3", "-P", "-m", "docker_worker"]
    assert config["StopSignal"] == "SIGTERM"
    assert config["Labels"]["org.opencontainers.image.title"] == "docker-worker"
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", image).stdout.casefold()
    assert not [
        word for word in ("password", "secret", "token") if word in history + json.dumps(config["Env"]).casefold()
    ]
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


def test_the_image_has_no_secret_in_any_file_of_ours(image: str) -> None:
    """Private keys, tokens and connection strings with a password, in all that the image adds to its base.

    METADATA is a package's published description: PyJWT's shows an example token.
    """
    scan = (
        "import pathlib, re\n"
        "bad = re.compile(rb'-----BEGIN [A-Z ]*PRIVATE KEY-----\\s+[A-Za-z0-9+/]{40}"
        "|eyJ[\\w-]{20,}\\.eyJ|AccountKey=\\w{20}')\n"
        "files = [f for f in pathlib.Path('/opt/worker').rglob('*') if f.is_file() and f.name != 'METADATA']\n"
        "print(len(files), [str(f) for f in files if bad.search(f.read_bytes())])"
    )
    done = docker("run", *HARDENED, "--entrypoint", "/opt/worker/bin/python3", image, "-c", scan)
    count, _, found = done.stdout.strip().partition(" ")
    assert int(count) > 500
    assert found == "[]"


def test_nothing_but_the_package_and_its_lock_is_in_the_build_context() -> None:
    lines = [line for line in (WORKER / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    assert [line for line in lines if line.startswith("!")] == ["!requirements.txt", "!docker_worker"]
