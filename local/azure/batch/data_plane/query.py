"""List options: `$filter`, `$select`, `$expand`, `maxresults`; paging by `$skiptoken` behind an `odata.nextLink`."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import quote

from local.azure.batch.data_plane.filters import Fields, Filter, Item, Row, parse_filter
from local.azure.batch.errors import InvalidQueryParameterValue
from local.azure.platform.faults import conditions

MAX_RESULTS = 1000


def wrong(name: str, value: str, reason: str) -> InvalidQueryParameterValue:
    """The service's answer to a wrong query parameter."""
    return InvalidQueryParameterValue(
        details=[("QueryParameterName", name), ("QueryParameterValue", value), ("Reason", reason)]
    )


def select(query: Mapping[str, str], properties: Collection[str]) -> frozenset[str] | None:
    """The properties to show (in their right spelling), None for all. `stats` may be expanded; we have none to show."""
    expand = query.get("$expand")
    if expand and expand.lower() != "stats":
        raise wrong("$expand", expand, "only 'stats' can be expanded")
    text = query.get("$select")
    if not text:
        return None
    by_lower = {name.lower(): name for name in properties}
    chosen = []
    for name in (part.strip() for part in text.split(",")):
        top = name.split("/")[0].lower()
        if top not in by_lower:
            raise wrong("$select", text, f"unknown property {name!r}; known: {', '.join(sorted(by_lower.values()))}")
        chosen.append(by_lower[top])
    return frozenset(chosen)


def shown(item: dict[str, Any], chosen: frozenset[str] | None) -> dict[str, Any]:
    """The chosen properties of one resource."""
    return item if chosen is None else {name: value for name, value in item.items() if name in chosen}


def after(query: Mapping[str, str]) -> str:
    """The position behind which the page begins: that of the last resource of the page before."""
    return _decode(query["$skiptoken"]) if query.get("$skiptoken") else ""


def filter_of(query: Mapping[str, str], properties: Collection[str], fields: Fields | None = None) -> Filter | None:
    """What the request wants to see, None for all."""
    return parse_filter(query["$filter"], properties, fields) if query.get("$filter") else None


def page(
    items: Iterable[tuple[str, Item]],
    query: Mapping[str, str],
    properties: Collection[str],
    url: str,
    fields: Fields | None = None,
) -> dict[str, Any]:
    """One page of (position, resource) pairs, which come in the order of their positions; `url` is this list's.
    `fields`: what a filter reads from the records of rows. The wire form is made of what is on the page.

    What was deleted since the page before does no harm: the next page begins behind its position.
    """
    limit = 1 if conditions().partial else _max_results(query)
    chosen = select(query, properties)
    keep = filter_of(query, properties, fields)
    start = after(query)
    rows: list[dict[str, Any]] = []
    last = ""
    for position, item in items:
        if position <= start or (keep is not None and not keep(item)):
            continue
        if len(rows) == limit:
            return {"value": rows, "odata.nextLink": _next(url, query, last)}
        rows.append(shown(item.wire() if isinstance(item, Row) else item, chosen))
        last = position
    return {"value": rows}


def _max_results(query: Mapping[str, str]) -> int:
    """The texts are recorded for numbers below 1 [guess: the others]."""
    text = query.get("maxresults", str(MAX_RESULTS))
    if re.fullmatch(r"-?[0-9]{1,10}", text) is None:
        raise wrong("maxresults", text, "MaxResults is not a number")
    if int(text) < 1:
        raise wrong("maxresults", text, "MaxResults cannot be less than 1")
    if int(text) > MAX_RESULTS:
        raise wrong("maxresults", text, f"MaxResults cannot be greater than {MAX_RESULTS}")
    return int(text)


def _next(url: str, query: Mapping[str, str], last: str) -> str:
    kept = {name: value for name, value in query.items() if name != "$skiptoken"}
    kept["$skiptoken"] = "LOCAL!" + base64.urlsafe_b64encode(last.encode()).decode()
    return f"{url}?" + "&".join(f"{quote(name, safe='$-')}={quote(value, safe='')}" for name, value in kept.items())


def _decode(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.removeprefix("LOCAL!").encode()).decode()
    except (binascii.Error, ValueError) as error:
        raise wrong("$skiptoken", token, "this token was not made by the service") from error
