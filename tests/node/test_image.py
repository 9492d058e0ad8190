from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from local.node import image


def test_a_build_context_is_the_same_bytes_for_the_same_files() -> None:
    files = {"b": b"2", "root/usr/local/sbin/node_boot": b"1"}
    assert image._context_tar(files).read() == image._context_tar(dict(reversed(files.items()))).read()
    with tarfile.open(fileobj=image._context_tar(files)) as tar:
        assert tar.getmember("root/usr/local/sbin/node_boot").mode == 0o755


def test_the_agent_is_copied_with_the_contract_and_nothing_else_of_the_repository() -> None:
    files = image._agent_files()
    names = {name.removeprefix("root/opt/node-agent/local/") for name in files}
    assert {"node/contract.py", "node/agent/__main__.py", "node/agent/runs.py"} <= names
    assert all(
        name.startswith("node/agent/") or name in ("__init__.py", "node/__init__.py", "node/contract.py")
        for name in names
    )


def test_fingerprints_tell_where_one_part_ends() -> None:
    assert image._fingerprint(b"ab", b"c") != image._fingerprint(b"a", b"bc")


def test_the_root_file_system_is_kept_in_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert image.cache_folder() == tmp_path / "local-azure"
