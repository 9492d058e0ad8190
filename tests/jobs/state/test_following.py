"""`logs` of a whole job while it runs, `--tail`, `wait`, and who is told at the end."""

from __future__ import annotations

import http.server
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.command.parser import parse
from jobs.errors import JobsError, UsageError
from jobs.exits import Exit
from jobs.service.batch import TaskState
from jobs.state.following import last_lines
from jobs.terminal.render import Render
from jobs.verbs import notification
from testbeds.http_server import serving
from tests.jobs.fakes import START, Stage, stage


@pytest.fixture
def scene() -> Stage:
    scene = stage()
    metadata = [{"name": "container", "value": "job-hello"}]
    scene.batch.create_job({"id": "j", "poolInfo": {"poolId": "p"}, "metadata": metadata})
    scene.batch.add_collection("j", [{"id": "a"}, {"id": "long-b"}])
    for name in ("a", "long-b"):
        scene.batch.set("j", TaskState(id=name, state="running", changed=START))
    return scene


def run(scene: Stage, *words: str) -> Exit:
    arguments = parse(list(words))
    scene.session.render.as_json = arguments.json
    return arguments.run(arguments, scene.session)


def write(scene: Stage, task: str, text: str) -> None:
    scene.batch.files["j", task, "stdout.txt"] = text.encode()


def end(scene: Stage, task: str, exit_code: int = 0) -> None:
    result = "success" if exit_code == 0 else "failure"
    scene.batch.set(
        "j",
        TaskState(
            id=task, state="completed", changed=scene.clock.at, ended=scene.clock.at, result=result, exit_code=exit_code
        ),
    )


def test_a_whole_job_is_followed_line_by_line_each_with_its_task(scene: Stage) -> None:
    write(scene, "a", "one\nhal")

    def second() -> None:
        write(scene, "a", "one\nhalf\n")
        write(scene, "long-b", "zwei é\n")

    def third() -> None:
        end(scene, "a")
        write(scene, "long-b", "zwei é\nlast without an end")
        end(scene, "long-b")
        scene.batch.end("j")

    scene.clock.on_sleep = [second, third]
    assert run(scene, "logs", "-f", "j") == Exit.OK
    assert scene.out.getvalue().splitlines() == [
        "a | one", "a | half", "long-b | zwei é", "long-b | last without an end",
    ]  # fmt: skip


def test_a_task_that_begins_again_and_one_whose_node_went_are_shown_whole(scene: Stage) -> None:
    write(scene, "a", "first run\n")

    def again() -> None:
        write(scene, "a", "second\n")
        scene.batch.set("j", TaskState(id="a", state="running", changed=scene.clock.at, retries=1))

    def gone() -> None:
        del scene.batch.files["j", "a", "stdout.txt"]
        scene.blobs.content["job-hello", "j/a/stdout.txt"] = b"second\nend\n"
        scene.batch.set("j", TaskState(
            id="a", state="completed", changed=scene.clock.at, retries=1, result="success", exit_code=0,
        ))  # fmt: skip
        end(scene, "long-b")
        scene.batch.end("j")

    scene.clock.on_sleep = [again, gone]
    run(scene, "logs", "-f", "j")
    assert scene.out.getvalue() == "a | first run\na | second\na | end\n"
    assert "-- task a began again (retry 1, requeue 0)" in scene.err.getvalue()


def test_tail_since_and_timestamps(scene: Stage) -> None:
    write(scene, "a", "".join(f"{number}\n" for number in range(10)))
    write(scene, "long-b", "old\n")
    end(scene, "a")
    end(scene, "long-b")
    scene.batch.set("j", replace(scene.batch.task("j", "long-b"), ended=START - timedelta(hours=2)))
    scene.batch.end("j")
    run(scene, "logs", "-f", "j", "--tail", "2", "--since", "1h", "-t")
    assert scene.out.getvalue() == "2026-11-23T12:00:00Z a | 8\n2026-11-23T12:00:00Z a | 9\n"
    scene.out.truncate(0)
    scene.out.seek(0)
    run(scene, "logs", "j", "a", "--tail", "1")
    assert scene.out.getvalue() == "9\n"
    scene.out.truncate(0)
    scene.out.seek(0)
    run(scene, "logs", "-f", "j", "a", "--tail", "0")
    assert scene.out.getvalue() == ""
    with pytest.raises(UsageError, match="--since chooses among a job's tasks"):
        run(scene, "logs", "j", "a", "--since", "1h")


def test_one_task_with_times_ends_with_the_task_and_not_with_the_job(scene: Stage) -> None:
    write(scene, "a", "x\n")
    write(scene, "long-b", "not asked for\n")
    scene.clock.on_sleep = [lambda: end(scene, "a"), lambda: pytest.fail("it went on")]
    assert run(scene, "logs", "-f", "-t", "j", "a") == Exit.OK
    assert scene.out.getvalue() == "2026-11-23T12:00:00Z x\n"
    with pytest.raises(JobsError, match="task zebra does not exist"):
        run(scene, "logs", "-f", "-t", "j", "zebra")


