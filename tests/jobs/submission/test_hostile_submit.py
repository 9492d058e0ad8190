"""`python -m jobs submit` among services, disks and displays that fail: never an end that lies, nothing sent twice.

After every run: accepted + refused + unsent = N in all, and exit 0 only if the job has all tasks and ends by itself.
A few seeds run every time; `make hostile` runs more (HOSTILE_SEEDS).
"""

from __future__ import annotations

import ast
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jobs.exits import Exit
from tests.jobs.submission.hostile import Mood, Service
from tests.jobs.submission.submitting import COUNT, FIRST, IMPATIENT, MANY, SEEDS, Terminal, until

pytestmark = pytest.mark.thorough

GO_ON = ("big.yaml", "--yes", "--resume")


def is_complete(service: Service) -> bool:
    """Every task once, and the job ends by itself."""
    assert service.job is not None
    done = len(service.tasks) == len(service.created) == COUNT
    return done and service.job["onAllTasksComplete"] == "terminatejob"


def check_end(service: Service, code: int) -> None:
    assert (code == Exit.OK) == is_complete(service)
    assert code != Exit.TASKS_FAILED


# The display is never part of the work.


@pytest.mark.parametrize("display", ["left", "full", "closed", "unread"])
def test_what_happens_to_the_display_has_no_effect_on_the_work(
    terminal: Terminal, service: Service, display: str, seed: int
) -> None:
    service.mood = Mood(most_tasks=random.Random(seed).choice((7, 20, 50)))
    code = submit_with(display, terminal)
    assert (code, is_complete(service)) == (Exit.OK, True)
    assert not (terminal.folder / ".jobs" / "big.checkpoint").exists()


@pytest.mark.parametrize("display", ["left", "full", "closed", "unread"])
def test_what_happens_to_the_display_has_no_effect_on_a_bad_end(
    terminal: Terminal, service: Service, display: str, seed: int
) -> None:
    """The last words, the error and how to go on, wait for nobody either."""
    service.mood = Mood(end="forbidden", end_after=1 + seed % 10)
    began = time.monotonic()
    assert submit_with(display, terminal) == Exit.SERVICE
    assert time.monotonic() - began < 60
    assert (terminal.folder / ".jobs" / "big.checkpoint").exists()


def submit_with(display: str, terminal: Terminal) -> int:
    """The exit code of a submission whose stderr (and stdout) is of this kind."""
    command = [sys.executable, "-c", IMPATIENT, "submit", *FIRST]
    shells = {"left": "{} 2>&1 | head -c 1", "full": "{} 2>/dev/full >/dev/full", "closed": "{} 2>&- >&-"}
    if display == "unread":
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        try:
            while True:  # full, with a reader that does not read
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)
        done = subprocess.run(command, cwd=terminal.folder, env=terminal.environment, stderr=writer, timeout=120)
        os.close(reader)
        os.close(writer)
        return done.returncode
    line = "set -o pipefail; " + shells[display].format('"$@"')
    run = ["bash", "-c", line, "bash", *command]
    return subprocess.run(run, cwd=terminal.folder, env=terminal.environment, timeout=120).returncode


# What was checked is what is sent.


