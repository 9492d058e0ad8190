"""What stands in a job file reaches the task as it stands: numbers, words, dates; keys, aliases and limits of YAML."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from jobs.errors import JobFileError
from jobs.files.expand.sources import expand
from jobs.files.load import load
from jobs.files.model.job import Task

HEAD = "job:\n  family: hello\n"
AS_WRITTEN = [
    "02142", "007", "010", "22:30", "12:30:45", "190:20:30",
    "1.10", "1.0", ".5", "5.", "+1", "-0", "1_000", "0x1F",
    "0b11", "0o17", "1e3", "1E-3", "1e400", ".inf", "-.Inf", ".nan",
    "true", "True", "yes", "No", "on", "OFF", "y", "null",
    "~", "2026-11-26", "2026-11-26T12:00:00Z", "2026-1-1 10:00:00", "123456789012345678901234567890",
    "=", "<<",
]  # fmt: skip


def write(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "job.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def tasks(path: Path) -> list[Task]:
    return list(expand(load(path), job_id="j-1", folder=path.parent))


def refusal(path: Path) -> str:
    with pytest.raises(JobFileError) as caught:
        tasks(path)
    return caught.value.problems[0].removeprefix(f"{path}:")


@pytest.mark.parametrize("value", AS_WRITTEN)
def test_a_value_without_quotes_reaches_every_text_place_as_it_stands(tmp_path: Path, value: str) -> None:
    content = f"""job: {{family: hello, environment: {{A: {value}}}}}
tasks:
  template:
    id: "x-{{index}}"
    command: [check, {value}, "{{v}}"]
    environment: {{B: {value}}}
  sweep: {{v: [{value}]}}
"""
    path = write(tmp_path, content)
    (task,) = tasks(path)
    assert task.command == ["check", value, value]
    assert task.environment == {"B": value}
    assert load(path).job.environment == {"A": value}


@pytest.mark.parametrize("value", ["007", "1_000", "0x1F", "1e3", "true", "null", "2026-11-26", "00"])
def test_an_id_without_quotes_is_taken_as_it_stands(tmp_path: Path, value: str) -> None:
    content = f"{HEAD}tasks:\n  list:\n    - {{id: {value}}}\n    - {{id: last, depends_on: [{value}]}}\n"
    found = tasks(write(tmp_path, content))
    assert (found[0].id, found[1].depends_on) == (value, [value])


def test_values_of_a_sweep_keep_their_zeros_and_a_range_its_width(tmp_path: Path) -> None:
    content = """tasks:
  template: {id: "{month}-{n}-{z}"}
  sweep: {month: [01, 02, 09, 10], n: {range: [008, 012, 2]}, z: {range: [00, 10, 10]}}
