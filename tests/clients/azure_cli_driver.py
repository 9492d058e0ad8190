"""Runs the stock azure-cli in one process: it is the only file here that azure-cli's own Python executes.

Reads a JSON list of words a line from stdin, writes a JSON object a line: exit code, result, and what went to stderr.
Several commands in one process save a second each; `get_default_cli` is what `az` itself calls.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys
from typing import Any


def invoke(words: list[str]) -> dict[str, Any]:
    """One command, as `az WORDS` runs it."""
    from azure.cli.core import get_default_cli  # pyright: ignore[reportMissingImports]

    out, err = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(err)
    handler.setLevel(logging.ERROR)
    cli = get_default_cli()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            logging.getLogger().addHandler(handler)
            code = cli.invoke([*words, "--output", "json"], out_file=out)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except Exception as error:
        code = 1
        err.write(f"{type(error).__name__}: {error}")
    finally:
        logging.getLogger().removeHandler(handler)
    text = out.getvalue().strip()
    try:
        result = json.loads(text) if text else None
    except ValueError:
        result = text
    error = getattr(getattr(cli, "result", None), "error", None)
    said = err.getvalue().strip() or (str(error) if error is not None else "")
    return {"code": int(code or 0), "result": result, "error": said}


def main() -> None:
    """Until stdin ends."""
    answers = sys.stdout
    for line in sys.stdin:
        answers.write(json.dumps(invoke(json.loads(line)), default=str) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
