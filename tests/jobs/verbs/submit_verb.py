"""The verb `submit`, called as the command line does it."""

from __future__ import annotations

import argparse
from pathlib import Path

from jobs.exits import Exit
from jobs.verbs.submit import submit
from tests.jobs.fakes import HELLO, Stage


def run(scene: Stage, file: Path = HELLO, **options: object) -> Exit:
    given = {"yes": True, "dry_run": False, "job_id": None, "watch": False, "report": False, "timeout": None}
    given |= {"resume": False, "checkpoint": None, "workers": 4, "patience": 5.0}
    return submit.run(argparse.Namespace(files=[file], notify=None, bell=False, **(given | options)), scene.session)
