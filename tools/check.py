"""`python -m tools.check`: ruff and pyright over the whole tree; the first that finds something decides."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("pyright",),
)


def main() -> int:
    for program, *arguments in CHECKS:
        code = subprocess.run([Path(sys.executable).parent / program, *arguments], cwd=ROOT, check=False).returncode
        if code:
            print(f"{program} found something (exit code {code})", file=sys.stderr)
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
