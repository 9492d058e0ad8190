"""`python -m tests.jobs.dashboard.pictures [FOLDER]`: the pictures of docs/dashboard.md, made with Chromium.

With `--all FOLDER` every page at three widths, light and dark, to be looked at: they are not kept.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page

from jobs.report.figures import compute
from jobs.report.page import page as report_page
from jobs.service import registry
from tests.jobs.dashboard.browser import address, chromium, served
from tests.jobs.dashboard.exhibit import OneRegistry, busy_day
from tests.jobs.fakes import START
from tests.jobs.report import made_up

DOCS = Path(__file__).resolve().parents[3] / "docs" / "pictures"
PAGES = {
    "pools": "pools",
    "node": "pools/default-1a2b/tvm-0003",
    "jobs": "jobs",
    "job": "jobs/simulate-wing",
    "task": "jobs/simulate-wing/simulate-00042",
    "images": "images",
}
KEPT = (("pools", "light"), ("job", "light"), ("task", "dark"))
WIDTHS = {"360": (360, 740, 2), "1280": (1280, 860, 1), "4k": (3840, 2160, 1)}
REPORTS = (6, 600, 60_000)


def enter(browser: Browser, url: str, *, size: tuple[int, int, float], scheme: str) -> Page:
    width, height, ratio = size
    context = browser.new_context(
        viewport={"width": width, "height": height}, device_scale_factor=ratio, color_scheme=scheme,  # type: ignore[arg-type]
        timezone_id="UTC", locale="en-GB",
    )  # fmt: skip
    page = context.new_page()
    page.clock.set_fixed_time(START + timedelta(minutes=50))
    if url:
        page.goto(url)
        page.wait_for_selector("h1")
    return page


def show(page: Page, path: str) -> None:
    page.evaluate(f"location.hash = '#/{path}'")
    page.wait_for_function("path => location.hash === '#/' + path", arg=path)
    page.wait_for_timeout(500)


def of_the_dashboard(folder: Path, browser: Browser, *, every: bool) -> None:
    for scheme in ("light", "dark"):
        for width, size in WIDTHS.items():
            wanted = [name for name in PAGES if every or (width == "1280" and (name, scheme) in KEPT)]
            if not wanted:
                continue
            with served(busy_day().session, operate=True) as access:
                page = enter(browser, address(access), size=size, scheme=scheme)
                for name in wanted:
                    show(page, PAGES[name])
                    page.screenshot(path=folder / (f"{name}-{width}-{scheme}.png" if every else f"{name}.png"))
                page.context.close()


def of_the_report(folder: Path, browser: Browser, *, every: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        for count in REPORTS if every else (600,):
            found = made_up.reading(count)
            file = Path(place) / f"{count}.html"
            file.write_text(
                report_page(found, compute(found.job, found.tasks, found.nodes, slots=found.slots, now=START))
            )
            for scheme in ("light", "dark") if every else ("light",):
                for width in WIDTHS if every else ("1280",):
                    page = enter(browser, "", size=WIDTHS[width], scheme=scheme)
                    page.goto(file.as_uri())
                    page.wait_for_timeout(500)
                    name = f"report-{count}-{width}-{scheme}.png" if every else "report.png"
                    page.screenshot(path=folder / name, full_page=every and width == "1280")
                    page.context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=DOCS)
    parser.add_argument("--all", action="store_true", help="every page at every width")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    registry.Registry = OneRegistry  # type: ignore[misc, assignment]
    with chromium() as browser:
        of_the_dashboard(arguments.folder, browser, every=arguments.all)
        of_the_report(arguments.folder, browser, every=arguments.all)
    for file in sorted(arguments.folder.glob("*.png")):
        print(f"{file.name}: {file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
