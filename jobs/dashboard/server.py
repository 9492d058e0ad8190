"""The dashboard over HTTP, on loopback. Every request goes through `Access` first; the service is asked in threads."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

from aiohttp import web

from ..errors import Conflict, Forbidden, NotFound, Refused, UsageError, from_outside
from ..report import page as report_page
from ..report import read as report_read
from ..session import Session
from ..state import task_output
from ..terminal.wording import from_any_folder, pasteable
from .access import HEADERS, Access, Asked
from .actions import ACTIONS
from .cache import Cache
from .local_stack import LocalStack
from .views import SHOWN, Views

STATIC: Final = Path(__file__).parent / "static"
PALETTE: Final = report_page.ASSETS / "palette.css"
TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
THREADS: Final = 16
MOST_BODY: Final = 64 * 1024
ID: Final = "[A-Za-z0-9_-]{1,64}"
JOB: Final = ID + "(?::job-[0-9]{1,9})?"  # also of one that a job schedule made
NODE: Final = "[A-Za-z0-9_.;:-]{1,128}"
LOGS: Final = ("stdout.txt", "stderr.txt")
STATUS: Final = ((NotFound, 404), (UsageError, 400), (Refused, 400), (Conflict, 409), (Forbidden, 403))
Ask = Callable[[web.Request], Any]


class Dashboard:
    """The application of one session."""

    def __init__(self, session: Session, access: Access) -> None:
        self.access = access
        self.cache = Cache(session.clock)
        self._session = session
        self._views = Views(session, self.cache, operate=access.operate)
        self._local = LocalStack(session, self.cache)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="dashboard")
        # Read once, and answered by name: no path of a request becomes the path of a file.
        self._static = {f"/static/{one.name}": one for one in sorted(STATIC.iterdir()) if one.suffix in TYPES}
        self._static |= {"/": STATIC / "index.html", "/static/palette.css": PALETTE}

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=MOST_BODY)
        for path in self._static:
            app.router.add_get(path, self._page)
        app.router.add_post("/session", self._exchange)
        for path, ask in self._data().items():
            app.router.add_get(f"/api{path}", self._answer(ask))
        app.router.add_post("/api/actions/{action}", self._act)
        app.router.add_get(f"/files/{{job:{JOB}}}/{{task:{ID}}}", self._task_file)
        app.router.add_get(f"/node-files/{{pool:{ID}}}/{{node:{NODE}}}", self._node_file)
        app.router.add_get(f"/report/{{job:{JOB}}}", self._report)
        app.on_response_prepare.append(_with_headers)
        app.on_cleanup.append(self._close)
        return app

    def _data(self) -> Mapping[str, Ask]:
        """Path -> what is asked of `Views`."""
        views, local = self._views, self._local
        return {
            "/about": lambda _: views.about(),
            "/pools": lambda _: views.pools(),
            f"/pools/{{pool:{ID}}}/{{node:{NODE}}}": lambda r: views.node(*_of(r, "pool", "node")),
            f"/pools/{{pool:{ID}}}/{{node:{NODE}}}/output": lambda r: views.outputs.node_output(
                *_of(r, "pool", "node"), _choice(r, "name", LOGS)
            ),
            f"/pools/{{pool:{ID}}}/{{node:{NODE}}}/files": self._node_files,
            "/jobs": lambda r: views.jobs(
                state=r.query.get("state", ""),
                family=r.query.get("family", ""),
                prefix=r.query.get("prefix", ""),
                page=_number(r, "page"),
            ),
            f"/jobs/{{job:{JOB}}}": self._job,
            f"/jobs/{{job:{JOB}}}/tasks": lambda r: views.tasks(
                r.match_info["job"], shown=_choice(r, "shown", SHOWN), prefix=_prefix(r), page=_number(r, "page")
            ),
            f"/jobs/{{job:{JOB}}}/tasks/{{task:{ID}}}": lambda r: views.task(*_of(r, "job", "task")),
            f"/jobs/{{job:{JOB}}}/tasks/{{task:{ID}}}/files": self._task_files,
            f"/jobs/{{job:{JOB}}}/tasks/{{task:{ID}}}/output": lambda r: views.outputs.output(
                *_of(r, "job", "task"),
                _choice(r, "name", LOGS),
                start=_number(r, "from") if "from" in r.query else None,
            ),
            "/images": lambda _: views.images(),
            "/local": lambda _: local.state(),
            "/local/log": lambda r: local.log(r.query.get("name", "")),
        }

    def check(self) -> None:
        """Ask once who we are and whether the account answers. Raises `JobsError`: a wrong stack is told at once."""
        self._views.pools()

    # -- the way in --------------------------------------------------------------------------------------------------

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        refusal = self.access.refusal(self._asked(request))
        if refusal is not None:
            return _json({"error": pasteable(refusal.why, from_any_folder())}, refusal.status)
        try:
            return await handler(request)
        except web.HTTPException as error:
            return _json({"error": error.reason or "there is nothing here"}, error.status)
        except (ConnectionResetError, asyncio.CancelledError):
            raise
        except Exception as error:
            told = from_outside(error)
            status = next((status for kind, status in STATUS if isinstance(told, kind)), 502)
            return _json({"error": pasteable(str(told), from_any_folder())}, status)

    def _asked(self, request: web.Request) -> Asked:
        path = request.path
        if path == "/session":
            kind = "session"
        elif request.method in ("GET", "HEAD") and path in self._static:
            kind = "page"
        elif path.startswith(("/files/", "/node-files/", "/report/")):
            kind = "file"
        else:
            kind = "data" if request.method in ("GET", "HEAD") else "action"
        return Asked(
            kind=kind,
            host=request.headers.get("Host", ""),
            headers=request.headers,
            cookies=request.cookies,
            ticket=request.query.get("ticket", ""),
            target=_target(path, {name: value for name, value in request.query.items() if name != "ticket"}),
        )

    async def _exchange(self, request: web.Request) -> web.Response:
        given = await _body(request)
        found = self.access.exchange(str(given.get("token", "")))
        if found is None:
            why = "this address was used already, or is not of this run. Start the dashboard again for a new one"
            return _json({"error": why}, 401)
        cookie, key = found
        answer = _json({"key": key})
        answer.set_cookie(self.access.cookie_name, cookie, httponly=True, samesite="Strict", path="/")
        return answer

    async def _page(self, request: web.Request) -> web.Response:
        file = self._static[request.path]
        return web.Response(body=file.read_bytes(), content_type=TYPES[file.suffix], charset="utf-8")

    # -- data --------------------------------------------------------------------------------------------------------

    def _answer(self, ask: Ask) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            return await self._thread(lambda: _json(ask(request)))

        return handler

    async def _thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _offered(self, path: str, **query: str) -> str:
        """The address of a file, with its ticket."""
        target = _target(path, query)
        return f"{target}{'&' if query else '?'}ticket={self.access.ticket(target)}"

    def _job(self, request: web.Request) -> dict[str, Any]:
        job_id = request.match_info["job"]
        return {**self._views.job(job_id), "report_file": self._offered(f"/report/{job_id}")}

    def _task_files(self, request: web.Request) -> dict[str, Any]:
        job_id, task_id = _of(request, "job", "task")
        found = self._views.outputs.task_files(job_id, task_id)
        path = f"/files/{job_id}/{task_id}"
        files = [{**one, "open": self._offered(path, where=one["where"], name=one["name"])} for one in found["files"]]
        return {**found, "files": files}

    def _node_files(self, request: web.Request) -> dict[str, Any]:
        pool_id, node_id = _of(request, "pool", "node")
        found = self._views.outputs.node_files(pool_id, node_id)
        path = f"/node-files/{pool_id}/{node_id}"
        return {"files": [{**one, "open": self._offered(path, name=one["name"])} for one in found["files"]]}

    async def _task_file(self, request: web.Request) -> web.StreamResponse:
        job_id, task_id = _of(request, "job", "task")
        name, where = _file_name(request), request.query.get("where", "")

        def begin() -> task_output.Found:
            job = self._views.job_state(job_id)
            read = task_output.from_node if where == "node" else task_output.from_blob
            found = read(self._session, job, task_id, name)
            if found is None:
                raise NotFound(f"{name} of task {task_id} is not there any more")
            return found

        found = await self._thread(begin)
        return await self._download(request, name, found.data)

    async def _node_file(self, request: web.Request) -> web.StreamResponse:
        pool_id, node_id = _of(request, "pool", "node")
        name = _file_name(request)
        return await self._download(request, name, self._session.batch.read_node_file(pool_id, node_id, name))

    async def _report(self, request: web.Request) -> web.StreamResponse:
        job_id = request.match_info["job"]

        def make() -> Iterator[bytes]:
            reading = report_read.read(self._session, job_id)
            return iter([report_page.page(reading, reading.figures(self._session)).encode()])

        return await self._download(request, f"{job_id}.html", await self._thread(make))

    async def _download(self, request: web.Request, name: str, pieces: Iterator[bytes]) -> web.StreamResponse:
        """To be saved, never shown: what a task wrote is nobody's page. It is passed on as it comes."""
        first = await self._thread(lambda: next(pieces, b""))  # an error is still an answer of its own here
        plain = name.rpartition("/")[2]
        answer = web.StreamResponse(
            headers={
                "Content-Type": "application/octet-stream",
                "Content-Disposition": f"attachment; filename*=UTF-8''{quote(plain, safe='')}",
                "Content-Security-Policy": "sandbox; default-src 'none'",
            }
        )
        await answer.prepare(request)
        piece: bytes | None = first
        while piece:
            await answer.write(piece)
            piece = await self._thread(lambda: next(pieces, None))
        await answer.write_eof()
        return answer

    async def _act(self, request: web.Request) -> web.Response:
        action = ACTIONS.get(request.match_info["action"])
        if action is None:
            raise NotFound("there is no such action")
        what = await _body(request)
        done = await self._thread(lambda: action(self._session, what))
        self.cache.forget()
        return _json(done)

    async def _close(self, _: web.Application) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


