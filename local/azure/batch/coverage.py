"""The coverage table of the data plane, generated from the routes: `python -m local.azure.batch.coverage`."""

from __future__ import annotations

from local.azure.batch.routes import ROUTES


def coverage() -> str:
    """The coverage table, in Markdown."""
    lines = ["| operation | request | answered |", "|---|---|---|"]
    for route in ROUTES:
        answered = "yes" if route.handler else "501 NotImplemented"
        lines.append(f"| `{route.operation}` | {route.method} `{route.path}` | {answered} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(coverage())
