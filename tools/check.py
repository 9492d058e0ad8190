"""`python -m tools.check`: ruff, pyright and hadolint over the whole tree; the first that finds something decides."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("pyright",),
    ("hadolint", "--no-color", "--failure-threshold", "style"),  # and every Dockerfile
)


def dockerfiles(root: Path) -> list[str]:
    """Every Dockerfile that is tracked or would be."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*Dockerfile"],
        cwd=root, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    return [name for name in sorted(set(listed.splitlines())) if (root / name).exists()]


def main() -> int:
    for program, *arguments in CHECKS:
        files = dockerfiles(ROOT) if program == "hadolint" else []
        command = [Path(sys.executable).parent / program, *arguments, *files]
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        if code:
            print(f"{program} found something (exit code {code})", file=sys.stderr)
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
