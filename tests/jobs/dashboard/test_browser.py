"""The pages in Chromium: what a person does with them, who can read them, and what an attacker's page cannot do.

These tests are among the thorough ones: they need Chromium (`python3 -m tools.setup browser`, which `make test` calls).
"""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from jobs.report.figures import compute
from jobs.report.page import page as report_page
from jobs.service import registry
from testbeds.http_server import serving
from tests.jobs.dashboard.browser import address, chromium, served
from tests.jobs.dashboard.exhibit import OneRegistry, busy_day
from tests.jobs.dashboard.pictures import PAGES, enter, show
from tests.jobs.dashboard.scene import SCRIPT
from tests.jobs.fakes import START
from tests.jobs.report import made_up

pytestmark = pytest.mark.thorough

SIZES = {"phone": (360, 740, 1), "desk": (1280, 860, 1)}
LOOKS = [("desk", "light"), ("phone", "dark")]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def _registry() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "Registry", OneRegistry)
        yield


@pytest.fixture
def page(browser: Browser, _registry: None) -> Iterator[Page]:
    """The dashboard of a busy day, entered; what it asks, and what it complains about, is looked at in the end."""
    with served(busy_day().session, operate=True) as access:
        found = enter(browser, "", size=SIZES["desk"], scheme="light")
        asked: list[str] = []
        wrong: list[str] = []
        found.on("request", lambda request: asked.append(request.url))
        found.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        found.on("pageerror", lambda error: wrong.append(str(error)))
        found.goto(address(access))
        found.wait_for_selector("h1")
        yield found
        found.context.close()
        own = {f"127.0.0.1:{access.port}", ""}
        assert {urlsplit(url).netloc for url in asked} <= own
        assert len(asked) > 5 and wrong == []


def test_a_person_finds_which_task_failed_why_on_which_node_and_reads_its_stderr(page: Page) -> None:
    """Without knowing anything: by what is seen and clicked, from the first page on."""
    page.get_by_role("link", name="Jobs", exact=True).click()
    row = page.get_by_role("row").filter(has_text="▲")  # the one job with failures
    expect(row).to_have_count(1)
    row.get_by_role("link").first.click()
    expect(page.locator("#failures")).to_contain_text("simulate-00042: exit code 3")
    page.locator("#failures").get_by_role("link", name="simulate-00042").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("simulate-00042")
    expect(page.locator("#why")).to_contain_text("exit code 3: the program's own code")
    expect(page.get_by_label("output", exact=True)).to_contain_text("the mesh has 17 open edges")
    page.get_by_role("link", name="tvm-0003").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("tvm-0003")
    expect(page.locator("main")).to_contain_text("batch-jobs connect tvm-0003 --pool default-1a2b")


def test_the_token_is_neither_in_the_address_nor_usable_again(page: Page, browser: Browser) -> None:
    assert "token" not in page.url
    page.reload()
    expect(page.get_by_role("heading", name="Pools")).to_be_visible()  # the session goes on
    other = browser.new_context().new_page()
    other.goto(page.url)
    expect(other.get_by_role("alert")).to_contain_text("open the dashboard with the address")
    expect(other.locator("main")).to_be_empty()
    other.context.close()


def test_tasks_are_filtered_searched_and_leafed_through(page: Page) -> None:
    show(page, "jobs/train-surrogate")
    rows = page.locator("section", has_text="Tasks").last.locator("tbody tr")
    expect(rows).to_have_count(100)
    page.get_by_role("button", name="next").click()
    expect(rows.first).to_contain_text("train-00100")
    page.get_by_role("link", name="waiting").click()
    expect(rows.first).to_contain_text("waiting")
    page.keyboard.press("/")
    page.keyboard.type("train-0239")
    expect(rows).to_have_count(10)
    assert "prefix=train-0239" in page.url


def test_the_map_is_read_with_the_keyboard(page: Page) -> None:
    cells = page.get_by_role("group").last.get_by_role("link")
    cells.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(cells.nth(2)).to_be_focused()
    name = cells.nth(2).get_attribute("aria-label") or ""
    assert "dedicated" in name and "running" in name
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(name.partition(":")[0])


def test_a_change_is_asked_about_and_told_in_the_verbs_words(page: Page) -> None:
    show(page, "jobs/simulate-wing")
    page.get_by_role("button", name="retry failed").click()
    page.get_by_role("dialog").get_by_role("button", name="no").click()
    expect(page.locator(".done")).to_have_count(0)
    page.get_by_role("button", name="retry failed").click()
    page.get_by_role("dialog").get_by_role("button", name="yes").click()
    expect(page.locator(".done")).to_contain_text("2 failed tasks")
    expect(page.locator(".done")).to_contain_text("simulate-wing-retry1")


