"""`collect` beside plain parallel downloads of the same files: `python -m benchmarks.collect`.

plain: a thread pool over `requests` that knows all names before, checks nothing, writes each file in place. sdk: the
same over azure-storage-blob's `download_blob`. ours: `jobs.collect` with listing, size and MD5 checks, temporary names
and renames. The server (a process of its own, TLS on loopback) answers from memory. Rounds alternate; medians count.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import multiprocessing
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from azure.core.credentials import AccessToken

from jobs.clock import SystemClock
from jobs.service import credentials
from jobs.service.batch import JobState
from jobs.service.connection import Connection, Outputs
from jobs.session import Session
from jobs.terminal.render import Render
from jobs.verbs.output import collect, download
from testbeds.tls import server_context

BODY: Final = b"x" * 2048
MD5: Final = base64.b64encode(hashlib.md5(BODY, usedforsecurity=False).digest()).decode()
PAGE: Final = 5000  # blobs in one answer, as the service lists


class Token:
    """A credential that asks nobody."""

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken("token", int(time.time()) + 3600)


def listing(count: int, start: int) -> bytes:
    end = min(count, start + PAGE)
    blobs = "".join(
        f"<Blob><Name>j/t{n // 10}/f{n}.txt</Name><Properties><Content-Length>{len(BODY)}</Content-Length>"
        f"<Content-MD5>{MD5}</Content-MD5><BlobType>BlockBlob</BlobType></Properties></Blob>"
        for n in range(start, end)
    )
    following = f"<NextMarker>{end}</NextMarker>" if end < count else "<NextMarker />"
    return f'<?xml version="1.0"?><EnumerationResults><Blobs>{blobs}</Blobs>{following}</EnumerationResults>'.encode()


def server(home: Path, count: int, ready: Any) -> None:
    """Answer lists and blobs until ended."""
    pages = {start: listing(count, start) for start in range(0, count, PAGE)}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ", 2)[1].decode()
                extra = ""
                if "comp=list" in path:
                    start = int(path.partition("marker=")[2].partition("&")[0] or 0)
                    body, kind = pages[start], "application/xml"
                else:
                    body, kind = BODY, "text/plain"
                    extra = f'ETag: "1"\r\nContent-MD5: {MD5}\r\nx-ms-blob-type: BlockBlob\r\n'
                ranged = b"range:" in head.lower()
                extra += f"Content-Range: bytes 0-{len(body) - 1}/{len(body)}\r\n" if ranged else ""
                status = "206 Partial" if ranged else "200 OK"
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode()
                    + body
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        context, _ = server_context(home)
        listener = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context, backlog=256)
        ready.send(listener.sockets[0].getsockname()[1])
        await listener.serve_forever()

    asyncio.run(run())


def names(count: int) -> list[str]:
    return [f"j/t{n // 10}/f{n}.txt" for n in range(count)]


def in_threads(work: Callable[[str], None], count: int, folder: Path, threads: int) -> None:
    for number in range(0, count, 10):
        (folder / f"j/t{number // 10}").mkdir(parents=True)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, names(count)))


def plain(port: int, ca: Path, count: int, folder: Path, threads: int) -> None:
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.verify = str(ca)
    session.trust_env = False
    session.mount("https://", HTTPAdapter(pool_maxsize=threads))
    headers = {"Authorization": "Bearer token", "x-ms-version": "2021-12-02"}

    def one(name: str) -> None:
        (folder / name).write_bytes(session.get(f"https://127.0.0.1:{port}/c/{name}", headers=headers).content)

    in_threads(one, count, folder, threads)


def sdk(port: int, ca: Path, count: int, folder: Path, threads: int) -> None:
    from azure.core.pipeline.transport import RequestsTransport
    from azure.storage.blob import BlobServiceClient
    from requests import Session as HttpSession
    from requests.adapters import HTTPAdapter

    http = HttpSession()
    http.mount("https://", HTTPAdapter(pool_maxsize=threads))
    client = BlobServiceClient(
        f"https://127.0.0.1:{port}",
        credential=Token(),
        transport=RequestsTransport(session=http, session_owner=False, connection_verify=str(ca)),
    )

    def one(name: str) -> None:
        (folder / name).write_bytes(client.get_blob_client("c", name).download_blob().readall())

    in_threads(one, count, folder, threads)


def ours(port: int, ca: Path, count: int, folder: Path, _threads: int) -> None:
    outputs = Outputs(
        batch_endpoint="",
        blob_endpoint=f"https://127.0.0.1:{port}",
        pools={},
        worker_image="",
        job_containers={},
        identity_client_id="",
        identity_resource_id="",
        sql_server="",
        sql_database="",
    )
    connection = Connection(batch_endpoint="", credential=None, outputs=outputs, ca=ca)
    session = Session(
        find_connection=lambda: connection,
        render=Render(),
        clock=SystemClock(),
        make_batch=lambda _: SimpleNamespace(),  # type: ignore[arg-type,return-value]
    )
    tally = collect.collect(session, JobState(id="j", state="completed", container="c"), folder)
    assert tally.downloaded == count, tally


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=download.WORKERS)
    arguments = parser.parse_args()
    credentials.token_credential = lambda _connection: Token()
    ways = {"plain": plain, "sdk": sdk, "ours": ours}
    durations: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "tls"
        _, ca = server_context(home)
        here, there = multiprocessing.Pipe()
        process = multiprocessing.Process(target=server, args=(home, arguments.files, there), daemon=True)
        process.start()
        port = here.recv()
        try:
            for turn in range(arguments.rounds):
                for name, way in ways.items():
                    folder = Path(place) / f"{name}-{turn}"
                    folder.mkdir()
                    began = time.perf_counter()
                    way(port, ca, arguments.files, folder, arguments.threads)
                    durations[name].append(time.perf_counter() - began)
                    whole_files = sum(1 for path in folder.rglob("*.txt") if path.read_bytes() == BODY)
                    assert whole_files == arguments.files, (name, whole_files)
                    shutil.rmtree(folder)
        finally:
            process.terminate()
            process.join()
    speed = {name: round(arguments.files / statistics.median(times)) for name, times in durations.items()}
    print(
        json.dumps(
            {
                "files": arguments.files,
                "files_a_second": speed,
                "ours_of_plain": round(speed["ours"] / speed["plain"], 2),
                "ours_of_sdk": round(speed["ours"] / speed["sdk"], 2),
            }
        )
    )


if __name__ == "__main__":
    main()
