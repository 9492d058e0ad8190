"""A Batch data plane for measuring: keeps a count only, answers as the recorded service does, can be slow or say no.

Its own process, `python -m benchmarks.standin` with options; prints its port. Hand-made on asyncio's protocols, so that
it is not what limits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time
from typing import Any

ADDED = (
    '{"status":"Success","taskId":"%s","eTag":"0x8DB77E8D6557424","lastModified":"2026-11-23T00:00:00.1234567Z",'
    '"location":"https://account.westeurope.batch.azure.com/jobs/j/tasks/%s"}'
)


class Service:
    """The limits, and what was counted."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.dice = random.Random(1)
        self.reset()

    def reset(self) -> None:
        self.tasks = self.requests = self.refused = self.refused_later = self.requests_later = 0
        self.first = self.last = 0.0
        self.again: set[str] = set()  # added, and not told
        self.tokens = float(self.options.burst or self.options.rate)
        self.filled = time.monotonic()

    def allows(self) -> bool:
        now = time.monotonic()
        self.first = self.first or now
        self.requests += 1
        later = now - self.first > 1.0
        self.requests_later += later
        if self.options.rate:
            most = self.options.burst or self.options.rate
            self.tokens = min(most, self.tokens + (now - self.filled) * self.options.rate)
            self.filled = now
            if self.tokens < 1:
                self.refused += 1
                self.refused_later += later
                return False
            self.tokens -= 1
        self.last = now
        return True

    def figures(self) -> dict[str, Any]:
        names = ("tasks", "requests", "refused", "requests_later", "refused_later")
        return {name: getattr(self, name) for name in names} | {"seconds": self.last - self.first}


class Connection(asyncio.Protocol):
    def __init__(self, service: Service) -> None:
        self.service = service
        self.data = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = bytes(self.data[:end])
            at = head.lower().find(b"content-length:")
            length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self.data) < end + 4 + length:
                return
            body = bytes(self.data[end + 4 : end + 4 + length])
            del self.data[: end + 4 + length]
            self.answer(head.split(b" ", 2)[1].decode(), body)

    def answer(self, path: str, body: bytes) -> None:
        service, latency = self.service, self.service.options.latency
        if "/addtaskcollection" in path:
            if not service.allows():
                after = service.options.retry_after
                extra = f"Retry-After: {after}\r\n" if after is not None else ""
                code = {429: "TooManyRequests", 503: "ServerBusy"}[service.options.refusal]
                said = f'{{"code":"{code}","message":{{"lang":"en-US","value":"too many"}}}}'
                self.later(latency, service.options.refusal, said, extra)
                return
            noise = service.options.noise if service.dice.random() < service.options.noise_share else ""
            if noise in ("429", "503"):
                after = service.options.retry_after
                extra = f"Retry-After: {after}\r\n" if after is not None else ""
                self.later(latency, int(noise), '{"code":"ServerBusy"}', extra)
                return
            ids = [task["id"] for task in json.loads(body)["value"]]
            fresh = [name for name in ids if name not in service.again]
            service.tasks += len(fresh)
            if noise:  # carried out, and not told
                service.again.update(fresh)
                if noise == "reset":
                    self.transport.abort()  # type: ignore[attr-defined]
                else:
                    self.later(latency, 500, '{"code":"InternalError"}')
                return
            if service.again and len(fresh) < len(ids):
                exists = '{"status":"ClientError","taskId":"%s","error":{"code":"TaskExists"}}'
                items = [(exists % name) if name in service.again else ADDED % (name, name) for name in ids]
                self.later(latency, 200, '{"value":[' + ",".join(items) + "]}")
                return
            self.later(latency, 200, '{"value":[' + ",".join([ADDED % (name, name) for name in ids]) + "]}")
        elif "/taskcounts" in path:
            self.later(0, 200, json.dumps({"taskCounts": {"active": service.tasks, "running": 0, "completed": 0}}))
        elif path == "/reset":
            service.reset()
            self.later(0, 200, "{}")
        else:
            self.later(0, 200, json.dumps(service.figures()))

    def later(self, seconds: float, status: int, text: str, extra: str = "") -> None:
        data = text.encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{extra}Content-Length: {len(data)}\r\n\r\n"
        if seconds:
            asyncio.get_running_loop().call_later(seconds, self.write, head.encode() + data)
        else:
            self.write(head.encode() + data)

    def write(self, data: bytes) -> None:
        self.transport.write(data)  # type: ignore[attr-defined]


async def serve(options: argparse.Namespace) -> None:
    service = Service(options)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(service), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--burst", type=float, default=0.0)
    parser.add_argument("--refusal", type=int, default=429)
    parser.add_argument("--retry-after", type=float)
    parser.add_argument("--noise", choices=("429", "503", "500", "reset"), help="what some requests meet, at random")
    parser.add_argument("--noise-share", type=float, default=0.0)
    asyncio.run(serve(parser.parse_args()))
