"""Job files: what they give, and how each mistake is told with file and line."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.errors import JobFileError, UsageError
from jobs.files.expand.sources import expand
from jobs.files.load import load
from jobs.files.model.job import Task
from jobs.files.schema import schema
from jobs.service.storage import Blob

SAMPLES = Path(__file__).parents[3] / "jobs" / "samples"
HEAD = "job:\n  family: hello\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    return path


def tasks(path: Path) -> list[Task]:
    return list(expand(load(path), job_id="hello-1", folder=path.parent))


@pytest.mark.parametrize(("name", "count"), [("hello.yaml", 5), ("sql-check.yaml", 4), ("steps.yaml", 3)])
def test_the_samples_are_good_job_files(name: str, count: int) -> None:
    assert len(tasks(SAMPLES / name)) == count


def test_a_sweep_gives_the_product_with_placeholders_filled(tmp_path: Path) -> None:
    text = """tasks:
  template:
    id: "load-{region}-{day}"
    command: [run, --region, "{region}", --index, "{index}", "{{literal}}"]
    environment: {JOB: "{job_id}"}
  sweep: {region: [eu, us], day: {range: [1, 5, 2]}}
"""
    found = tasks(write(tmp_path, HEAD + text))
    assert [task.id for task in found] == ["load-eu-1", "load-eu-3", "load-eu-5", "load-us-1", "load-us-3", "load-us-5"]
    assert found[4].command == ["run", "--region", "us", "--index", "4", "{literal}"]
    assert found[0].environment == {"JOB": "hello-1"}


@pytest.mark.parametrize(
    ("name", "rows"),
    [("items.csv", "name,size\na,1\nb,2\n"), ("items.jsonl", '{"name": "a", "size": 1}\n\n{"name": "b", "size": 2}\n')],
)
def test_rows_of_a_file_are_tasks(tmp_path: Path, name: str, rows: str) -> None:
    (tmp_path / name).write_text(rows)
    text = f'tasks:\n  template: {{id: "t-{{name}}", command: [x, "{{size}}"]}}\n  rows: {{file: {name}}}\n'
    assert [(task.id, task.command) for task in tasks(write(tmp_path, HEAD + text))] == [
        ("t-a", ["x", "1"]),
        ("t-b", ["x", "2"]),
    ]


def test_values_that_go_together_are_no_product(tmp_path: Path) -> None:
    text = """tasks:
  template: {id: "{city}-{day}", command: ["{region}"]}
  sweep:
    zip: {region: [eu, us], city: [paris, boston]}
    day: {dates: [2026-02-27, 2026-03-01]}