@pytest.mark.parametrize("change", ["shrinks", "grows", "other", "gone"])
def test_an_input_that_changes_while_it_is_sent_is_sent_as_it_was_checked(
    terminal: Terminal, service: Service, change: str, seed: int
) -> None:
    rows = terminal.folder / "rows.csv"
    lines = [f"{number}\n" for number in range(1, COUNT + 1)]
    rows.write_text("number\n" + "".join(lines))
    terminal.write("rows: {file: rows.csv}")
    service.mood = Mood(most_tasks=7)
    with terminal.start(*FIRST) as process:
        until(service, 1 + seed * 10, process)
        match change:
            case "shrinks":
                rows.write_text("number\n" + "".join(lines[: COUNT // 2]))
            case "grows":
                rows.write_text("number\n" + "".join([*lines, "9999\n"]))
            case "other":
                rows.write_text("number\n" + "".join(f"{number + 5000}\n" for number in range(COUNT)))
            case _:
                rows.unlink()
        process.communicate(timeout=120)
    assert (process.returncode, is_complete(service)) == (Exit.OK, True)
    assert service.tasks.keys() == {f"task-{number}" for number in range(1, COUNT + 1)}


def test_a_generator_is_run_once(terminal: Terminal, service: Service) -> None:
    text = f"from pathlib import Path\ndef rows():\n    Path('ran').open('a').write('x')\n    n = {COUNT}"
    text += "\n    return ({'number': i} for i in range(1, n + 1 if len(Path('ran').read_text()) == 1 else 5))\n"
    (terminal.folder / "gen.py").write_text(text)
    terminal.write('python: "gen:rows"')
    assert terminal.submit(*FIRST)[0] == Exit.OK
    assert is_complete(service)
    assert (terminal.folder / "ran").read_text() == "x"


# `--resume` belongs to one job and one input.


def interrupted(terminal: Terminal, service: Service, requests: int = 30) -> str:
    """A submission that was killed in the middle, sooner or later by seed; what it said."""
    service.mood = Mood(most_tasks=7)
    with terminal.start(*FIRST) as process:
        until(service, requests + service.dice.randrange(20), process)
        process.kill()
        said = process.communicate(timeout=60)[1]
    assert 0 < len(service.tasks) < COUNT
    service.heal()
    return said


def made_again(service: Service, **changes: Any) -> None:
    assert service.job is not None
    service.make_job({**service.job, **changes})


def test_a_job_that_was_deleted_and_made_again_is_not_gone_on_with(terminal: Terminal, service: Service) -> None:
    interrupted(terminal, service)
    made_again(service)
    before = service.requests
    code, said = terminal.submit(*GO_ON)
    assert code == Exit.SERVICE
    assert "deleted and made again" in said
    assert service.requests == before


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"poolInfo": {"poolId": "other"}}, "poolInfo.poolId"),
        ({"constraints": {"maxTaskRetryCount": 3}}, "constraints"),
    ],
)
def test_a_job_with_another_pool_or_settings_is_not_gone_on_with(
    terminal: Terminal, service: Service, changes: dict[str, Any], place: str
) -> None:
    interrupted(terminal, service)
    assert service.job is not None
    service.job |= changes
    before = service.requests
    code, said = terminal.submit(*GO_ON)
    assert code == Exit.SERVICE
    assert f"its {place}" in said
    assert service.requests == before


def test_tasks_that_have_other_definitions_by_now_are_found(terminal: Terminal, service: Service) -> None:
    interrupted(terminal, service, 60)
    for task in service.tasks.values():
        task["commandLine"] = "another"
    before = service.requests
    code, said = terminal.submit(*GO_ON)
    assert code == Exit.SERVICE
    assert "was sent, and the job has another: its commandLine differs" in said
    assert service.requests == before


def test_a_job_that_is_gone_is_told_with_when_it_was_made(terminal: Terminal, service: Service) -> None:
    interrupted(terminal, service)
    service.job = None
    code, said = terminal.submit(*GO_ON)
    assert code == Exit.SERVICE
    assert "is gone: it was deleted, and its tasks with it" in said


def test_an_input_that_changed_is_told_with_what_the_job_has(terminal: Terminal, service: Service) -> None:
    interrupted(terminal, service, 100)
    lines = (terminal.folder / ".jobs" / "big.checkpoint").read_text().splitlines()
    settled = sum(line.startswith("d ") for line in lines) * 100
    terminal.write(word="printf")
    code, said = terminal.submit(*GO_ON)
    assert code == Exit.USAGE
    assert "are defined otherwise than when they were sent" in said
    assert f"Job big has at least {settled} of the {COUNT} tasks" in said


# A finished submission can be run again.


def test_a_finished_submission_is_recognised_and_sends_nothing(terminal: Terminal, service: Service) -> None:
    assert terminal.submit(*FIRST)[0] == Exit.OK
    requests, managed = service.requests, list(service.managed)
    code, said = terminal.submit(*FIRST)
    assert code == Exit.OK
    assert f"already submitted, complete: job big has all {COUNT} tasks" in said
    assert (service.requests, service.managed) == (requests, managed)


def test_an_input_that_was_submitted_is_asked_about_also_under_the_default_id(
    terminal: Terminal, service: Service
) -> None:
    assert terminal.submit("big.yaml", "--yes")[0] == Exit.OK
    requests = service.requests
    code, said = terminal.submit("big.yaml")  # there is no terminal to ask on
    assert code == Exit.USAGE
    assert "this input was submitted already, as job big-" in said
    assert service.requests == requests


