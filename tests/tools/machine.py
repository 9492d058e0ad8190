"""A machine for the tests of the set-up: an empty PATH, own folders, and programs that stand in for real ones."""

from __future__ import annotations

import shutil
from pathlib import Path

BASE_PROGRAMS = ("sh", "cat", "sleep", "chmod", "mkdir", "touch")


class Machine:
    """`program` puts a shell script on PATH; `calls` are the command lines that such programs were started with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.said: list[str] = []
        self.shown: list[str] = []
        self.bin.mkdir()
        for name in BASE_PROGRAMS:
            found = shutil.which(name)
            assert found
            (self.bin / name).symlink_to(found)

    def program(self, name: str, script: str = "", folder: Path | None = None) -> Path:
        file = (folder or self.bin) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'#!/bin/sh\nM={self.folder}\necho "{name} $*" >> $M/calls\n{script}\n')
        file.chmod(0o755)
        return file

    def calls(self, begin: str = "") -> list[str]:
        file = self.folder / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        return [line for line in lines if line.startswith(begin)]

    def say(self, text: str) -> None:
        self.said.append(text)

    def show(self, state: str) -> None:
        self.shown.append(state)
