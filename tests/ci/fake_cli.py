"""A `pulumi` for tests that plays what it is told: one answer for each command, in order."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """#!{python}
import json, os, sys
folder = os.path.dirname(os.path.abspath(__file__))
play = json.load(open(folder + "/play.json"))
with open(folder + "/asked.jsonl", "a") as asked:
    asked.write(json.dumps(sys.argv[1:]) + "\\n")
for scene in play:
    if sys.argv[1 : 1 + len(scene["words"])] == scene["words"] and scene["times"] > 0:
        scene["times"] -= 1
        json.dump(play, open(folder + "/play.json", "w"))
        if "--event-log" in sys.argv:
            with open(sys.argv[sys.argv.index("--event-log") + 1], "w") as log:
                log.write("".join(json.dumps(event) + "\\n" for event in scene["events"]))
        sys.stdout.write(scene["out"])
        sys.stderr.write(scene["err"])
        sys.exit(scene["code"])
sys.exit("nothing to play for " + " ".join(sys.argv[1:]))
"""


class FakeCli:
    """The CLI of one test, first on PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._play = list[dict[str, Any]]()
        program = folder / "pulumi"
        program.write_text(SCRIPT.format(python=sys.executable))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", os.pathsep.join([str(folder), os.environ["PATH"]]))

    def plays(
        self, *words: str, code: int = 0, out: Any = "", err: str = "", events: list[Any] | None = None, times: int = 1
    ) -> None:
        text = out if isinstance(out, str) else json.dumps(out)
        self._play.append(
            {"words": list(words), "code": code, "out": text, "err": err, "events": events or [], "times": times}
        )
        (self._folder / "play.json").write_text(json.dumps(self._play))

    @property
    def asked(self) -> list[list[str]]:
        log = self._folder / "asked.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def verbs(self) -> list[str]:
        return [words[0] if words[0] != "stack" else " ".join(words[:2]) for words in self.asked]