def test_a_job_made_beforehand_with_equal_settings_is_filled(terminal: Terminal, service: Service) -> None:
    (terminal.folder / "job.txt").write_text("")
    with terminal.start("big.yaml", "--job-id", "big", "--dry-run", "--json") as process:
        process.communicate(timeout=60)
    assert terminal.submit(*FIRST)[0] == Exit.OK
    assert service.job is not None
    definition = {name: value for name, value in service.job.items() if name not in ("creationTime", "state")}
    service.tasks.clear()
    service.created.clear()
    service.make_job({**definition, "metadata": [one for one in definition["metadata"] if one["name"] != "submission"]})
    assert terminal.submit(*FIRST)[0] == Exit.OK
    assert is_complete(service)


# Set-up and end are as patient as the middle.


@pytest.mark.parametrize("fault", ["429", "503", "500", "reset", "reset+", "500+", "502"])
def test_the_calls_before_and_after_the_tasks_are_repeated(
    terminal: Terminal, service: Service, fault: str, seed: int
) -> None:
    """The first ones ask for the job and make it; the last sets `terminatejob`."""
    service.mood = Mood(around=[fault, fault, "", fault] if seed % 2 else [fault])
    code, said = terminal.submit(*FIRST)
    assert (code, is_complete(service)) == (Exit.OK, True), said
    assert service.jobs_made == 1


def test_when_terminatejob_cannot_be_set_the_checkpoint_stays_and_resume_sets_it(
    terminal: Terminal, service: Service
) -> None:
    with terminal.start(*FIRST, "--patience", "2s") as process:
        while service.requests < COUNT // 100 and process.poll() is None:
            time.sleep(0.002)
        service.mood = Mood(around=["403"] * 20)
        said = process.communicate(timeout=60)[1]
    assert process.returncode == Exit.SERVICE
    assert "All tasks are in job big, but it does not end by itself yet" in said
    service.heal()
    assert terminal.go_on(said)[0] == Exit.OK
    assert is_complete(service)


# Every refused task is named.


def test_every_refused_task_is_named_with_its_line(terminal: Terminal, service: Service) -> None:
    rows = [f"{'bad-' if number % 10 == 3 else 'task-'}{number}" for number in range(COUNT)]
    (terminal.folder / "rows.csv").write_text("id\n" + "".join(f"{row}\n" for row in rows))
    template = '{id: "{id}", image: "r/w:1", command: [x]}'
    (terminal.folder / "big.yaml").write_text(
        f"job: {{family: big, pool: p}}\ntasks:\n  template: {template}\n  rows: {{file: rows.csv}}\n"
    )
    command = [sys.executable, "-c", IMPATIENT, "submit", *FIRST, "--json"]
    done = subprocess.run(command, cwd=terminal.folder, env=terminal.environment, capture_output=True, text=True)
    refused = [row for row in rows if row.startswith("bad")]
    assert done.returncode == Exit.SERVICE
    path = terminal.folder / ".jobs" / "big.failures.jsonl"
    assert f"All {len(refused)} of them: .jobs/big.failures.jsonl" in done.stderr
    told = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted(one["id"] for one in told) == sorted(refused)
    assert {one["code"] for one in told} == {"InvalidPropertyValue"}
    assert {one["line"] for one in told} == {f"rows.csv:{rows.index(row) + 2}" for row in refused}
    assert json.loads(done.stdout)["failed"] == told


# Outages, pauses, a clean stop.


def test_an_outage_and_a_stopped_process_are_waited_for(terminal: Terminal, service: Service, seed: int) -> None:
    service.mood = Mood(most_tasks=7)
    dice = random.Random(seed)
    with terminal.start(*FIRST, "--patience", "3s") as process:
        until(service, dice.randint(5, 40), process)
        process.send_signal(signal.SIGSTOP)
        time.sleep(4.0)  # longer than the patience: it did not wait, it was stopped
        service.mood = Mood(before={"reset": 1.0})
        process.send_signal(signal.SIGCONT)
        time.sleep(1.5)
        service.heal()
        said = process.communicate(timeout=120)[1]
    assert (process.returncode, is_complete(service)) == (Exit.OK, True), said


