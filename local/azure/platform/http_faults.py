"""Where an HTTP service meets faults on purpose: around its handler, before anything of the request is looked at.

Owns what each kind of fault does to a request; how the service words its refusals is the service's own (`Refuse`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from aiohttp import web

from local.azure.platform.faults import REQUEST, Faults, Rule, under

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Refuse = Callable[[web.Request, str], web.StreamResponse]
"""(request, `throttle` or `fail`): the service's own answer to too many requests, or to a failure of its own."""
Answer = TypeVar("Answer")


class HttpFaults:
    """One service's point where faults happen. `name` gives the name of a request's operation, where it has one."""

    def __init__(
        self, faults: Faults, service: str, refuse: Refuse, name: Callable[[web.Request], str] = lambda request: ""
    ) -> None:
        self._faults = faults
        self._service = service
        self._refuse = refuse
        self._name = name

    def around(self, handler: Handler) -> Handler:
        """The handler, with the faults of its service."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if not self._faults.any:
                return await handler(request)
            text = f"{self._name(request)} {request.method} {request.path}".strip()
            rules = self._faults.meet(self._service, REQUEST, text)

            def refuse(kind: str, headers: Mapping[str, str]) -> web.StreamResponse:
                answer = self._refuse(request, kind)
                answer.headers.update(headers)
                return answer

            def cut() -> web.StreamResponse:
                if request.transport is not None:
                    request.transport.abort()
                return web.Response(status=500)  # the connection is closed: no client reads it

            return await meet(rules, lambda: handler(request), refuse, cut, lambda answer: answer.prepared)

        return handle


async def meet(
    rules: list[Rule],
    proceed: Callable[[], Awaitable[Answer]],
    refuse: Callable[[str, Mapping[str, str]], Answer],
    cut: Callable[[], Answer],
    sent: Callable[[Answer], bool] = lambda answer: False,
) -> Answer:
    """A request under these rules. `sent`: whether an answer is on its way already and can only be cut."""
    kinds = {rule.kind: rule for rule in rules}
    if "delay" in kinds:
        await asyncio.sleep(sum(rule.seconds for rule in rules if rule.kind == "delay"))
    if "cut" in kinds:
        return cut()
    if rule := kinds.get("throttle"):
        return refuse("throttle", {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)})
    if "fail" in kinds:
        return refuse("fail", {})
    if not rules:
        return await proceed()
    with under(rules):
        answer = await proceed()
    if "apply-then-cut" in kinds or ("apply-then-fail" in kinds and sent(answer)):
        return cut()
    return refuse("fail", {}) if "apply-then-fail" in kinds else answer
