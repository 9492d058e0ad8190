"""Tasks of a submission that the service refused: all of them in a file, the first ones in the message."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ...submission import Result
from ...submission.spool import Spool
from ...terminal.display import Display

SHOWN: Final = 5  # refused tasks in the message; all are in the file
MOST_SHOWN: Final = 1000  # where the file cannot be written


class RefusedTasks:
    """The file `JOB.failures.jsonl` beside the checkpoint."""

    def __init__(self, path: Path, spool: Spool, display: Display) -> None:
        self.path = path
        self._spool = spool
        self._display = display

    def write(self, result: Result) -> None:
        """Write id, code, message and place in the input of every task without a good verdict, one a line."""
        try:
            if not result.failures:
                self.path.unlink(missing_ok=True)
                return
            part = self.path.with_name(f"{self.path.name}.part")
            with part.open("w", encoding="utf-8") as stream:
                stream.writelines(f"{json.dumps(one, ensure_ascii=False)}\n" for one in self.each(result))
            part.replace(self.path)
        except OSError as error:
            self._display.words(f"{self.path} cannot be written: {error.strerror}. The refused tasks are these:")
            for one in itertools.islice(self.each(result), MOST_SHOWN):
                self._display.words(f"  {one['id']}: {one['code']}: {one['message']} ({one['line']})")

    def each(self, result: Result) -> Iterator[dict[str, str]]:
        """As JSON objects."""
        places = self._spool.places({one.task_id.lower() for one in result.failures}) if result.failures else {}
        for one in result.failures:
            line = places.get(one.task_id.lower(), "")
            yield {"id": one.task_id, "code": one.code, "message": one.message, "line": line}

    def lines(self, result: Result) -> Iterator[str]:
        """For the message: the first ones, and where all are."""
        if not result.failures:
            return
        yield "The first ones:"
        for one in result.failures[:SHOWN]:
            yield f"  {one.task_id}: {one.code}: {one.message}"
        if self.path.exists():
            yield f"All {len(result.failures)} of them: {self.path}"
