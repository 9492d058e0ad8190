"""Job files: what they give, and how each mistake is told with file and line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from jobs.errors import JobFileError, UsageError
from jobs.jobfile import Task, expand, load

SAMPLES = Path(__file__).parents[2] / "jobs" / "samples"
HEAD = "job:\n  family: hello\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    return path


def tasks(path: Path) -> list[Task]:
    return list(expand(load(path), job_id="hello-1", folder=path.parent))


@pytest.mark.parametrize(("name", "count"), [("hello.yaml", 5), ("sql-check.yaml", 4)])
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


def test_times_are_read_with_their_units(tmp_path: Path) -> None:
    file = load(write(tmp_path, HEAD + "  max_wall_clock: 1h30m\ntasks:\n  list: [{id: a}]\n"))
    assert file.job.max_wall_clock == timedelta(minutes=90)


def test_braces_in_a_list_are_taken_as_they_are(tmp_path: Path) -> None:
    assert tasks(write(tmp_path, HEAD + "tasks:\n  list: [{id: a, command: ['{x}']}]\n"))[0].command == ["{x}"]


MISTAKES = {
    "unknown key": ("  famly: x\ntasks: {list: [{id: a}]}\n", 3, "job.famly: unknown key; did you mean 'family'?"),
    "unknown key of a task": ("tasks:\n  list:\n    - id: a\n      comand: [x]\n", 6, "did you mean 'command'?"),
    "unknown key without a near one": ("zebra: 1\ntasks: {list: [{id: a}]}\n", 3, "known here: job, tasks"),
    "no tasks": ("", 1, "tasks: is missing"),
    "no source": ("tasks: {}\n", 3, "expected exactly one of list, sweep, rows, got none"),
    "two sources": ("tasks:\n  list: [{id: a}]\n  rows: {file: a.csv}\n", 3, "got list, rows"),
    "a source that is not there yet": ("tasks:\n  blobs: {container: c}\n", 3, "`blobs` is not there yet"),
    "a list with a template": ("tasks:\n  template: {id: a}\n  list: [{id: a}]\n", 3, "leave `template` out"),
    "a sweep without a template": ("tasks:\n  sweep: {a: [1]}\n", 3, "`sweep` needs a `template`"),
    "an empty list": ("tasks:\n  list: []\n", 4, "tasks.list"),
    "an empty sweep value": ("tasks:\n  template: {id: '{a}'}\n  sweep: {a: []}\n", 3, "sweep.a has no values"),
    "a time without a unit": ("  max_wall_clock: 30\ntasks: {list: [{id: a}]}\n", 3, "expected a time like 90s"),
    "a zero time": ("  max_wall_clock: 0s\ntasks: {list: [{id: a}]}\n", 3, "above zero"),
    "too many retries": ("  max_retries: 1000\ntasks: {list: [{id: a}]}\n", 3, "got 1000"),
    "retries as text": ("  max_retries: many\ntasks: {list: [{id: a}]}\n", 3, "got 'many'"),
    "a boolean as text": ("  environment: {A: yes}\ntasks: {list: [{id: a}]}\n", 3, "put it in quotes"),
    "a bad variable name": ("  environment: {A-B: x}\ntasks: {list: [{id: a}]}\n", 3, "job.environment.A-B"),
    "text without a shell": ("tasks:\n  list:\n    - id: a\n      command: date\n", 5, "add `shell: true`"),
    "&& without a shell": (
        "tasks:\n  list:\n    - id: a\n      command: [date, '&&', hostname]\n",
        5,
        "'&&' is for a shell",
    ),
    "a list with a shell": (
        "tasks:\n  list:\n    - {id: a, shell: true, command: [date]}\n",
        5,
        "`command` is one text",
    ),
    "shell and entrypoint": (
        "tasks:\n  list:\n    - {id: a, shell: true, command: date, entrypoint: x}\n",
        5,
        "leave one of the two out",
    ),
    "an unknown condition": ("tasks:\n  list:\n    - {id: a, outputs: [{files: x, when: never}]}\n", 5, "got 'never'"),
    "zero slots": ("tasks:\n  list:\n    - {id: a, slots: 0}\n", 5, "got 0"),
    "a key twice": ("tasks: {list: [{id: a}]}\ntasks: {}\n", 4, "'tasks' is there twice, first in line 3"),
    "not YAML": ("tasks: [\n", 4, "not YAML"),
    "an unknown placeholder": (
        "tasks:\n  template:\n    id: 'x-{b}'\n  sweep: {a: [1]}\n",
        5,
        "unknown placeholder {b}",
    ),
    "a placeholder with a format": (
        "tasks:\n  template:\n    id: '{a:03}'\n  sweep: {a: [1]}\n",
        5,
        "expected placeholders",
    ),
    "a lone brace": ("tasks:\n  template:\n    id: 'x-{a'\n  sweep: {a: [1]}\n", 5, "open or closed alone"),
    "equal ids in a sweep": ("tasks:\n  template:\n    id: 'x'\n  sweep: {a: [1, 2]}\n", 5, "same id: put {a}"),
    "a range that goes down": ("tasks:\n  template:\n    id: '{a}'\n  sweep: {a: {range: [3, 1]}}\n", 6, "going up"),
    "an unknown placeholder of the job's id": (
        "  id: '{famly}'\ntasks: {list: [{id: a}]}\n",
        3,
        "known here: family, time",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_file_and_line(tmp_path: Path, name: str) -> None:
    text, line, said = MISTAKES[name]
    path = write(tmp_path, HEAD + text)
    with pytest.raises(JobFileError) as caught:
        load(path)
    told = "\n".join(caught.value.problems)
    assert said in told
    assert any(problem.startswith(f"{path}:{line}: ") and said in problem for problem in caught.value.problems), told


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
