"""`python -m jobs VERB`. The verbs are in `jobs/verbs`; this module only finds out whether they can be loaded."""

from __future__ import annotations

import sys

OLDEST = (3, 11)
NEXT = "make setup, then: .venv/bin/python -m jobs"


def main() -> int:
    """Run the verb; a Python without the project's packages is told in words which one to use."""
    if sys.version_info < OLDEST:
        return _refuse(f"this Python ({sys.executable}) is {sys.version.split()[0]}", "the project needs 3.11 or later")
    try:
        from .terminal import streams

        streams.prepare()
        from .command.cli import main as run  # a verb is loaded, and with it its packages, when it is asked for
        from .signals import raise_on_end

        raise_on_end()
        code = run()
    except KeyboardInterrupt:  # while the packages are loaded; later ones are the command line's
        _tell("interrupted; nothing was done")
        return 130
    except ImportError as error:
        if (error.name or "").split(".")[0] in ("", "jobs"):
            return _defect(error)
        what = f"has no package '{error.name}'" if isinstance(error, ModuleNotFoundError) else f"cannot load {error}"
        return _refuse(f"this Python ({sys.executable}) {what}", "the project's packages are in its own environment")
    except SystemExit as end:  # --help
        code = end.code if isinstance(end.code, int) else 0
    return _end(code)


def _end(code: int) -> int:
    from .exits import Exit
    from .terminal import streams

    failure = streams.let_go()
    if failure is None or isinstance(failure, BrokenPipeError) or code != Exit.OK:
        return code
    _tell(f"error: stdout could not be written: {failure.strerror}")
    return Exit.MACHINE


def _defect(error: Exception) -> int:
    """A part of this program cannot be loaded."""
    from .errors import from_outside

    told = from_outside(error)
    _tell(f"error: {told}")
    return told.exit


def _refuse(fact: str, cause: str) -> int:
    _tell(f"error: {fact}\n  cause: {cause}\n  next:  {NEXT}")
    return 2


def _tell(text: str) -> None:
    """What is said before the command line's printer (`terminal/render.py`) can be loaded, or after it is gone."""
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
