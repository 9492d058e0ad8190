"""What no task can ever be given is told before anything is sent: words, variables, images, and the last row too."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from jobs.errors import JobFileError
from jobs.files.checks.limits import MOST_WORD
from jobs.files.expand.sources import SLUG_LENGTH, Slugs, expand
from jobs.files.load import load
from jobs.files.model.job import Task

HEAD = "job: {family: hello}\ntasks:\n"


def tasks(tmp_path: Path, text: str, rows: str = "") -> list[Task]:
    (tmp_path / "rows.csv").write_text(rows)
    path = tmp_path / "job.yaml"
    path.write_text(text)
    return list(expand(load(path), job_id="j", folder=tmp_path))


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("{id: a, shell: true, command: 'echo LONG'}", "tasks.list.0.command: 131076 bytes in one word"),
        ("{id: a, command: [check, LONG1]}", "tasks.list.0.command.1: 131072 bytes in one word"),
        ("{id: a, environment: {A: LONG}}", "tasks.list.0.environment.A: 131073 bytes, and Linux gives"),
        ("{id: a, command: [HALF, HALF, HALF, HALF, HALF, HALF, HALF]}", "bytes of command and environment, and Batch"),
        ("{id: a, image: Team/Tool}", "tasks.list.0.image: expected an image like registry.example/team/tool:1.2"),
        ("{id: a, image: 'a b'}", "tasks.list.0.image: expected an image like"),
        ("{id: a, image: 'tool:'}", "tasks.list.0.image: expected an image like"),
    ],
)
def test_a_task_that_can_never_run_is_told_with_its_line(tmp_path: Path, task: str, told: str) -> None:
    words = {"LONG1": "x" * (MOST_WORD + 1), "LONG": "x" * MOST_WORD, "HALF": "é" * 65_000}
    for name, word in words.items():
        task = task.replace(name, word)
    with pytest.raises(JobFileError) as caught:
        tasks(tmp_path, f"{HEAD}  list:\n    - {task}\n")
    assert caught.value.problems[0].startswith(f"{tmp_path}/job.yaml:4: ")
    assert told in caught.value.problems[0]


@pytest.mark.parametrize("image", ["debian:12", "r.example:5000/a/b-c_d:V1", "r.io/x@sha256:01", "localhost/x"])
def test_a_word_as_long_as_linux_takes_it_and_images_of_all_kinds_are_good(tmp_path: Path, image: str) -> None:
    word = "x" * MOST_WORD
    (task,) = tasks(tmp_path, f"{HEAD}  list: [{{id: a, image: '{image}', command: [check, {word}]}}]\n")
    assert (task.command[1], task.image) == (word, image)


@pytest.mark.parametrize("name", ["preparation", "release"])
def test_the_jobs_own_programs_are_looked_at_too(tmp_path: Path, name: str) -> None:
    text = "job:\n  family: hello\n  preparation: {command: [x]}\n"
    text = text.replace("  preparation: {command: [x]}\n", "") if name == "preparation" else text
    with pytest.raises(JobFileError, match=f"{name}.command.0: 131072 bytes"):
        tasks(tmp_path, f"{text}  {name}: {{command: [{'x' * 131_072}]}}\ntasks: {{list: [{{id: a}}]}}\n")


@pytest.mark.parametrize(
    ("cell", "told"),
    [("x" * 131_072, "command.1: task 't-1500': 131072 bytes in one word"), ("../x", "outputs.0.files")],
)
def test_a_bad_last_row_is_told_and_the_rows_before_it_are_not_kept(tmp_path: Path, cell: str, told: str) -> None:
    template = "template: {id: 't-{n}', command: [check, '{v}'], outputs: [{files: '../{v}'}]}"
    rows = "n,v\n" + "".join(f"{number},a\n" for number in range(1_500)) + f"1500,{cell}\n"
    (tmp_path / "rows.csv").write_text(rows)
    path = tmp_path / "job.yaml"
    path.write_text(f"{HEAD}  {template}\n  rows: {{file: rows.csv}}\n")
    file = load(path)
    tracemalloc.start()
    with pytest.raises(JobFileError) as caught:
        for _ in expand(file, job_id="j", folder=tmp_path):
            pass
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert caught.value.problems[0].startswith(f"{tmp_path}/rows.csv:1502: ")
    assert told in caught.value.problems[0]
    assert most < 4 << 20


NAMES = [
    "plain.csv", "a b.csv", "a#b.csv", "a?b.csv", "A?B.csv", "a-b-csv", "x%20y.csv", "ü.csv", "ö.csv",
    "日本", "中国", "-",
    "raw/sensor-station-north/2026/11/26/hour-17/measurement-0001.json",
    "raw/sensor-station-north/2026/11/26/hour-17/measurement-0002.json",
    "_" * 200, "x" * 48, "x" * 49,
]  # fmt: skip


def test_a_slug_is_a_part_of_an_id_for_every_blob_and_no_two_are_one() -> None:
    slugs = Slugs()
    found = [slugs.of(name) for name in NAMES]
    slugs.close()
    assert len({slug.lower() for slug in found}) == len(NAMES)
    assert all(1 <= len(slug) <= SLUG_LENGTH and slug.replace("-", "").replace("_", "").isalnum() for slug in found)
    assert all(slug.isascii() for slug in found)
    assert found[:2] == ["plain-csv", "a-b-csv"]


def test_the_slug_of_a_blob_is_the_same_in_each_listing() -> None:
    first, second = Slugs(), Slugs()
    assert [first.of(name) for name in NAMES] == [second.of(name) for name in NAMES]
    first.close()
    second.close()