"""
    ids = [task.id for task in tasks(write(tmp_path, HEAD + content))]
    assert ids[:6] == ["01-008-00", "01-008-10", "01-010-00", "01-010-10", "01-012-00", "01-012-10"]
    assert ids[-1] == "10-012-10"


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ("[01, 100]", "expected both equally wide, like [001, 100], got [01, 100]"),
        ("[1, 1e3]", "expected a whole number, got 1e3"),
        ("[1, 1.0]", "expected a whole number, got 1.0"),
        ("[0x1, 0xF]", "expected a whole number, got '0x1'"),
        ("[1, 99999999999999]", "a sweep gives at most 10000000"),
        (f"[1, {'9' * 5000}]", "expected a whole number"),
    ],
)
def test_a_range_that_means_nothing_clear_is_refused(tmp_path: Path, ends: str, told: str) -> None:
    path = write(tmp_path, f"{HEAD}tasks:\n  template: {{id: 't-{{n}}'}}\n  sweep: {{n: {{range: {ends}}}}}\n")
    assert told in refusal(path)


def test_a_large_sweep_is_a_stream(tmp_path: Path) -> None:
    content = "tasks:\n  template: {id: 't-{n}'}\n  sweep: {n: {range: [1, 9000000]}}\n"
    path = write(tmp_path, HEAD + content)
    tracemalloc.start()
    stream = expand(load(path), job_id="j", folder=tmp_path)
    assert next(stream).id == "t-1"
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 32 << 20


def test_a_users_own_zip_is_a_placeholder_like_others(tmp_path: Path) -> None:
    content = "tasks:\n  template: {id: 'z-{zip}'}\n  sweep: {zip: [02142, 10115]}\n"
    assert [task.id for task in tasks(write(tmp_path, HEAD + content))] == ["z-02142", "z-10115"]


def test_a_placeholder_under_zip_and_beside_it_is_refused(tmp_path: Path) -> None:
    content = "tasks:\n  template: {id: '{a}-{b}'}\n  sweep: {zip: {a: [1], b: [2]}, a: [3]}\n"
    assert "sweep.zip.a is there twice: also as sweep.a; rename one" in refusal(write(tmp_path, HEAD + content))


@pytest.mark.parametrize("name", ["index", "job_id", "family", "time", "name", "url", "slug", "zip", "range"])
@pytest.mark.parametrize("source", ["sweep", "rows", "python"])
def test_a_users_column_wins_over_a_name_of_the_job_files_own(tmp_path: Path, source: str, name: str) -> None:
    (tmp_path / "rows.csv").write_text(f"{name}\nmine\n")
    (tmp_path / "own_columns.py").write_text(f"def rows():\n    yield {{{name!r}: 'mine'}}\n")
    given = {
        "sweep": f"sweep: {{{name}: [mine]}}",
        "rows": "rows: {file: rows.csv}",
        "python": 'python: "own_columns:rows"',
    }
    content = f"{HEAD}tasks:\n  template: {{id: 't-{{{name}}}'}}\n  {given[source]}\n"
    assert [task.id for task in tasks(write(tmp_path, content))] == ["t-mine"]


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("max_retries: 01", "expected a whole number, got 01"),
        ("max_retries: 1.0", "expected a whole number, got 1.0"),
        ("max_retries: '1'", "expected a whole number, got '1'"),
        ("slots: 0x2", "expected a whole number, got '0x2'"),
        ("slots: true", "expected a whole number, got 'true'"),
        ("slots: " + "9" * 5000, "expected a whole number"),
        ("shell: 1", "expected true or false, got 1"),
        ("max_wall_clock: 22:30", "expected a time like 90s, 30m, 2h or 1d12h, got '22:30'"),
        ("exit_codes: [{codes: [065], dependency_action: satisfy}]", "expected an exit code from 0 to 255"),
    ],
)
def test_a_place_for_a_number_or_truth_value_refuses_what_is_none(tmp_path: Path, key: str, told: str) -> None:
    path = write(tmp_path, f"{HEAD}tasks:\n  list:\n    - id: a\n      {key}\n")
    assert told in refusal(path)
    assert refusal(path).startswith("6: ")


def test_places_for_numbers_and_truth_values_take_them_and_null_leaves_a_key_out(tmp_path: Path) -> None:
    content = """job: {family: hello, priority: -5, max_parallel: null}
tasks:
  list:
    - {id: a, max_retries: 2, slots: 3, shell: true, command: date, entrypoint: ~, retention: , exit_codes: [
        {codes: [65, 70-79], dependency_action: satisfy}]}
"""
    file = load(write(tmp_path, content))
    (task,) = file.tasks.definitions
    assert (file.job.priority, file.job.max_parallel) == (-5, None)
    assert (task.max_retries, task.slots, task.shell, task.entrypoint) == (2, 3, True, None)
    assert task.exit_codes[0].codes == [(65, 65), (70, 79)]


def test_merge_keys_and_aliases_are_written_out_and_a_mappings_own_key_wins(tmp_path: Path) -> None:
    content = """job: {family: hello}
