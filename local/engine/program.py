"""Runs the user's program with the real SDK against a monitor. A child process of the engine.

Started as `python -P -m local.engine.program`; its settings come as JSON on stdin, so that no secret is in an
environment or on a command line. It watches its parent: when the engine is gone, whatever way, so is it. The user's
errors are shown without our traceback: an exception with a `user_message`, and pulumi.RunError, by their words alone;
others with the frames of the user's own files.
"""

from __future__ import annotations

import asyncio
import json
import os
import runpy
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

REPORTED = 32  # exit code: the failure has been told to the engine already
MONITOR_GONE = "Resource monitor has terminated"  # the SDK's words when the engine aborted a request


def main() -> int:
    """Run the program; the result is its exit code."""
    settings = json.load(sys.stdin)
    sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - the program's stdin, for as long as it lives
    threading.Thread(target=_watch_parent, args=(settings["parent"],), daemon=True).start()
    import pulumi
    import pulumi.runtime

    _configure(settings)
    folder = settings["main"]
    sys.path.insert(0, folder)
    sys.argv = [folder]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Each registration blocks a thread of the default executor, which has cpu+4 threads only.
    loop.set_default_executor(ThreadPoolExecutor(settings["threads"]))

    def body() -> None:
        runpy.run_path(str(Path(folder) / "__main__.py"), run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(body))
    except SystemExit as error:
        if isinstance(error.code, str):
            pulumi.log.error(error.code)
            return REPORTED
        return error.code or 0
    except BaseException as error:
        if MONITOR_GONE not in str(error):
            pulumi.log.error(explain(error, folder))
        return REPORTED
    return 0


def _configure(settings: dict[str, Any]) -> None:
    import pulumi.runtime
    from pulumi.runtime import settings as runtime

    runtime.configure(
        runtime.Settings(
            project=settings["project"],
            stack=settings["stack"],
            organization="organization",
            root_directory=settings["root"],
            monitor=settings["monitor"],
            engine=settings["monitor"],
            parallel=settings["parallel"],
            dry_run=settings["preview"],
        )
    )
    pulumi.runtime.set_all_config(settings["config"], settings["secret_keys"])


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.3)
    os._exit(1)


def explain(error: BaseException, folder: str) -> str:
    """What to tell the user about an exception that left the program."""
    from pulumi.errors import RunError

    cause: BaseException | None = error
    while cause is not None:
        if isinstance(message := getattr(cause, "user_message", None), str):
            return message
        if isinstance(cause, RunError):
            return str(cause)
        cause = cause.__cause__
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.startswith(folder) and "site-packages" not in f.filename]
    own = [f for f in own if not f.filename.startswith(str(Path(__file__).parent))] or frames[-1:]
    lines = traceback.format_list(own) + traceback.format_exception_only(error)
    return "Program failed with an unhandled exception:\nTraceback (most recent call last):\n" + "".join(lines)


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