@pytest.mark.parametrize("where", ["before", "after", "get"])
def test_it_stops_within_five_seconds_also_while_requests_hang(
    terminal: Terminal, service: Service, where: str, seed: int
) -> None:
    service.mood = Mood(most_tasks=7)
    with terminal.start(*FIRST) as process:
        until(service, 10 + 5 * seed, process)
        hangs = {"hang": 1.0}
        moods = {"before": Mood(before=hangs), "after": Mood(after=hangs), "get": Mood(lag=3600.0)}
        service.mood = moods[where]
        time.sleep(1.0 if where != "get" else 3.0)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    assert time.monotonic() - began < 15.0  # 5 s where nothing else runs; without the bound it would be an hour
    assert process.returncode == Exit.TERMINATED
    assert "stopped by SIGTERM" in said
    assert "Traceback" not in said
    service.heal()
    assert terminal.go_on(said)[0] == Exit.OK
    assert is_complete(service)


def test_one_task_on_which_the_service_fails_twelve_times_is_not_given_up(
    terminal: Terminal, service: Service, seed: int
) -> None:
    """Attempts are not counted; the patience is time."""
    names = random.Random(seed).sample(range(1, COUNT + 1), 2)
    service.mood = Mood(stubborn={f"task-{number}": 12 for number in names})
    code, said = terminal.submit(*FIRST)
    assert (code, is_complete(service)) == (Exit.OK, True), said
    assert not any(service.mood.stubborn.values())


# Disk and checkpoint.


def test_all_of_a_long_checkpoint_but_its_beginning_may_be_lost(
    terminal: Terminal, service: Service, seed: int
) -> None:
    """A power failure takes what the file system had not written: here the lines of nearly all tasks."""
    count = 100_000 if MANY else 5000
    terminal.write(f"sweep: {{number: {{range: [1, {count}]}}}}")
    with terminal.start(*FIRST) as process:
        until(service, count // 100 * 9 // 10 - 5 * seed, process)
        process.kill()
        process.communicate(timeout=60)
    assert count // 2 < len(service.tasks) < count
    path = terminal.folder / ".jobs" / "big.checkpoint"
    data = path.read_bytes()
    kept = data[: data.index(b"\n", 300 * seed) + 1]
    path.write_bytes(kept + bytes(len(data) - len(kept)) if seed % 2 else kept)
    code, said = terminal.submit(*GO_ON)
    assert code == Exit.OK, said
    assert len(service.tasks) == len(service.created) == count


# No file below the folder `sys.argv[1]` can be made, written, renamed or removed; after `sys.argv[2]` writes, if given.
READ_ONLY = """
import errno, io, os, sys
folder, left = sys.argv.pop(1), int(sys.argv.pop(1))
real = {name: getattr(os, name) for name in ("open", "mkdir", "unlink", "replace", "rename", "pwrite", "ftruncate")}
def refuse():
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))
def inside(path):
    return os.path.realpath(path if isinstance(path, int) is False else f"/proc/self/fd/{path}").startswith(folder)
def changing(name):
    def call(path, *more, **named):
        global left
        writes = name != "open" or more[0] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and inside(path):
            if left <= 0:
                refuse()
            left -= 1
        return real[name](path, *more, **named)
    return call
for name in real:
    setattr(os, name, changing(name))
io_open = io.open
def opened(file, mode="r", *more, **named):
    if set(mode) & set("wax+") and not isinstance(file, int) and inside(file) and left <= 0:
        refuse()
    return io_open(file, mode, *more, **named)
io.open = opened
"""


@pytest.mark.parametrize("read_only", ["from the start", "in the middle", "TMPDIR", "everything"])
def test_a_read_only_disk_is_told_or_does_not_matter(
    terminal: Terminal, service: Service, read_only: str, seed: int
) -> None:
    temporary = terminal.folder / "temporary"
    temporary.mkdir()
    folder = {"TMPDIR": temporary, "everything": Path("/")}.get(read_only, terminal.folder / ".jobs")
    left = 4 + seed % 10 if read_only == "in the middle" else 0
    environment = terminal.environment | {"TMPDIR": str(temporary)}
    command = [sys.executable, "-c", READ_ONLY + IMPATIENT, str(folder.resolve()), str(left), "submit", *FIRST]
    done = subprocess.run(command, cwd=terminal.folder, env=environment, capture_output=True, text=True, timeout=240)
    assert "Traceback" not in done.stderr
    if read_only == "everything":
        assert "temporary" in done.stderr
    elif read_only != "TMPDIR":  # then another folder is found
        assert "Read-only file system" in done.stderr
    if read_only in ("in the middle", "TMPDIR"):
        assert (done.returncode, is_complete(service)) == (Exit.OK, True), done.stderr
    else:
        assert done.returncode == Exit.MACHINE, done.stderr
        assert (service.requests, service.managed) == (0, [])


def test_a_lost_tail_of_the_checkpoint_costs_requests_and_nothing_else(terminal: Terminal, service: Service) -> None:
    interrupted(terminal, service, 120)
    path = terminal.folder / ".jobs" / "big.checkpoint"
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"\n", 300)] + b"\x00" * 700)
    code, said = terminal.submit(*GO_ON)
    assert (code, is_complete(service)) == (Exit.OK, True), said


