"""The JSON of a request's body: one reader for every surface, with one rule set."""

from __future__ import annotations

import json
import math
from typing import Any

_DEEPEST = 64  # objects and arrays in each other [guess]: far above any resource, far below what a stack takes


def parse(raw: bytes) -> Any:
    """A request's JSON: Unicode, no property twice in an object, no number that JSON does not have, not nested deeply.

    The ValueError has the reason. Every service that reads JSON reads it by these rules.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"the property '{twice[:60]}' is there twice in one object")
        return found

    def constant(word: str) -> Any:
        raise ValueError(f"{word} is no JSON number")

    def number(text: str) -> float:
        if not math.isfinite(value := float(text)):
            raise ValueError(f"the number {text[:20]} is too large")
        return value

    try:
        body = json.loads(raw, object_pairs_hook=unique, parse_constant=constant, parse_float=number)
        if b"\\u" in raw or b"\xed" in raw:  # only these can be lone surrogates, which no text on disk can hold
            json.dumps(body, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep") from error
    except UnicodeError as error:
        raise ValueError(f"it is not Unicode text: {error}") from error
    if _depth(body) > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} levels deep")
    return body


def _depth(body: Any) -> int:
    depth, level = 0, [body]
    while level := [
        below
        for one in level
        if isinstance(one, dict | list)
        for below in (one.values() if isinstance(one, dict) else one)
    ]:
        depth += 1
    return depth