async def serve(dashboard: Dashboard, port: int, listening: Callable[[], None]) -> None:
    """Listen until this is cancelled. Raises `OSError` when the port is taken."""
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    runner = web.AppRunner(dashboard.application(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        dashboard.access.port = runner.addresses[0][1]
        listening()
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


async def _with_headers(_: web.Request, answer: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)
    answer.headers["Server"] = "jobs"


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        found = json.loads(await request.text())
    except (ValueError, RecursionError) as error:
        raise UsageError("the request is not JSON") from error
    if not isinstance(found, dict):
        raise UsageError("the request is not a JSON object")
    return found


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(
        text=json.dumps(value, default=_plain, separators=(",", ":"), ensure_ascii=True),
        content_type="application/json",
        status=status,
    )


def _plain(value: Any) -> Any:
    """Times as ISO 8601, records as objects."""
    if isinstance(value, datetime):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def _target(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(sorted(query.items()))}" if query else path


def _of(request: web.Request, first: str, second: str) -> tuple[str, str]:
    return request.match_info[first], request.match_info[second]


def _choice(request: web.Request, name: str, known: tuple[Any, ...]) -> Any:
    given = request.query.get(name, known[0])
    if given not in known:
        raise UsageError(f"{name} is one of {', '.join(known)}, not {given!r}")
    return given


def _number(request: web.Request, name: str) -> int:
    given = request.query.get(name, "0")
    if not given.isascii() or not given.isdecimal() or len(given) > 15:
        raise UsageError(f"{name} is a number, not {given!r}")
    return int(given)


def _prefix(request: web.Request) -> str:
    """The beginning of a task's id: it becomes part of a filter, so nothing else may be in it."""
    given = request.query.get("prefix", "")
    if given and not all(letter.isascii() and (letter.isalnum() or letter in "-_") for letter in given[:65]):
        raise UsageError("ids have letters, digits, - and _ only")
    return given[:64]


def _file_name(request: web.Request) -> str:
    """A path below the task's or the node's own folder."""
    name = request.query.get("name", "")
    parts = name.split("/")
    if (
        not name
        or "\\" in name
        or "\0" in name
        or name.startswith("/")
        or any(part in ("", ".", "..") for part in parts)
    ):
        raise UsageError(f"{name!r} is no file below the folder")
    return name
