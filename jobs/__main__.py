"""`python -m jobs VERB`. The verbs are in `jobs/verbs`; this module only finds out whether they can be loaded."""

from __future__ import annotations

import sys

from .exits import Exit


def main() -> int:
    """Run the verb; a Python without the project's packages is told in words which one to use."""
    try:
        from .cli import main as run

        return run()  # a verb is loaded, and with it its packages, when it is asked for
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("", "jobs"):
            raise
        print(
            f"error: this Python ({sys.executable}) has no package '{error.name}'\n"
            "  cause: the project's packages are in its own virtual environment\n"
            "  next:  make setup, then: .venv/bin/python -m jobs",
            file=sys.stderr,
        )
        return Exit.USAGE


if __name__ == "__main__":
    sys.exit(main())
