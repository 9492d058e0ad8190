"""For all tests: what they leave outside their temporary folders is removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.azure.paths import Paths


@pytest.fixture(scope="session", autouse=True)
def socket_folders_go_with_the_session() -> Iterator[None]:
    """The socket folder of a home lies beside it, in /tmp: remove those that were made here."""
    made: list[Path] = []
    ensure = Paths.ensure

    def remembering(self: Paths, *, sockets: bool = True) -> None:
        if sockets and not self.sockets.exists():
            made.append(self.sockets)
        ensure(self, sockets=sockets)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Paths, "ensure", remembering)
        yield
    for folder in made:
        shutil.rmtree(folder, ignore_errors=True)
