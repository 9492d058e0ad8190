"""What of the data plane is there, generated from the routes and bodies.

`python -m local.azure.batch.data_plane.coverage` prints it.
"""

from __future__ import annotations

from collections.abc import Iterator

from local.azure.batch.data_plane import bodies
from local.azure.batch.data_plane.routes import ROUTES
from local.azure.batch.data_plane.schema import Kind, Later, ListOf, Object


def coverage() -> str:
    """The coverage tables, in Markdown: operations, then the properties of their bodies that are refused."""
    lines = ["| operation | request | answered |", "|---|---|---|"]
    for route in ROUTES:
        answered = "yes" if route.handler else "501 NotImplemented"
        lines.append(f"| `{route.operation}` | {route.method} `{route.path}` | {answered} |")
    lines += ["", "| property | refused with 501 NotImplemented, except |", "|---|---|"]
    for name, body in (("job", bodies.JOB), ("task", bodies.TASK)):
        for path, later in refused(body, name):
            lines.append(f"| `{path}` | {' '.join(map(str, later.harmless)).lower()} |")
    return "\n".join(lines)


def refused(kind: Kind, path: str) -> Iterator[tuple[str, Later]]:
    """The properties below `path` that the local Azure does not have yet."""
    if isinstance(kind, Later):
        yield path, kind
    elif isinstance(kind, ListOf):
        yield from refused(kind.kind, f"{path}[]")
    elif isinstance(kind, Object):
        for name, item in kind.properties.items():
            yield from refused(item, f"{path}.{name}")


if __name__ == "__main__":
    print(coverage())
