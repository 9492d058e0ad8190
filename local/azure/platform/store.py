"""The one store of the local Azure: JSON documents by (kind, key) in one SQLite file, safe against kill -9.

Owns durability and atomicity; knows nothing of what the documents mean. WAL with `synchronous=NORMAL`: a killed process
loses nothing that was committed; only a power cut may lose the last moments (never consistency).
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS documents "
    "(kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID"
)
_LAST = "\U0010ffff"
_PUT = "INSERT OR REPLACE INTO documents VALUES (?, ?, ?)"
_encode_deep = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def _encode(body: dict[str, Any]) -> str:
    """JSON by pydantic, in a quarter of json's time; json takes what is nested too deeply for it."""
    try:
        return to_json(body).decode()
    except ValueError:
        return _encode_deep(body)


def _decode(text: str) -> dict[str, Any]:
    """See `_encode`; the names of fields are one text in memory, other texts are the document's own."""
    try:
        return from_json(text, cache_strings="keys")
    except ValueError:
        return json.loads(text)


class Store:
    """Documents by kind and key. Keys are listed in byte order, so pages can go on `after` the last one seen."""

    def __init__(self, path: Path | None) -> None:
        """Open the file (made with mode 0600), or a store in memory when `path` is None."""
        if path is not None and not path.exists():
            path.touch(mode=0o600)
        self._lock = threading.RLock()
        self._depth = 0
        self._later: dict[tuple[str, str], Callable[[], dict[str, Any]]] = {}
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=30)
        if path is not None:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(_SCHEMA)

    def get(self, kind: str, key: str) -> dict[str, Any] | None:
        """Return the document, or None."""
        with self._lock:
            self._flush()
            row = self._db.execute("SELECT body FROM documents WHERE kind=? AND key=?", (kind, key)).fetchone()
        return None if row is None else _decode(row[0])

    def put(self, kind: str, key: str, body: dict[str, Any]) -> None:
        """Write the document, replacing one that is there."""
        text = _encode(body)
        with self._lock:
            self._later.pop((kind, key), None)
            self._db.execute(_PUT, (kind, key, text))

    def put_later(self, kind: str, key: str, body: Callable[[], dict[str, Any]]) -> None:
        """Write what `body` gives when the transaction that is open commits: once, however often it is put; at once
        when none is open."""
        with self._lock:
            if self._depth:
                self._later[kind, key] = body
            else:
                self.put(kind, key, body())

    def _flush(self) -> None:
        if self._later:
            rows = [(kind, key, _encode(body())) for (kind, key), body in self._later.items()]
            self._later.clear()
            self._db.executemany(_PUT, rows)

    def delete(self, kind: str, key: str) -> bool:
        """Remove the document; False when there was none."""
        with self._lock:
            self._flush()
            return self._db.execute("DELETE FROM documents WHERE kind=? AND key=?", (kind, key)).rowcount > 0

    def delete_all(self, kind: str, prefix: str) -> None:
        """Remove every document of the kind whose key starts with `prefix`."""
        with self._lock:
            self._flush()
            self._db.execute("DELETE FROM documents WHERE kind=? AND key>=? AND key<=?", (kind, prefix, prefix + _LAST))

    def items(
        self, kind: str, prefix: str = "", after: str = "", limit: int | None = None
    ) -> list[tuple[str, dict[str, Any]]]:
        """Documents in key order: those whose key starts with `prefix` and is greater than `after`, at most `limit`."""
        with self._lock:
            self._flush()
            rows = self._db.execute(
                "SELECT key, body FROM documents WHERE kind=? AND key>=? AND key<=? AND key>? ORDER BY key LIMIT ?",
                (kind, prefix, prefix + _LAST, after, -1 if limit is None else limit),
            ).fetchall()
        return [(key, _decode(body)) for key, body in rows]

    def scan(self, kind: str, prefix: str = "") -> Iterator[dict[str, Any]]:
        """Yield the documents in key order, without holding all of them. The table must not be written meanwhile."""
        with self._lock:
            self._flush()
            rows = self._db.execute(
                "SELECT body FROM documents WHERE kind=? AND key>=? AND key<=? ORDER BY key",
                (kind, prefix, prefix + _LAST),
            )
            for (body,) in rows:
                yield _decode(body)

    def count(self, kind: str, prefix: str = "") -> int:
        """How many documents of the kind have a key starting with `prefix`."""
        with self._lock:
            self._flush()
            query = "SELECT COUNT(*) FROM documents WHERE kind=? AND key>=? AND key<=?"
            return self._db.execute(query, (kind, prefix, prefix + _LAST)).fetchone()[0]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; an inner transaction that fails undoes only its own part. Never await inside."""
        with self._lock:
            self._flush()
            name = f"level{self._depth}"
            self._db.execute("BEGIN IMMEDIATE" if self._depth == 0 else f"SAVEPOINT {name}")
            self._depth += 1
            try:
                yield
                self._flush()
            except BaseException:
                self._depth -= 1
                self._later.clear()
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                else:
                    self._db.execute(f"ROLLBACK TO {name}")
                    self._db.execute(f"RELEASE {name}")
                raise
            self._depth -= 1
            self._db.execute("COMMIT" if self._depth == 0 else f"RELEASE {name}")

    def close(self) -> None:
        """Close the file; every later call fails."""
        with self._lock:
            self._db.close()
