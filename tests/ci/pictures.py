"""`python -m tests.ci.pictures`: the picture of the plan's comment in docs/ci.md, made with Chromium.

What GitHub would show of docs/pictures/plan-comment.md, which the rehearsal of the pull request writes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from markdown_it import MarkdownIt
from playwright.sync_api import Browser

from tests.ci.kept_comment import FILE
from tests.jobs.dashboard.browser import chromium

PICTURE: Final = FILE.with_suffix(".png")
STYLE: Final = """
body { font: 14px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1f2328; margin: 16px; }
article { border: 1px solid #d1d9e0; border-radius: 6px; }
header { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; padding: 8px 16px; color: #59636e; }
main { padding: 0 16px 8px; }
h2 { border-bottom: 1px solid #d1d9e0; padding-bottom: .3em; }
h3 { font-size: 16px; }
code { background: #eff1f3; border-radius: 6px; padding: .2em .4em; font: 12px "DejaVu Sans Mono", monospace; }
pre { background: #f6f8fa; border-radius: 6px; padding: 12px; overflow: hidden; }
pre code { background: none; padding: 0; white-space: pre-wrap; }
blockquote { margin: 0 0 16px; padding: 0 16px; border-left: 4px solid; }
blockquote > p:first-child { font-weight: 600; }
.CAUTION { border-color: #cf222e; } .CAUTION > p:first-child { color: #cf222e; }
.WARNING { border-color: #9a6700; } .WARNING > p:first-child { color: #9a6700; }
.IMPORTANT { border-color: #8250df; } .IMPORTANT > p:first-child { color: #8250df; }
blockquote > *:not(p:first-child) { color: #1f2328; }
ul { padding-left: 22px; }
"""
_ALERT: Final = re.compile(r"<blockquote>\s*<p>\[!([A-Z]+)\]")


def html(text: str) -> str:
    """The comment as a page, with GitHub's alerts."""
    body = MarkdownIt("commonmark", {"html": True}).render(text)
    body = _ALERT.sub(lambda found: f'<blockquote class="{found[1]}"><p>{found[1].capitalize()}</p><p>', body)
    return (
        f"<!doctype html><meta charset=utf-8><style>{STYLE}</style><article>"
        f"<header><b>github-actions</b> bot commented</header><main>{body}</main></article>"
    )


def take(browser: Browser, picture: Path) -> None:
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    page.set_content(html(FILE.read_text()))
    page.screenshot(path=picture, full_page=True)
    page.close()


def main() -> None:
    with chromium() as browser:
        take(browser, PICTURE)
    print(f"{PICTURE.name}: {PICTURE.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
