"""A dashboard for a real browser: served from a thread, looked at with Debian's Chromium."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from jobs.dashboard.access import Access
from jobs.dashboard.server import Dashboard, serve
from jobs.session import Session

SECONDS = 20


@contextmanager
def served(session: Session, *, operate: bool = False) -> Iterator[Access]:
    """The dashboard listens; what opens it is in `token` and `port`."""
    access = Access(operate=operate)
    dashboard = Dashboard(session, access)
    listening = threading.Event()
    loop = asyncio.new_event_loop()

    def run() -> None:
        task = loop.create_task(serve(dashboard, 0, listening.set))
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        finally:
            loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert listening.wait(SECONDS)
        yield access
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join(SECONDS)


def address(access: Access) -> str:
    return f"http://127.0.0.1:{access.port}/#token={access.token}"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's; `python3 -m tools.setup browser` installs it."""
    program = shutil.which("chromium")
    assert program is not None, "there is no chromium here: python3 -m tools.setup browser"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()
