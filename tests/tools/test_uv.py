"""uv: installed once by hash, and told which index, proxy and certificates the machine's pip uses."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.tools.machine import Machine
from tools.setup import places, steps, uv


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def translated(own: dict[str, str]) -> dict[str, str]:
    """Without the line on certificates, which depends on the machine."""
    told = uv.translate(uv.pip_settings(own), own)
    told.pop("UV_SYSTEM_CERTS", None)
    return told


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A user without settings, on a machine without: its environment."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "python"))
    monkeypatch.setattr(uv, "MACHINE_SETTINGS", tmp_path / "etc")
    return {"HOME": str(tmp_path / "user"), "XDG_CONFIG_DIRS": str(tmp_path / "xdg")}


@pytest.mark.parametrize(
    ("setting", "variables"),
    [
        ("index-url = https://u:p@index/simple", {"UV_DEFAULT_INDEX": "https://u:p@index/simple"}),
        (
            "extra-index-url = https://one/simple\n    https://two/simple",
            {"UV_INDEX": "https://one/simple https://two/simple", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        ("find-links = /wheels https://more", {"UV_FIND_LINKS": "/wheels,https://more"}),
        ("no-index = true", {"UV_NO_INDEX": "true"}),
        ("trusted-host = one two:8080", {"UV_INSECURE_HOST": "one two:8080"}),
        ("cert = /etc/company.pem", {"SSL_CERT_FILE": "/etc/company.pem"}),
        ("client-cert = /etc/me.pem", {"SSL_CLIENT_CERT": "/etc/me.pem"}),
        ("proxy = http://proxy:3128", {"ALL_PROXY": "http://proxy:3128"}),
        ("timeout = 60", {"UV_HTTP_TIMEOUT": "60"}),
        ("keyring-provider = import", {"UV_KEYRING_PROVIDER": "subprocess"}),
        ("index-url = 100%%not-interpolated", {"UV_DEFAULT_INDEX": "100%%not-interpolated"}),
        ("quiet = 1", {}),
    ],
)
def test_a_setting_of_pip_becomes_the_variable_of_uv_that_means_the_same(
    home: dict[str, str], setting: str, variables: dict[str, str]
) -> None:
    write(Path(home["HOME"]) / ".config" / "pip" / "pip.conf", f"[global]\n{setting}\n")
    assert translated(home) == variables


def test_the_strongest_of_pips_settings_counts(home: dict[str, str], tmp_path: Path) -> None:
    def index() -> str:
        return translated(home)["UV_DEFAULT_INDEX"]

    write(tmp_path / "xdg" / "pip" / "pip.conf", "[global]\nindex-url = https://shared\n")
    assert index() == "https://shared"
    write(tmp_path / "etc" / "pip.conf", "[global]\nindex-url = https://machine\n")
    assert index() == "https://machine"
    write(Path(home["HOME"]) / ".pip" / "pip.conf", "[global]\nindex_url = https://user-of-old\n")
    assert index() == "https://user-of-old"
    write(Path(home["HOME"]) / ".config" / "pip" / "pip.conf", "[global]\nindex-url = https://user\n")
    assert index() == "https://user"
    write(tmp_path / "python" / "pip.conf", "[global]\nindex-url = https://python\n")
    assert index() == "https://python"
    write(tmp_path / "chosen", "[global]\nindex-url = https://chosen\n")
    home["PIP_CONFIG_FILE"] = str(tmp_path / "chosen")
    assert index() == "https://chosen"
    write(tmp_path / "etc" / "pip.conf", "[install]\nindex-url = https://install\n")
    assert index() == "https://install"
    home["PIP_INDEX_URL"] = "https://variable"
    assert index() == "https://variable"
    home["UV_INDEX_URL"] = "https://told-to-uv-itself"
    assert translated(home) == {}


def test_pip_files_that_are_switched_off_or_broken_are_not_read(home: dict[str, str], tmp_path: Path) -> None:
    write(tmp_path / "etc" / "pip.conf", "[global]\nindex-url = https://machine\n")
    assert translated({**home, "PIP_CONFIG_FILE": os.devnull}) == {}
    write(tmp_path / "etc" / "pip.conf", "index-url = no section\n")
    assert translated(home) == {}


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ({}, {"UV_SYSTEM_CERTS": "true"}),
        ({"SSL_CERT_FILE": "/a"}, {}),
        ({"SSL_CERT_DIR": "/a"}, {}),
        ({"PIP_CERT": "/pip", "REQUESTS_CA_BUNDLE": "/requests"}, {"SSL_CERT_FILE": "/pip"}),
        ({"REQUESTS_CA_BUNDLE": "/requests"}, {"SSL_CERT_FILE": "/requests"}),
        ({"CURL_CA_BUNDLE": "/curl"}, {"SSL_CERT_FILE": "/curl"}),
    ],
)
def test_certificates_are_those_that_pip_would_trust(
    home: dict[str, str], monkeypatch: pytest.MonkeyPatch, own: dict[str, str], told: dict[str, str]
) -> None:
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: SimpleNamespace(cafile="/machine"))
    assert uv.translate(uv.pip_settings({**home, **own}), {**home, **own}) == told


def test_uv_downloads_no_python_and_verifies_hashes_whatever_the_user_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "automatic")
    monkeypatch.setenv("UV_NO_VERIFY_HASHES", "1")
    environment = uv.environment()
    assert environment["UV_PYTHON_DOWNLOADS"] == "never"
    assert "UV_NO_VERIFY_HASHES" not in environment


def test_uv_is_installed_by_hash_once_for_all_checkouts(machine: Machine) -> None:
    python = machine.program(
        "python",
        'for last in "$@"; do [ "$previous" = --target ] && target=$last; previous=$last; done\n'
        "mkdir -p $target/bin; echo uv > $target/bin/uv",
    )
    installed = uv.ensure(machine.say, python)
    assert installed.read_text() == "uv\n" and installed.is_relative_to(places.cache())
    assert [line for line in machine.calls() if "--require-hashes" in line and "requirements-uv.txt" in line]
    assert uv.ensure(machine.say, python) == installed
    assert len(machine.calls()) == 1
    assert sorted(file.name for file in installed.parent.iterdir()) == ["lock", "uv"]


def test_the_address_of_an_index_is_in_no_argument_and_no_log(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://user:secret@index/simple")
    installer = machine.program("uv", 'echo "$UV_DEFAULT_INDEX" > $M/index', uv.program().parent)
    command = [sys.executable, "-m", "tools.setup", "uv", "pip", "compile", "x.in"]
    done = subprocess.run(command, cwd=places.CHECKOUT, capture_output=True, text=True, check=True)
    assert (machine.folder / "index").read_text() == "https://user:secret@index/simple\n"
    assert machine.calls() == ["uv pip compile x.in"]
    assert "secret" not in done.stdout + done.stderr
    assert not (machine.folder / "home").exists()
    assert installer == uv.program()


def test_what_is_shared_is_named_and_kept(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert steps.main(["cache"]) == 0
    assert capsys.readouterr().err == ""
    write(places.cache() / "pulumi" / "x" / "bin" / "pulumi", "x" * (2 << 20))
    assert steps.main(["cache"]) == 0
    assert f"kept, for all checkouts of this user: {places.cache()} (Pulumi CLI, uv; 2 MiB)" in capsys.readouterr().err
    assert "azure-batch-platform" not in (places.CHECKOUT / "Makefile").read_text()
