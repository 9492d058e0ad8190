"""The report as one file: whole, safe, small enough, and written whole or not at all."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from jobs.command.parser import parse
from jobs.errors import UsageError
from jobs.exits import Exit
from jobs.report.figures import compute
from jobs.report.page import page, timeline
from jobs.report.read import Reading
from tests.jobs.dashboard.scene import furnish
from tests.jobs.fakes import Stage, stage
from tests.jobs.report.made_up import START, reading

SCRIPT = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'\u202e"


def made(found: Reading, **more: object) -> str:
    figures = compute(found.job, found.tasks, found.nodes, slots=found.slots, now=START)
    return page(found, figures, **more)  # type: ignore[arg-type]


class Elements(HTMLParser):
    """What a browser makes of it, as far as it matters here."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)


def test_it_needs_no_other_file_and_no_other_host() -> None:
    elements = Elements(made(reading(60)))
    assert len(elements.found) > 100
    for tag, attributes in elements.found:
        assert tag not in ("link", "img", "iframe", "object", "base"), tag
        assert "src" not in attributes
        if tag == "a":
            assert str(attributes["href"]).startswith("https://account.blob.core.windows.net/job-simulate/")


def test_its_policy_admits_its_own_script_and_style_only() -> None:
    text = made(reading(6))
    elements = Elements(text)
    policy = next(
        a["content"] for tag, a in elements.found if tag == "meta" and "Content-Security-Policy" in a.values()
    )
    for tag in ("style", "script"):
        body = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)[-1]
        assert f"'sha256-{base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()}'" in str(policy)
    assert str(policy).startswith("default-src 'none'") and "unsafe" not in str(policy)
    assert not [
        attributes
        for _, attributes in elements.found
        if "style" in attributes or any(n.startswith("on") for n in attributes)
    ]


def test_texts_from_outside_are_texts() -> None:
    found = reading(6)
    bad = replace(found.tasks[0], id=SCRIPT, node_id=SCRIPT, image=SCRIPT)
    hostile = replace(
        found, tasks=[bad, *found.tasks[1:]], stack=SCRIPT, definition={"x": SCRIPT}, first={"id": SCRIPT},
        job=replace(found.job, id=SCRIPT, pool_id=SCRIPT, terminate_reason=SCRIPT), blobs=f"https://x/{SCRIPT}",
    )  # fmt: skip
    text = made(hostile, job_file=(SCRIPT, SCRIPT))
    elements = Elements(text)
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert "img" not in [tag for tag, _ in elements.found]
    assert "\u202e" not in text
    data = json.loads(next(t for t in elements.texts["script"] if t.startswith("{")))
    assert SCRIPT.replace("\u202e", "\\u202e") in data["ids"]


def test_the_picture_has_every_task_that_ran_once() -> None:
    found = reading(600)
    figures = compute(found.job, found.tasks, found.nodes, slots=2, now=START)
    data = timeline(found.tasks, figures)
    assert sorted(data["ids"]) == sorted(task.id for task in found.tasks)
    assert {len(data[name]) for name in ("ids", "node", "start", "took", "result")} == {600}
    assert data["result"].count("f") == figures.failed
    assert list(zip(data["node"], data["start"], strict=True)) == sorted(zip(data["node"], data["start"], strict=True))
    assert min(data["start"]) == 0


def test_sixty_thousand_tasks_are_a_few_megabytes() -> None:
    assert 1e6 < len(made(reading(60_000)).encode()) < 4e6


def test_a_job_that_did_not_begin_has_a_report() -> None:
    found = reading(3)
    none = replace(
        found, tasks=[replace(t, state="active", started=None, ended=None, node_id=None) for t in found.tasks]
    )
    assert "No task has begun on a node" in made(none)
    assert "No task has begun on a node" in made(replace(found, tasks=[], first=None))


@pytest.fixture
def scene() -> Stage:
    found = stage()
    furnish(found)
    return found


def run(scene: Stage, *words: str) -> Exit:
    arguments = parse(["report", *words])
    return arguments.run(arguments, scene.session)


def test_report_writes_the_file_and_says_so(scene: Stage, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("job: {family: hello}  # mine\n")
    target = tmp_path / "r.html"
    target.write_text("an older one")
    assert run(scene, "sim", "--html", str(target), "--job-file", str(tmp_path / "job.yaml")) == Exit.TASKS_FAILED
    text = target.read_text()
    assert (
        "step-3" in text
        and "# mine" in text
        and "docker-worker@sha256:0123" in text
        and "account.westeurope" not in scene.out.getvalue()
    )
    assert f"{target}: 6 tasks" in scene.err.getvalue()
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--job-file", "{0}/job.yaml"), "give both"),
        (("--html", "{0}"), "is a folder"),
        (("--html", "{0}/r.html", "--job-file", "{0}/none.yaml"), "none.yaml"),
    ],
)
def test_report_refuses_before_it_reads_the_job(scene: Stage, tmp_path: Path, words: tuple[str, ...], why: str) -> None:
    scene.batch.task_records = lambda job_id: pytest.fail("the job was read")  # type: ignore[method-assign]
    with pytest.raises((UsageError, OSError), match=why):
        run(scene, "sim", *(word.format(tmp_path) for word in words))


def test_the_figures_alone_as_text_and_as_json(tmp_path: Path) -> None:
    scene = stage()
    furnish(scene)
    assert run(scene, "sim", "--figures") == Exit.TASKS_FAILED
    assert "6 tasks: 4 succeeded, 1 failed, 1 running, 0 waiting" in scene.out.getvalue()
    assert "step 3 began" not in scene.out.getvalue()
    scene = stage(as_json=True)
    furnish(scene)
    run(scene, "sim", "--figures")
    [line] = scene.out.getvalue().splitlines()
    assert json.loads(line)["failed"] == 1


def test_the_figures_follow_the_outputs(scene: Stage) -> None:
    run(scene, "sim")
    text = scene.out.getvalue()
    assert text.index("step 3 began") < text.index("6 tasks: 4 succeeded")


def test_of_a_large_job_the_outputs_of_failed_tasks_are_shown() -> None:
    scene = stage()
    furnish(scene, tasks=300)
    assert run(scene, "sim") == Exit.TASKS_FAILED
    text = scene.out.getvalue()
    assert "step 3 began" in text and "step 4 began" not in text and "300 tasks:" in text
    assert "of 300 tasks 1 that failed are shown" in scene.err.getvalue()
