"""Requests that make no sense: bodies with something wrong in them, and what every answer to one has to keep to."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Mapping
from http.client import HTTPConnection
from typing import Any, Final

SLOW_SECONDS: Final = 10
JUNK: list[Any] = [None, True, 0, -1, 2**70, 1.5, "", "x", "é\u0000", [], [[]], {}, {"a": None}, ["x"] * 101]


def mutated(chance: random.Random, value: Any) -> Any:
    """A body with something wrong somewhere, or somewhere else."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        name = chance.choice(list(value))
        if chance.random() < 0.1:
            return {**value, name + "X": 1}
        return {**value, name: mutated(chance, value[name])}
    if isinstance(value, list) and value and chance.random() < 0.7:
        return [mutated(chance, value[0]), *value[1:]]
    return chance.choice(JUNK)


def answer_to(
    connection: HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    data: bytes | None,
    allowed: Collection[int],
) -> tuple[int, bytes, str]:
    """Status and body of the answer, which comes soon and is no failure of the server but those `allowed`; and all of
    it as text, for a judgement of one's own. Closes the connection."""
    began = time.monotonic()
    try:
        connection.request(method, target, data, dict(headers))
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    said = f"{method} {target[:300]} {headers} {(data or b'')[:300]!r}: {answer.status} {text[:500]!r}"
    assert answer.status < 500 or answer.status in allowed, said
    assert time.monotonic() - began < SLOW_SECONDS, said
    return answer.status, text, said