"""
    found = tasks(write(tmp_path, HEAD + text))
    assert [task.id for task in found] == [
        "paris-2026-02-27", "paris-2026-02-28", "paris-2026-03-01",
        "boston-2026-02-27", "boston-2026-02-28", "boston-2026-03-01",
    ]  # fmt: skip
    assert found[-1].command == ["us"]


def test_dates_may_go_by_weeks_and_stand_in_lists(tmp_path: Path) -> None:
    text = "tasks:\n  template: {id: '{a}-{b}'}\n  sweep: {a: {dates: [2026-01-01, 2026-01-20, 7]}, b: [2026-05-01]}\n"
    assert [task.id for task in tasks(write(tmp_path, HEAD + text))] == [
        "2026-01-01-2026-05-01", "2026-01-08-2026-05-01", "2026-01-15-2026-05-01",
    ]  # fmt: skip


def test_each_blob_is_a_task(tmp_path: Path) -> None:
    text = "tasks:\n  template: {id: 'do-{slug}', command: ['{url}', '{stem}', '{size}']}\n"
    path = write(tmp_path, HEAD + text + "  blobs: {container: job-in, prefix: in/}\n")
    asked = []

    def list_blobs(container: str, prefix: str) -> tuple[str, list[Blob]]:
        asked.append((container, prefix))
        return "https://s/job-in", [Blob("in/a b.csv", 3)]

    found = list(expand(load(path), job_id="j", folder=tmp_path, list_blobs=list_blobs))
    assert asked == [("job-in", "in/")]
    assert [(task.id, task.command) for task in found] == [
        ("do-in-a-b-csv", ["https://s/job-in/in/a%20b.csv", "a b", "3"])
    ]
    with pytest.raises(JobFileError, match="Use --stack"):
        tasks(path)


def test_a_generator_beside_the_file_gives_tasks(tmp_path: Path) -> None:
    (tmp_path / "rows_one.py").write_text("def rows():\n    for n in range(2):\n        yield {'n': n}\n")
    text = "tasks:\n  template: {id: 't-{n}'}\n  python: 'rows_one:rows'\n"
    assert [task.id for task in tasks(write(tmp_path, HEAD + text))] == ["t-0", "t-1"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\n", "has no function 'rows'"),
        ("def rows():\n    yield {'n': None}\n", "item 0: expected a mapping of texts and numbers"),
        ("def rows():\n    yield {'m': 1}\n", "unknown placeholder {n}"),
        ("def rows():\n    yield {'n': 1}\n    raise ValueError('no more')\n", r"\.py:3: .*ValueError: no more"),
        ("import nowhere\n", "ModuleNotFoundError"),
        ("def rows():\n    yield {'n': 'Endpoint=x;AccountKey=abc'}\n", "looks like a secret"),
    ],
)
def test_mistakes_of_a_generator_are_told(tmp_path: Path, code: str, said: str) -> None:
    name = f"rows_{abs(hash(code))}"
    (tmp_path / f"{name}.py").write_text(code)
    path = write(tmp_path, HEAD + f"tasks:\n  template: {{id: 't-{{n}}'}}\n  python: '{name}:rows'\n")
    with pytest.raises(JobFileError, match=said):
        tasks(path)


@pytest.mark.parametrize("name", ["TOKEN_LIMIT", "PASSWORD_FILE", "MONKEY", "KEY"])
def test_a_name_that_only_resembles_a_secret_is_taken(tmp_path: Path, name: str) -> None:
    load(write(tmp_path, HEAD + f"  environment: {{{name}: x}}\ntasks: {{list: [{{id: a}}]}}\n"))


def test_the_schema_for_editors_is_the_models(tmp_path: Path) -> None:
    published = (SAMPLES.parents[1] / "docs" / "jobfile.schema.json").read_text()
    assert json.loads(published) == schema(), "run: python -m jobs.files.schema > docs/jobfile.schema.json"


def examples() -> list[str]:
    text = (SAMPLES.parents[1] / "docs" / "jobfile.md").read_text()
    return re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("text", examples())
def test_the_documents_examples_are_good_job_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "items.csv").write_text("id,size\na,1\n")
    (tmp_path / "steps.csv").write_text("id,size,after\na,1,\nb,1,\nc,2,a b\n")
    (tmp_path / "work.py").write_text("def items():\n    yield {'id': 'a', 'size': 1}\n")
    file = load(write(tmp_path, text))
    listing = ("https://s/c", [Blob("in/a.csv", 1)])
    assert list(expand(file, job_id="j", folder=tmp_path, list_blobs=lambda container, prefix: listing))


def test_times_are_read_with_their_units(tmp_path: Path) -> None:
    file = load(write(tmp_path, HEAD + "  max_wall_clock: 1h30m\ntasks:\n  list: [{id: a}]\n"))
    assert file.job.max_wall_clock == timedelta(minutes=90)


def test_braces_in_a_list_are_taken_as_they_are(tmp_path: Path) -> None:
    assert tasks(write(tmp_path, HEAD + "tasks:\n  list: [{id: a, command: ['{x}']}]\n"))[0].command == ["{x}"]


def test_every_mistake_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(JobFileError) as caught:
        load(write(tmp_path, "job: {famly: x}\ntasks: {list: [{id: a, slots: 0}]}\n"))
    assert len(caught.value.problems) == 3


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path / "no.yaml")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("name\n", "gives no tasks"),
        ("name\na\nA\n", "is also the id of task 0"),
        ("name\na b\n", "expected 1 to 64 letters"),
        ("name\na,b\n", "expected 1 columns"),
        ("other\na\n", "unknown placeholder {name}"),
    ],
)
def test_mistakes_in_rows_are_told_before_anything_is_sent(tmp_path: Path, rows: str, said: str) -> None:
    (tmp_path / "items.csv").write_text(rows)
    path = write(tmp_path, HEAD + 'tasks:\n  template: {id: "{name}"}\n  rows: {file: items.csv}\n')
    with pytest.raises(JobFileError, match=said):
        tasks(path)


def test_a_rows_file_that_is_not_there_is_told_by_name(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + 'tasks:\n  template: {id: "{name}"}\n  rows: {file: no.csv}\n')
    with pytest.raises(JobFileError, match=r"no\.csv"):
        tasks(path)
