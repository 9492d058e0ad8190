"""Logs of the azure process: one JSON object a line on stderr. Never a token, a secret or a body."""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
_SECRET = re.compile(r"(eyJ[\w-]+\.[\w-]+\.[\w-]+|(?<=[?&]sig=)[^&\s]+|(?i:(?<=bearer )|(?<=sharedkey ))\S+)")


class JsonLines(logging.Formatter):
    """A record with its `extra` fields; anything that looks like a token is masked."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update({name: str(value) for name, value in vars(record).items() if name not in _STANDARD})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return _SECRET.sub("***", json.dumps(line, ensure_ascii=False))


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send every logger there."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