def test_what_is_looked_at_stays_while_new_data_comes(page: Page) -> None:
    show(page, "jobs/simulate-wing/simulate-00042")
    summary = page.get_by_text("the task, as Batch has it")
    summary.click()
    summary.focus()
    with page.expect_response("**/api/jobs/simulate-wing/tasks/simulate-00042"):
        pass
    expect(page.locator("details")).to_have_attribute("open", "")
    expect(summary).to_be_focused()


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_every_page_passes_axe_and_fits_its_width(browser: Browser, _registry: None, size: str, scheme: str) -> None:
    axe = Axe()
    with served(busy_day(nodes=60, tasks=120).session, operate=True) as access:
        found = enter(browser, address(access), size=SIZES[size], scheme=scheme)
        for path in PAGES.values():
            show(found, path)
            wide = found.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, path
            violations = axe.run(found, options=RULES).response["violations"]
            assert [(one["id"], one["nodes"][0]["html"][:200]) for one in violations] == [], path
        found.context.close()


def test_a_script_in_ids_and_outputs_does_nothing(browser: Browser) -> None:
    from dataclasses import replace

    scene = busy_day(nodes=10, tasks=20)
    batch = scene.batch
    batch.files["simulate-wing", "simulate-00042", "stderr.txt"] = SCRIPT.encode()
    tasks = batch.task_states["simulate-wing"]
    tasks["simulate-00042"] = replace(tasks["simulate-00042"], node_id=f"<img src=x onerror=alert(1)>{SCRIPT}")
    batch.states["simulate-wing"] = replace(batch.states["simulate-wing"], terminate_reason=SCRIPT, family=SCRIPT)
    with served(scene.session) as access:
        found = enter(browser, "", size=SIZES["desk"], scheme="light")
        found.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
        found.goto(address(access))
        for path in ("jobs", "jobs/simulate-wing", "jobs/simulate-wing/simulate-00042"):
            show(found, path)
            assert found.evaluate("document.scripts.length") == 1
            assert found.evaluate("document.images.length") == 0
        expect(found.get_by_label("output", exact=True)).to_have_text(SCRIPT)
        found.context.close()


def test_a_page_of_another_site_neither_reads_nor_changes_nor_frames_it(page: Page) -> None:
    """The attacker's page is on another port of this machine, which is the nearest that a browser lets it come."""
    target = f"http://{urlsplit(page.url).netloc}"
    html = f"<!doctype html><iframe src='{target}/'></iframe><script src='{target}/static/main.js'></script>".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        other = page.context.new_page()  # with the cookie of the session
        other.goto(f"http://127.0.0.1:{server.server_port}/")
        tried = other.evaluate(
            """async (target) => {
                const found = {};
                for (const [name, options] of Object.entries({
                    read: {}, blind: {mode: 'no-cors'}, key: {headers: {'X-Dashboard-Key': 'x'}},
                    change: {method: 'POST', mode: 'no-cors', body: '{"job":"train-surrogate"}'},
                })) {
                    try {
                        const path = name === 'change' ? '/api/actions/cancel' : '/api/jobs';
                        const answer = await fetch(target + path, {credentials: 'include', ...options});
                        found[name] = answer.type === 'opaque' ? 'opaque' : await answer.text();
                    } catch (error) { found[name] = 'refused'; }
                }
                return found;
            }""",
            target,
        )
        assert set(tried.values()) <= {"refused", "opaque"}
        assert other.frames[1].url in ("chrome-error://chromewebdata/", "about:blank") or not other.frames[1].evaluate(
            "document.body && document.body.querySelector('#content')"
        )
        other.close()
        show(page, "jobs/train-surrogate")
        expect(page.locator("main .chip").first).to_have_text("active")


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_the_report_opens_from_a_file_and_passes_axe(browser: Browser, tmp_path: Path, size: str, scheme: str) -> None:
    found = made_up.reading(600)
    file = tmp_path / "report.html"
    file.write_text(report_page(found, compute(found.job, found.tasks, found.nodes, slots=2, now=START)))
    seen = enter(browser, "", size=SIZES[size], scheme=scheme)
    asked: list[str] = []
    wrong: list[str] = []
    seen.on("request", lambda request: asked.append(request.url))
    seen.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    seen.on("pageerror", lambda error: wrong.append(str(error)))
    seen.goto(file.as_uri())
    expect(seen.locator("#view")).to_contain_text("600 of 600 tasks")
    canvas = seen.locator("canvas")
    canvas.focus()
    seen.keyboard.press("+")
    expect(seen.locator("#view")).not_to_contain_text("600 of 600")
    seen.keyboard.press("0")
    box = canvas.bounding_box()
    assert box is not None
    seen.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    expect(seen.locator("#tip")).to_contain_text("tvm-")
    assert seen.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    violations = Axe().run(seen, options=RULES).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in violations] == []
    assert asked == [file.as_uri()] and wrong == []
    seen.context.close()
