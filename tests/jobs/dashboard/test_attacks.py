"""Who may not use the dashboard: other sites, other names for this address, other servers and users of this machine."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import AsyncIterator
from html import escape

import pytest
import pytest_asyncio

from jobs.dashboard.access import KEY_HEADER, Access, Asked
from jobs.dashboard.server import STATIC
from jobs.service.batch import TaskState
from tests.jobs.dashboard.scene import SCRIPT, Visit, furnish, visit
from tests.jobs.fakes import stage

DATA = (
    "/api/about",
    "/api/pools",
    "/api/jobs",
    "/api/jobs/sim",
    "/api/jobs/sim/tasks",
    "/api/jobs/sim/tasks/step-3",
    "/api/jobs/sim/tasks/step-3/output?name=stderr.txt",
    "/api/jobs/sim/tasks/step-3/files",
    "/api/pools/default-1a2b/tvm-1",
    "/api/local",
    "/api/local/log?name=azure.log",
)


@pytest_asyncio.fixture
async def guest() -> AsyncIterator[Visit]:
    """Nobody has entered yet."""
    found = await visit()
    yield found
    await found.client.close()


@pytest_asyncio.fixture
async def inside() -> AsyncIterator[Visit]:
    found = await visit(operate=True)
    await found.enter()
    yield found
    await found.client.close()


async def test_the_pages_alone_are_for_everybody_and_hold_no_data(guest: Visit) -> None:
    answer = await guest.client.get("/")
    assert answer.status == 200
    assert guest.dashboard.access.token not in await answer.text()


@pytest.mark.parametrize("path", DATA)
async def test_without_the_token_nothing_is_told(guest: Visit, path: str) -> None:
    status, body = await guest.get(path)
    assert (status, list(body)) == (401, ["error"])


@pytest.mark.parametrize("path", DATA)
async def test_neither_the_cookie_nor_the_key_alone_is_enough(inside: Visit, path: str) -> None:
    """The cookie reaches every server of this machine; the key alone would be enough for a page that stole it."""
    for headers in ({KEY_HEADER: ""}, {"Cookie": ""}, {KEY_HEADER: "x" * 43}, {"Cookie": f"{inside.cookie[:-1]}!"}):
        status, _ = await inside.get(path, **headers)
        assert status == 401, headers
    assert (await inside.get(path))[0] in ((200,) if "local" not in path else (400,))


async def test_the_token_works_once_and_wrong_ones_never(guest: Visit) -> None:
    token = guest.dashboard.access.token
    for wrong in ("", "x", token[:-1], token + "x", None, 7, [token]):
        status, body = await guest.post("/session", {"token": wrong})
        assert status == 401 and "address" in body["error"], wrong
    await guest.enter()
    status, _ = await guest.post("/session", {"token": token})
    assert status == 401


async def test_the_cookie_is_for_this_site_and_no_script(guest: Visit) -> None:
    await guest.enter()
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(guest.told["cookie"].split("; "))
    assert str(guest.dashboard.access.port) in guest.cookie


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "0.0.0.0:{port}",
        "[::1]:{port}",
        "localhost.evil.example:{port}",
        "127.0.0.1:{port}.evil.example",
        "localhost",
        "",
        "127.0.0.1:{port}@evil",
    ],
)
async def test_a_name_that_was_bound_to_this_address_is_refused(inside: Visit, host: str) -> None:
    """DNS rebinding: the browser says which name it asked for."""
    for path in ("/", *DATA):
        status, _ = await inside.get(path, Host=host.format(port=inside.dashboard.access.port))
        assert status in (400, 421), (host, path)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "http://localhost:{port}"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=lambda one: " ".join(one.values()),
)
async def test_another_origin_is_refused_even_with_cookie_and_key(inside: Visit, headers: dict[str, str]) -> None:
    given = {name: value.format(port=inside.dashboard.access.port) for name, value in headers.items()}
    for path in DATA:
        assert (await inside.get(path, **given))[0] == 403
    assert (await inside.post("/api/actions/cancel", {"job": "sim"}, **given))[0] == 403
    assert inside.scene.batch.order == ["create", "add 6"]


async def test_no_answer_allows_another_origin_and_all_forbid_scripts_and_frames(inside: Visit) -> None:
    for path in ("/", "/static/main.js", "/api/pools", "/nothing", "/api/jobs/none"):
        answer = await inside.client.get(path, headers={KEY_HEADER: inside.key, "Cookie": inside.cookie})
        policy = answer.headers["Content-Security-Policy"]
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_what_a_form_of_another_site_can_send_is_no_change(inside: Visit, kind: str) -> None:
    status, _ = await inside.post("/api/actions/cancel", {"job": "sim"}, **{"Content-Type": kind})
    assert status == 415
    assert "terminate sim" not in inside.scene.batch.order


async def test_a_change_without_an_origin_or_by_get_is_none(inside: Visit) -> None:
    answer = await inside.client.post(
        "/api/actions/cancel", json={"job": "sim"}, headers={KEY_HEADER: inside.key, "Cookie": inside.cookie}
    )
    assert answer.status == 403
    assert (await inside.get("/api/actions/cancel?job=sim"))[0] in (404, 405)
    assert "terminate sim" not in inside.scene.batch.order


async def test_a_dashboard_that_only_shows_changes_nothing(guest: Visit) -> None:
    await guest.enter()
    for action in ("cancel", "retry", "connect", "no-such"):
        status, body = await guest.post(
            f"/api/actions/{action}", {"job": "sim", "pool": "default-1a2b", "node": "tvm-0"}
        )
        assert status == 403 and "--operate" in body["error"]
    assert guest.scene.batch.order == ["create", "add 6"] and guest.scene.batch.users == []


PATHS = (
    "../../../etc/passwd",
    "/etc/passwd",
    "a/../../b",
    "..",
    ".",
    "a/./b",
    "a//b",
    "",
    "..\\..\\x",
    "a\0b",
    "%2e%2e/x",
)


@pytest.mark.parametrize("name", PATHS)
async def test_a_path_that_leads_elsewhere_is_no_file(inside: Visit, name: str) -> None:
    """Neither without a ticket nor with one that somebody had made for it."""
    from urllib.parse import urlencode

    for path, query in (
        ("/files/sim/step-3", {"name": name, "where": "node"}),
        ("/files/sim/step-3", {"name": name, "where": "container"}),
        ("/node-files/default-1a2b/tvm-1", {"name": name}),
    ):
        target = f"{path}?{urlencode(sorted(query.items()))}"
        assert (await inside.get(target))[0] == 403
        ticket = inside.dashboard.access.ticket(target)
        assert (await inside.get(f"{target}&ticket={ticket}"))[0] in (400, 404)


async def test_a_ticket_opens_its_own_file_only_and_needs_the_cookie(inside: Visit) -> None:
    _, found = await inside.get("/api/jobs/sim/tasks/step-3/files")
    offered = {one["name"]: one["open"] for one in found["files"]}
    assert await inside.get(offered["stderr.txt"]) == (200, b"Traceback: out of paper\n")
    assert (await inside.get(offered["stderr.txt"], Cookie=""))[0] == 401
    assert (await inside.get(offered["stderr.txt"].replace("stderr", "stdout")))[0] == 403
    assert (await inside.get(offered["stderr.txt"].replace("step-3", "step-2")))[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/%2e%2e/server.py",
        "/static/..%2fserver.py",
        "/static//etc/passwd",
        "/etc/passwd",
        "/static/access.py",
        "/static/",
        "//evil.example/",
        "/static/main.js/../../access.py",
        "/static/%00",
        "/.git/config",
    ],
)
async def test_only_the_pages_own_files_are_served(inside: Visit, path: str) -> None:
    """Sent as it stands, without a client that tidies it up."""
    port = inside.dashboard.access.port

    def ask() -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.putrequest("GET", path, skip_host=True)
        connection.putheader("Host", f"127.0.0.1:{port}")
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()

    import asyncio

    status, body = await asyncio.to_thread(ask)
    assert status in (400, 401, 404)
    assert b"root:" not in body and b"import" not in body


@pytest.mark.parametrize("job", ["a'b", "a b", "a%27%20or%20true", "a" * 65, "a%0d%0aX:1", "%3Cscript%3E"])
async def test_an_id_that_batch_does_not_have_is_not_passed_on(inside: Visit, job: str) -> None:
    assert (await inside.get(f"/api/jobs/{job}"))[0] == 404
    status, _ = await inside.get(f"/api/jobs/sim/tasks?prefix={job}")
    assert status == (200 if job.isalnum() else 400)


async def test_texts_from_outside_are_data_in_every_answer() -> None:
    """They are JSON, which the pages turn into text nodes; an answer is never a page."""
    scene = stage()
    furnish(scene)
    scene.batch.files["sim", "step-3", "stderr.txt"] = f"{SCRIPT}\x1b]0;owned\x07\u202eevil\n".encode()
    scene.batch.task_states["sim"]["step-3"] = TaskState(
        id="step-3", state="completed", result="failure", exit_code=1, node_id=SCRIPT, display_name=SCRIPT
    )
    inside = await visit(scene=scene)
    try:
        await inside.enter()
        for path in DATA[:8]:
            answer = await inside.client.get(path, headers={KEY_HEADER: inside.key, "Cookie": inside.cookie})
            assert answer.content_type == "application/json"
        _, told = await inside.get(DATA[6])
        assert told["text"] == f"{SCRIPT}\\x1b]0;owned\\x07\\u202eevil\n"
        _, found = await inside.get("/api/jobs/sim/tasks/step-3/files")
        for one in found["files"]:
            answer = await inside.client.get(one["open"], headers={"Cookie": inside.cookie})
            assert answer.headers["Content-Disposition"].startswith("attachment;")
            assert answer.content_type == "application/octet-stream"
            assert "sandbox" in answer.headers["Content-Security-Policy"]
    finally:
        await inside.client.close()


def test_the_pages_never_make_markup_of_text() -> None:
    scripts = {file.name: file.read_text() for file in STATIC.glob("*.js")}
    assert len(scripts) >= 6
    wrong = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|javascript:"
    )
    assert {name: wrong.findall(text) for name, text in scripts.items() if wrong.search(text)} == {}


def test_the_pages_ask_no_other_host() -> None:
    texts = "\n".join(file.read_text() for file in STATIC.iterdir())
    named = set(re.findall(r"(?:https?:)?//[\w.-]+\.\w+", texts))
    assert named == {"http://www.w3.org"}  # the name of SVG's elements, which nobody asks for
    assert escape(SCRIPT) not in texts


def test_an_access_without_a_session_admits_nobody() -> None:
    """Empty secrets must not be equal to empty cookies and headers."""
    access = Access(port=5)
    asked = Asked(kind="data", host="127.0.0.1:5", headers={}, cookies={})
    refused = access.refusal(asked)
    assert refused is not None and refused.status == 401
    json.dumps(refused.why)


async def test_a_body_that_is_too_long_or_no_object_is_refused(inside: Visit) -> None:
    assert (await inside.post("/api/actions/cancel", {"job": "x" * 100_000}))[0] == 413
    for body in ([], "x", None, 5):
        assert (await inside.post("/api/actions/cancel", body))[0] == 400
    assert (await inside.post("/api/actions/cancel", {"job": "a b"}))[0] == 400
