"""The Pulumi CLI: an official installation on PATH, or the pinned version, built once from its Go module.

An official installation is used untouched if it is new enough and has Pulumi's own language host for Python. Otherwise
`ensure` builds the version that `tools/pulumi/go.mod` pins (`tools.setup.pulumi_build`) into the user's cache folder.
The official language host is no Go module that a proxy serves, so a CLI of ours has none: `local/` brings a stand-in,
which starts Pulumi's official executor script (it is in the module of Pulumi's SDK, and is kept beside the CLI).
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tools.setup import places, pulumi_build
from tools.setup.progress import Say, Show, through

# The Python SDK that requirements.txt pins comes from this release of Pulumi. The two are released together; Pulumi
# promises nothing for an older CLI under a newer SDK.
OLDEST = (3, 272, 0)
LANGUAGE_HOST = "pulumi-language-python"
ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class Installation:
    """A Pulumi CLI that can run this project.

    `official`: it has a language host of its own for Python, and nothing of ours may stand in for it.
    `executor`: for a CLI of ours, Pulumi's script that a language host starts to run a Python program; else None.
    `version`: as `pulumi version` prints it, without the "v", e.g. "3.274.1".
    """

    pulumi: Path
    official: bool
    executor: Path | None
    version: str


def find() -> Installation | None:
    """The CLI to use: the official one on PATH, else ours from the cache, else None (`ensure` builds it)."""
    return _official()[0] or _built()


def ensure(say: Say, show: Show | None = None) -> Installation:
    """The CLI to use; builds ours where there is none (minutes). `SetupError` says why it cannot be built.

    `show` is told the state of the build each time it changes; left out, `say` is told every few seconds.
    """
    official, not_used = _official()
    if official:
        return official
    if not_used:
        say(f"{not_used}; the project's own Pulumi {pulumi_build.version()} is used, yours stays as it is")
    if not _built():
        pulumi_build.build(say, show or through(say))
    built = _built()
    assert built is not None
    return built


def _built() -> Installation | None:
    folder = pulumi_build.folder() / "bin"
    pulumi, executor = folder / "pulumi", folder / pulumi_build.EXECUTOR
    if not (pulumi.is_file() and executor.is_file()):
        return None
    return Installation(pulumi, official=False, executor=executor, version=pulumi_build.version())


def _official() -> tuple[Installation | None, str]:
    """The official installation on PATH; or None and, if there is a `pulumi` that cannot be used, why."""
    pulumi = _on_path("pulumi")
    if pulumi is None:
        return None, ""
    version, trouble = _ask_version(pulumi)
    if trouble:
        return None, f"{pulumi} {trouble}"
    if parse(version) < OLDEST:
        return None, f"{pulumi} is version {version}; the project needs {'.'.join(map(str, OLDEST))} or newer"
    beside = pulumi.resolve().parent / LANGUAGE_HOST
    if not (os.access(beside, os.X_OK) or _on_path(LANGUAGE_HOST)):
        return None, f"{pulumi} has no {LANGUAGE_HOST} beside it or on PATH"
    return Installation(pulumi, official=True, executor=None, version=version), ""


def _on_path(program: str) -> Path | None:
    """The first `program` on PATH that is not ours: a shell may have this project's programs on its PATH, too."""
    for entry in os.environ.get("PATH", "").split(os.pathsep):
        file = Path(entry or ".").absolute() / program
        # Unlike Path.is_file, os.path says no, and raises nothing, of a folder that this user may not look into.
        if os.path.isfile(file) and os.access(file, os.X_OK) and not _is_ours(file):  # noqa: PTH113
            return file
    return None


def _is_ours(file: Path) -> bool:
    """Whether it lies in our cache folder or in a checkout of this project (any checkout, not this one alone)."""
    for place in (file, file.resolve()):
        if places.cache() in place.parents:
            return True
        if any(os.access(folder / "tools" / "setup" / "pulumi_cli.py", os.F_OK) for folder in place.parents):
            return True
    return False


def _ask_version(pulumi: Path) -> tuple[str, str]:
    """The version of a CLI; or what is wrong with it. Reads and writes nothing of the user's own Pulumi."""
    with tempfile.TemporaryDirectory() as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}
        try:
            asked = subprocess.run(
                [pulumi, "version"],
                env={**environment, "PULUMI_HOME": home, "PULUMI_SKIP_UPDATE_CHECK": "true"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=ANSWER_SECONDS,
                check=False,
            )
        except OSError as error:
            return "", f"cannot be started ({error.strerror})"
        except subprocess.TimeoutExpired:
            return "", f"did not tell its version within {ANSWER_SECONDS:.0f} s"
    version = asked.stdout.strip().removeprefix("v")
    if asked.returncode or parse(version) == (0, 0, 0):
        return "", f"does not tell its version (exit code {asked.returncode})"
    return version, ""


def parse(version: str) -> tuple[int, int, int]:
    """Major, minor and patch of "3.274.1" or "3.275.0-alpha.1"; zeros if it is no version."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)