@pytest.mark.parametrize(
    ("data", "count", "kept"),
    [
        (b"1\n2\n3\n", 2, b"2\n3\n"),
        (b"1\n2\n3", 2, b"2\n3"),
        (b"1\n2\n", 0, b""),
        (b"1\n2\n", None, b"1\n2\n"),
        (b"1", 5, b"1"),
    ],
)
def test_last_lines(data: bytes, count: int | None, kept: bytes) -> None:
    for size in (1, 2, 100):
        pieces = (data[start : start + size] for start in range(0, len(data), size))
        assert b"".join(last_lines(pieces, count)) == kept


def test_on_a_terminal_tasks_have_colours_and_lines_are_not_obeyed(
    scene: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    write(scene, "a", "\x1b[2Jhello\n")
    for name in ("a", "long-b"):
        end(scene, name)
    scene.batch.end("j")
    out = io.StringIO()
    out.isatty = lambda: True  # type: ignore[method-assign]
    scene.session.render = Render(out=out, err=scene.err)
    run(scene, "logs", "-f", "j")
    assert out.getvalue().startswith("\x1b[") and r"\x1b[2Jhello" in out.getvalue()
    assert "\x1b[2J" not in out.getvalue()


@pytest.mark.parametrize(
    ("words", "codes", "code"),
    [
        ("", (0, 0), Exit.OK),
        ("", (0, 1), Exit.TASKS_FAILED),
        ("--for succeeded", (0, 0), Exit.OK),
        ("--for failed", (0, 1), Exit.OK),
        ("--for failed", (0, 0), Exit.TASKS_FAILED),
        ("--for running", (1, 1), Exit.OK),
        ("a --for succeeded", (0, 1), Exit.OK),
        ("long-b", (0, 1), Exit.TASKS_FAILED),
        ("long-b --for failed", (0, 1), Exit.OK),
    ],
)
def test_waiting_answers_with_its_exit_code(scene: Stage, words: str, codes: tuple[int, int], code: Exit) -> None:
    def over() -> None:
        for name, exit_code in zip(("a", "long-b"), codes, strict=True):
            end(scene, name, exit_code)
        scene.batch.end("j")

    scene.clock.on_sleep = [lambda: None, over]
    words_given = words.split()
    assert run(scene, "wait", "j", *words_given) == code
    assert scene.out.getvalue() == ""


@pytest.mark.parametrize("words", ["j", "j a", "j a --for failed"])
def test_waiting_gives_up_after_its_time(scene: Stage, words: str) -> None:
    with pytest.raises(JobsError) as caught:
        run(scene, "wait", *words.split(), "--timeout", "30")
    assert caught.value.exit == Exit.GAVE_UP_WAITING


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[bytes]]]:
    """A web server on this machine, its address, and what was posted to it; /moved redirects."""
    taken: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(307 if self.path == "/moved" else 204)
            self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}", taken


@pytest.mark.parametrize("verb", ["watch j", "wait j"])
def test_a_webhook_is_told_how_the_job_ended_and_nothing_else(
    scene: Stage, receiver: tuple[str, list[bytes]], tmp_path: Path, verb: str
) -> None:
    url, taken = receiver
    secret = tmp_path / "hook"
    secret.write_text(f"{url}/secret-path\n")
    end(scene, "a")
    end(scene, "long-b", 3)
    scene.batch.end("j")
    assert run(scene, *verb.split(), "--notify", f"@{secret}") == Exit.TASKS_FAILED
    (body,) = map(json.loads, taken)
    assert set(body) == set(notification.FIELDS)
    assert (body["job"], body["succeeded"], body["failed"], body["unended"]) == ("j", 1, 1, 0)
    told = scene.err.getvalue()
    assert "is sent: job, result, succeeded, failed, unended" in told
    assert "secret-path" not in told


def test_a_webhook_that_redirects_or_is_away_changes_no_exit_code(
    scene: Stage, receiver: tuple[str, list[bytes]]
) -> None:
    url, taken = receiver
    for name in ("a", "long-b"):
        end(scene, name)
    scene.batch.end("j")
    assert run(scene, "watch", "j", "--notify", f"{url}/moved") == Exit.OK
    assert len(taken) == 1
    assert "could not be told: it answered 307" in scene.err.getvalue()
    assert run(scene, "watch", "j", "--notify", "http://127.0.0.1:9/x") == Exit.OK
    assert "could not be told: ConnectionError" in scene.err.getvalue()


@pytest.mark.parametrize(
    "url",
    ["http://example.org/s3cret", "ftp://127.0.0.1/s3cret", "s3cret", "https://", "http://127.0.0.1.example.org/s3cret",
     "file:///etc/s3cret", "https://[s3cret", "http://localhost:s3cret/"],
)  # fmt: skip
def test_other_addresses_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError, match="argument --notify") as caught:
        parse(["watch", "j", "--notify", url])
    assert "s3cret" not in str(caught.value).replace("://s3cret", "")


@pytest.mark.parametrize("url", ["https://hooks.example.org/x", "http://localhost:1/x", "http://[::1]:1/x"])
def test_addresses_that_are_taken(url: str) -> None:
    assert parse(["watch", "j", "--notify", url]).notify == url


def test_the_bell_rings_on_a_terminal_only(scene: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for name in ("a", "long-b"):
        end(scene, name)
    scene.batch.end("j")
    run(scene, "wait", "j", "--bell")
    assert "\a" not in scene.err.getvalue()
    monkeypatch.setattr(scene.err, "isatty", lambda: True)
    run(scene, "wait", "j", "--bell")
    assert scene.err.getvalue().count("\a") == 1
