"""Types of arguments that several verbs take."""

from __future__ import annotations

import argparse
import re
from typing import Final

ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # of jobs and tasks, as Batch takes them
OF_SCHEDULE: Final = re.compile(r":job-[0-9]{1,9}$")  # how the id of a job ends that a job schedule made


def batch_id(text: str) -> str:
    """The type of arguments that name a job or a task: nothing else is asked of the service."""
    if not ID.fullmatch(OF_SCHEDULE.sub("", text)):
        raise argparse.ArgumentTypeError(f"{text!r} is no id; ids have 1 to 64 letters, digits, - and _")
    return text