tasks:
  list:
    - &base {id: a, command: &words [check, 010], environment: {A: 1}}
    - {<<: *base, id: b}
    - {<<: [{id: x, slots: 2}, *base], id: c, command: *words}
"""
    a, b, c = tasks(write(tmp_path, content))
    assert (b.id, b.command, b.environment, b.slots) == ("b", a.command, {"A": "1"}, 1)
    assert (c.id, c.command, c.slots) == ("c", ["check", "010"], 2)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("job: {family: a}\nx: 1\njob: {family: b}\n", "3: 'job' is there twice, first in line 1; remove one"),
        ("job: {family: a, 'family': b}\n", "1: 'family' is there twice, first in line 1; remove one"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n  <<: *x\n", "4: '<<' is there twice, first in line 3"),
        ("a:\n  <<: 5\n", "2: '<<' merges mappings"),
        ("? [a, b]\n: c\n", "1: a key is a list or a mapping"),
        ("a: &x\n  b: *x\n", "2: an alias refers to itself; write the values out"),
        ("a: *x\n", "1: not YAML: found undefined alias 'x'"),
        ("a: !!python/object:os.system x\n", "1: the tag"),
        ("a: !mine x\n", "1: the tag '!mine' is not taken; write the value without it"),
        ("a: x\n---\nb: y\n", "2: not YAML"),
        ('a: "\\0"\n', "1: a NUL is in it"),
        ('\na: "\\ud800"\n', "2: half of a surrogate pair (U+D800) is in it"),
        ("\na: b\x85c\n", "2: YAML takes U+0085 for the end of a line; write it as \\x85 inside double quotes"),
        ("\n\na: b\u2028c\n", "3: YAML takes U+2028 for the end of a line"),
        ("\na: \x1b[31m\n", "2: YAML takes no control character U+001B"),
        (b"\na: caf\xe9\n", "2: byte 0xe9 is not UTF-8; save it as UTF-8"),
        ("a: x".encode("utf-32"), "1: the file is UTF-32"),
        ("\r\n\r\njob: {family: a, famly: b}\r\ntasks: {list: [{id: a}]}", "3: job.famly: unknown key"),
        (b"", "1: the file is empty"),
    ],
)
def test_what_yaml_may_hold_and_a_job_file_not_is_told_with_its_line(
    tmp_path: Path, content: str | bytes, told: str
) -> None:
    assert refusal(write(tmp_path, content)).startswith(told)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_job_file_is_read_however_it_was_saved(tmp_path: Path, encoding: str, end: str) -> None:
    content = (HEAD + "  environment: {A: café}\ntasks: {list: [{id: a}]}\n").replace("\n", end)
    assert load(write(tmp_path, content.encode(encoding))).job.environment == {"A": "café"}


def test_a_surrogate_pair_as_json_writes_it_is_its_character(tmp_path: Path) -> None:
    content = HEAD + '  environment: {A: "\\ud83d\\ude00"}\ntasks: {list: [{id: a}]}\n'
    assert load(write(tmp_path, content)).job.environment == {"A": "\U0001f600"}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 12)
)
LONG_TEXT = f'a: &a "{"x" * 50_000}"\nb: [{", ".join(["*a"] * 5000)}]\n'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (BOMB, "aliases make more than 100000 values of it"),
        (LONG_TEXT, "aliases make more than 100000 values of it"),
        (BOMB.replace("[", "{k: [").replace("]", "]}"), "aliases make more than 100000 values of it"),
        ("a: " + "[" * 200_000, "nested deeper than 100 levels"),
        ("a: " + "{b: " * 50_000, "nested deeper than 100 levels"),
        ("\n".join(" " * depth + "a:" for depth in range(1000)), "nested deeper than 100 levels"),
        ("- " * 5000 + "x", "nested deeper than 100 levels"),
        (
            "job: {family: hello, priority: " + "9" * 5_000_000 + "}\ntasks: {list: [{id: a}]}\n",
            "1: a word of more than 200000 characters",
        ),
        (HEAD + "  priority: " + "9" * 30_000 + "\ntasks: {list: [{id: a}]}\n", "expected a whole number"),
        (b"#" * (9 << 20), "more than 8 MiB"),
    ],
)
def test_a_file_made_to_grow_is_refused_within_a_second_and_100_mb(
    tmp_path: Path, content: str | bytes, told: str
) -> None:
    path = write(tmp_path, content)
    before = time.process_time()
    assert told in refusal(path)
    assert time.process_time() - before < 1
    tracemalloc.start()
    refusal(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 100 << 20


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("1.10", "1.1"),
        ("1e22", "1e+22"),
        ("10 ** 40", "1" + "0" * 40),
        ("Decimal('1.10')", "1.10"),
        ("date(2026, 1, 31)", "2026-01-31"),
        ("datetime(2026, 1, 31, 12, 30)", "2026-01-31T12:30:00"),
        ("time(22, 30)", "22:30:00"),
        ("Path('a/b')", "a/b"),
        ("Colour.RED", "red"),
        ("Level.HIGH", "3"),
    ],
)
def test_a_generators_value_has_one_text(tmp_path: Path, code: str, value: str) -> None:
    imports = (
        "from datetime import date, datetime, time\nfrom decimal import Decimal\nfrom enum import Enum, IntEnum\n"
        "from pathlib import Path\nclass Colour(str, Enum):\n    RED = 'red'\nclass Level(IntEnum):\n    HIGH = 3\n"
    )
    (tmp_path / "work.py").write_text(f"{imports}def rows():\n    yield {{'v': {code}}}\n")
    content = "tasks:\n  template: {id: 'a', command: ['{v}']}\n  python: 'work:rows'\n"
    assert tasks(write(tmp_path, HEAD + content))[0].command == [value]


@pytest.mark.parametrize(
    "code",
    [
        "None",
        "True",
        "float('nan')",
        "float('inf')",
        "Decimal('NaN')",
        "b'x'",
        "[1]",
        "10 ** 5000",
        "'\\ud800'",
        "'\\0'",
    ],
)
def test_a_generators_value_that_has_no_text_is_refused_with_its_column(tmp_path: Path, code: str) -> None:
    (tmp_path / "work.py").write_text(
        f"from decimal import Decimal\ndef rows():\n    yield {{'v': 1}}\n    yield {{'v': {code}}}\n"
    )
    path = write(tmp_path, HEAD + "tasks:\n  template: {id: 'a-{index}'}\n  python: 'work:rows'\n")
    with pytest.raises(JobFileError, match=r"work:rows: item 1: .*'v'"):
        tasks(path)


def test_generators_of_one_name_beside_two_files_are_two(tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "work.py").write_text(f"def rows():\n    yield {{'v': {name!r}}}\n")
        path = write(folder, HEAD + "tasks:\n  template: {id: '{v}'}\n  python: 'work:rows'\n")
        found += [task.id for task in tasks(path)]
    assert found == ["one", "two"]


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("json", "def rows():\n    yield {}\n", "'json' is a module of Python itself; rename"),
        ("ends", "import sys\ndef rows():\n    yield {'a': 1}\n    sys.exit(0)\n", r"ends\.py:4: .*SystemExit"),
        ("keys", "def rows():\n    yield {1: 'a', '1': 'b'}\n", "expected a mapping of texts and numbers"),
    ],
)
def test_a_generator_that_python_would_misread_is_told(tmp_path: Path, name: str, code: str, told: str) -> None:
    (tmp_path / f"{name}.py").write_text(code)
    path = write(tmp_path, HEAD + f"tasks:\n  template: {{id: 'a-{{index}}'}}\n  python: '{name}:rows'\n")
    with pytest.raises(JobFileError, match=told):
        tasks(path)
