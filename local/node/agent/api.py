"""The agent's HTTP API on `agent.sock`: what the executor on the host asks of the node. Its folder is its lock.

The table of routes is the documentation. Errors are JSON `{"message": ...}`: 404 for what is not there, 409 for
refusals, 400 for what is not understood.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from local.node.agent.accounts import AccountRefused, Accounts
from local.node.agent.files import Files
from local.node.agent.journal import Journal
from local.node.agent.runs import Runs
from local.node.contract import RunSpec, UserAccount, from_json, to_json

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """The routes over the node's parts."""

    def __init__(self, runs: Runs, journal: Journal, files: Files, accounts: Accounts) -> None:
        self._runs = runs
        self._journal = journal
        self._files = files
        self._accounts = accounts

    def application(self) -> web.Application:
        """The application with all routes."""
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/events", self._events),
            ("PUT", "/runs", self._start_run),
            ("POST", "/runs/terminate", self._terminate_run),
            ("GET", "/files", self._list_files),
            ("GET", "/files/properties", self._stat_file),
            ("GET", "/files/content", self._read_file),
            ("DELETE", "/files", self._delete_file),
            ("PUT", "/users", self._put_user),
            ("DELETE", "/users", self._delete_user),
        ]
        application = web.Application(middlewares=[_errors], client_max_size=16 * 2**20)
        for method, path, handler in routes:
            application.router.add_route(method, path, handler)
        return application

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Lines of the journal after `after`, then each new one as it is written."""
        reply = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await reply.prepare(request)
        async for entry in self._journal.read(int(request.query.get("after", "0"))):
            await reply.write(entry.line().encode())
        return reply

    async def _start_run(self, request: web.Request) -> web.Response:
        self._runs.start(from_json(RunSpec, await request.json()))
        return web.Response(status=202)

    async def _terminate_run(self, request: web.Request) -> web.Response:
        self._runs.terminate(request.query["run_id"])
        return web.Response(status=202)

    async def _list_files(self, request: web.Request) -> web.Response:
        found = self._files.list(request.query["path"], request.query.get("recursive") == "true")
        return web.json_response([to_json(info) for info in found])

    async def _stat_file(self, request: web.Request) -> web.Response:
        return web.json_response(to_json(self._files.stat(request.query["path"])))

    async def _read_file(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        end = int(query["end"]) if "end" in query else None
        pieces = self._files.read(query["path"], int(query.get("start", "0")), end)
        first = await anext(pieces, b"")  # before the answer begins: a missing file must be a 404
        reply = web.StreamResponse()
        await reply.prepare(request)
        await reply.write(first)
        async for piece in pieces:
            await reply.write(piece)
        return reply

    async def _delete_file(self, request: web.Request) -> web.Response:
        self._files.delete(request.query["path"], request.query.get("recursive") == "true")
        return web.Response(status=204)

    async def _put_user(self, request: web.Request) -> web.Response:
        await self._accounts.put(from_json(UserAccount, await request.json()))
        return web.Response(status=204)

    async def _delete_user(self, request: web.Request) -> web.Response:
        await self._accounts.remove(request.query["name"])
        return web.Response(status=204)


async def serve(application: web.Application, socket: Path) -> web.AppRunner:
    """Listen on the socket; a stale one is replaced."""
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await asyncio.to_thread(socket.unlink, missing_ok=True)
    await web.UnixSite(runner, str(socket)).start()
    await asyncio.to_thread(socket.chmod, 0o600)
    return runner


@web.middleware
async def _errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except FileNotFoundError as error:
        return web.json_response({"message": str(error)}, status=404)
    except (AccountRefused, OSError) as error:
        return web.json_response({"message": str(error)}, status=409)
    except (ValueError, KeyError, TypeError) as error:
        return web.json_response({"message": f"{type(error).__name__}: {error}"}, status=400)
