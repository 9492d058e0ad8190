"""uv, which installs the Python packages: pinned by hash, kept in the user's cache folder, told what pip is told.

uv does not read pip's settings. Where a machine names its package index, proxy or certificates to pip, they are handed
on to uv in its environment: an index address may hold a password, and stands in no argument, log or file of ours.
"""

from __future__ import annotations

import configparser
import fcntl
import hashlib
import os
import platform
import ssl
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tools.setup import places
from tools.setup.process import run
from tools.setup.progress import Say

# pip's setting -> the variable of uv that means the same
VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "no-index": "UV_NO_INDEX",
    "trusted-host": "UV_INSECURE_HOST",
    "keyring-provider": "UV_KEYRING_PROVIDER",
    "timeout": "UV_HTTP_TIMEOUT",
    "proxy": "ALL_PROXY",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
}
MACHINE_SETTINGS = Path("/etc")
# Older names of the same variables: who has set one means it.
OLDER_NAMES = {"UV_DEFAULT_INDEX": "UV_INDEX_URL", "UV_INDEX": "UV_EXTRA_INDEX_URL"}
# Would switch off what this project relies on, whatever the machine prefers elsewhere.
NOT_OURS = ("UV_NO_VERIFY_HASHES", "UV_SYSTEM_PYTHON", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_PROJECT", "UV_WORKING_DIR")


def program() -> Path:
    """Where our uv is, or will be."""
    digest = hashlib.sha256(places.UV_REQUIREMENTS.read_bytes() + f"{sys.platform} {platform.machine()}".encode())
    return places.cache() / "uv" / digest.hexdigest()[:16] / "uv"


def ensure(say: Say, python: Path | None = None) -> Path:
    """uv; installs it once for all checkouts, with the pip of `python`, else of a throw-away environment."""
    uv = program()
    if uv.exists():
        return uv
    uv.parent.mkdir(parents=True, exist_ok=True)
    with (uv.parent / "lock").open("a") as lock, tempfile.TemporaryDirectory(dir=uv.parent, prefix="new-") as folder:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if uv.exists():  # another set-up, or another step of this one, was faster
            return uv
        say("installing uv, which installs the Python packages (once for all checkouts)")
        if python is None:
            make_environment(Path(folder) / "venv")
            python = Path(folder) / "venv" / "bin" / "python"
        run(
            [
                str(python),
                "-m",
                "pip",
                "install",
                "--target",
                folder,
                "--no-deps",
                "--only-binary",
                ":all:",
                "--require-hashes",
                "--requirement",
                str(places.UV_REQUIREMENTS),
            ],
            what="installing uv",
            next_step="check that a Python package index is reachable",
        )
        (Path(folder) / "bin" / "uv").replace(uv)
    return uv


def make_environment(folder: Path) -> None:
    """A virtual environment of this interpreter, with pip (needs `ensurepip`)."""
    run(
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        what="creating a virtual environment",
        next_step="on Debian: apt-get install python3-venv",
    )


def environment() -> dict[str, str]:
    """The environment for uv: this one, what pip is told, and no downloads of Python interpreters."""
    own = {name: value for name, value in os.environ.items() if name not in NOT_OURS}
    return {**own, **translate(pip_settings(own), own), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "true"}


def translate(settings: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """uv's variables for pip's `settings`; what the environment `own` already tells uv goes first."""
    told = {}
    for setting, variable in VARIABLES.items():
        value = settings.get(setting, "")
        if not value or variable in own or OLDER_NAMES.get(variable, variable) in own:
            continue
        told[variable] = " ".join(value.split())
    if "UV_FIND_LINKS" in told:
        told["UV_FIND_LINKS"] = told["UV_FIND_LINKS"].replace(" ", ",")  # uv's list has commas here, pip's has spaces
    if told.get("UV_KEYRING_PROVIDER") not in (None, "subprocess", "disabled"):
        told["UV_KEYRING_PROVIDER"] = "subprocess"  # the only one that uv has; pip has "auto" and "import", too
    if "UV_INDEX" in told and "UV_INDEX_STRATEGY" not in own:
        told["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # as pip does; which file it is, the hashes decide
    if not any(name in own or name in told for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_SYSTEM_CERTS")):
        bundle = own.get("REQUESTS_CA_BUNDLE") or own.get("CURL_CA_BUNDLE")  # pip reads both
        if bundle:
            told["SSL_CERT_FILE"] = bundle
        elif ssl.get_default_verify_paths().cafile:
            told["UV_SYSTEM_CERTS"] = "true"  # with what a company has added to the machine's certificates
    return told


def pip_settings(own: Mapping[str, str]) -> dict[str, str]:
    """pip's settings, from its files and variables, the strongest last (pip's user guide, "Configuration").

    pip itself could be asked, but Debian's Python has none.
    """
    found: dict[str, str] = {}
    for section in ("global", "install"):
        for file in _files(own):
            parser = configparser.RawConfigParser()
            try:
                parser.read(file, encoding="utf-8")
            except (OSError, configparser.Error, UnicodeDecodeError):
                continue  # pip says what is wrong with it
            if parser.has_section(section):
                found.update({name.replace("_", "-"): value for name, value in parser.items(section)})
    for name, value in own.items():
        if name.startswith("PIP_") and value:
            found[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return found


def _files(own: Mapping[str, str]) -> list[Path]:
    chosen = own.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return []
    home = Path(own.get("HOME") or Path.home())
    shared = [Path(folder) / "pip" for folder in (own.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(":")]
    user = [home / ".pip", Path(own.get("XDG_CONFIG_HOME") or home / ".config") / "pip"]
    folders = [*reversed(shared), MACHINE_SETTINGS, *user, Path(sys.prefix)]
    return [folder / "pip.conf" for folder in folders] + ([Path(chosen)] if chosen else [])
