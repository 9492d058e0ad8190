"""`python -m local VERB`. The verbs are in `local/cli.py`; this module says what to do when they cannot be loaded."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the verb; a Python without the project's packages is told in words which one to use."""
    try:
        from local.cli import main as run

        return run()
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("", "local"):
            raise
        print(
            f"error: this Python ({sys.executable}) has no package '{error.name}'\n"
            "  cause: the project's packages are in its own virtual environment\n"
            "  next:  make setup, then: .venv/bin/python -m local",
            file=sys.stderr,
        )
        return 1


if __name__ == "__main__":
    sys.exit(main())