@pytest.mark.parametrize("text", ['{"my": "notes"}\n', "not a checkpoint\n", ""])
def test_somebody_elses_file_is_never_touched(terminal: Terminal, service: Service, text: str) -> None:
    (terminal.folder / "notes").write_text(text)
    for words in ((*FIRST, "--checkpoint", "notes"), (*GO_ON, "--job-id", "big", "--checkpoint", "notes")):
        code, said = terminal.submit(*words)
        assert code == Exit.USAGE
        assert "Traceback" not in said
        assert (terminal.folder / "notes").read_text() == text
    assert (service.managed, service.requests) == ([], 0)


def test_two_jobs_do_not_share_a_checkpoint(terminal: Terminal, service: Service) -> None:
    service.mood = Mood(end="gone", end_after=3)
    terminal.submit(*FIRST, "--checkpoint", "c")
    before = (terminal.folder / "c").read_text()
    code, said = terminal.submit("big.yaml", "--yes", "--job-id", "second", "--checkpoint", "c")
    assert code == Exit.USAGE
    assert "is the checkpoint of job big" in said
    assert (terminal.folder / "c").read_text() == before


@pytest.mark.parametrize(("limit", "sent"), [(0, False), (6000, False), (400_000, True)])
def test_a_full_disk_is_told_or_does_not_matter(terminal: Terminal, service: Service, limit: int, sent: bool) -> None:
    """No file can grow beyond so many bytes (RLIMIT_FSIZE): the spool or the checkpoint."""
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); {IMPATIENT}"
    command = [sys.executable, "-c", f"import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {limited}"]
    done = subprocess.run(
        [*command, "submit", *FIRST], cwd=terminal.folder, env=terminal.environment, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    if sent:
        check_end(service, done.returncode)
        assert done.returncode == Exit.OK
    else:
        assert done.returncode not in (Exit.OK, Exit.TASKS_FAILED)
        assert service.requests == 0


# Two submissions in one second.


def test_submissions_in_one_second_all_get_an_id(tmp_path: Path, seed: int) -> None:
    """In one folder, under the default id: each takes the next free one."""
    from jobs.service.batch import JobState
    from jobs.verbs.submit import submit as verb
    from tests.jobs.fakes import HELLO, HELLO_JOB, stage

    scene = stage()
    taken = [HELLO_JOB, *(f"{HELLO_JOB}-{number}" for number in range(2, 1 + seed))]
    for name in taken:
        scene.batch.create_job({"id": name, "poolInfo": {"poolId": "default-1a2b"}})
    assert isinstance(scene.batch.states[HELLO_JOB], JobState)
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        import argparse

        given = {"yes": True, "dry_run": False, "job_id": None, "watch": False, "report": False, "timeout": None}
        given |= {"resume": False, "checkpoint": None, "workers": 4, "patience": 5.0}
        assert verb.run(argparse.Namespace(files=[HELLO], notify=None, bell=False, **given), scene.session) == Exit.OK
    finally:
        os.chdir(here)
    assert len(scene.batch.sent[f"{HELLO_JOB}-{1 + seed}"]) == 5
    assert not any(scene.batch.sent[name] for name in taken)


def test_every_behaviour_has_five_seeds_in_make_hostile() -> None:
    """Each test of both files is one; its seed comes with the service."""
    files = (Path(__file__), Path(__file__).with_name("test_submit_process.py"))
    tests = [
        node
        for file in files
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    assert len(tests) > 20
    seeded = {"seed", "service", "terminal"}
    seedless = [test.name for test in tests if not seeded & {given.arg for given in test.args.args}]
    assert seedless == ["test_every_behaviour_has_five_seeds_in_make_hostile"]
    assert not MANY or len(SEEDS) >= 5
