"""`python -m tools.audit`: known vulnerabilities of every locked package, by pip-audit. Needs the Internet; for CI.

pip-audit calls a package that its database does not know "skipped" and ends well. Behind a mirror that is every
package: it then audited nothing. So what was audited is counted here, and a package that was not is a failure.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tools.exits import Exit

ROOT: Final = Path(__file__).resolve().parent.parent
LOCKS: Final = ("requirements-dev.txt", "requirements.txt", "worker/requirements.txt")


def command(lock: str) -> list[str]:
    """pip-audit on a lock file, without resolving or installing anything."""
    program = Path(sys.executable).parent / "pip-audit"
    return [
        str(program),
        "--disable-pip",
        "--require-hashes",
        "--format",
        "json",
        "--progress-spinner",
        "off",
        "-r",
        lock,
    ]


def problems(lock: str, report: Mapping[str, Any]) -> Iterator[str]:
    """What a report says against a lock file, or what it does not say."""
    packages = report.get("dependencies") or []
    audited = [one for one in packages if "vulns" in one and "skip_reason" not in one]
    if not audited:
        yield f"{lock}: no package was audited"
    for one in packages:
        if reason := one.get("skip_reason"):
            yield f"{lock}: {one.get('name')} was not audited: {reason}"
        for found in one.get("vulns") or ():
            fixed = ", ".join(found.get("fix_versions") or ()) or "no version yet"
            yield f"{lock}: {one['name']} {one['version']} has {found['id']}; fixed in {fixed}"


def audit(lock: str) -> list[str]:
    """Run pip-audit on one lock file; its problems."""
    try:
        done = subprocess.run(command(lock), cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return [f"{lock}: there is no pip-audit beside this Python; install requirements-dev.txt"]
    try:
        report = json.loads(done.stdout)
    except ValueError:
        return [f"{lock}: pip-audit ended with {done.returncode} and no report: {done.stderr.strip()[-500:]}"]
    found = list(problems(lock, report))
    if done.returncode and not found:
        found.append(f"{lock}: pip-audit ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.audit", description="Known vulnerabilities of locked packages."
    )
    parser.parse_args(arguments)
    found = [problem for lock in LOCKS for problem in audit(lock)]
    for problem in found:
        print(problem)
    print(f"{'something was found' if found else 'nothing was found'} in {', '.join(LOCKS)}", file=sys.stderr)
    return Exit.FAILED if found else Exit.DONE


if __name__ == "__main__":
    sys.exit(main())
