"""`python tools/typecheck.py`: pyright, for the files whose result is not known yet.

What pyright says of a file follows from that file, from all that it imports (and they import), from the installed
packages and from pyright itself. A file of which nothing changed since pyright found nothing in it is not looked at
again; `.build/pyright.json` remembers the digests of such files, and nothing else. Imports are over-estimated: wherever
in a file they stand, and below every folder where they could be. Looks at the tree of the present folder.

pyright works in one thread, most of its time on azure-native's classes. Unknown files are shared among processes; those
that use azure-native go to one, so that it is read once.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

KNOWN: Final = Path(".build") / "pyright.json"
PROGRAM: Final = Path(sys.executable).with_name("pyright")
EVERYWHERE: Final = ("pyproject.toml", "requirements.txt", "requirements-dev.txt")
"""Files that change the result of every other: settings, and which packages are installed."""
HEAVY: Final = "pulumi_azure_native"
WORTH: Final = 280
"""Other files that take as long as azure-native does."""
FEW: Final = 12
"""Files that one process checks sooner than two would."""


def files(included: Sequence[str]) -> list[Path]:
    """The Python files that pyright would check: tracked or to be."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *included], check=True, capture_output=True, text=True
    ).stdout
    return sorted(
        {Path(name) for name in listed.splitlines() if name.endswith((".py", ".pyi")) and Path(name).is_file()}
    )


def imported(file: Path) -> Iterator[tuple[int, tuple[str, ...]]]:
    """What a file imports: the number of leading dots, and the name in parts."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):
        return  # pyright says so
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((0, tuple(alias.name.split("."))) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = tuple(node.module.split(".")) if node.module else ()
            yield from ((node.level, (*base, alias.name)) for alias in node.names)


def imports(tree: Sequence[Path]) -> tuple[dict[Path, set[Path]], set[Path]]:
    """File -> files of the tree that it may import; and the files that import azure-native.

    pyright looks for a name below the project's folder and beside the importing file; here it may be below any folder
    above that file. A package's own file is imported with each of its modules.
    """
    modules: dict[tuple[str, ...], set[Path]] = defaultdict(set)
    for file in tree:
        parts = file.with_suffix("").parts
        modules[parts[:-1] if parts[-1] == "__init__" else parts].add(file)
    found: dict[Path, set[Path]] = {}
    heavy = set[Path]()
    for file in tree:
        folder = file.parent.parts
        found[file] = set()
        for dots, name in set(imported(file)):
            heavy |= {file} if name[:1] == (HEAVY,) else set()
            tops = [folder[: len(folder) - dots + 1]] if dots else [folder[:end] for end in range(len(folder) + 1)]
            for top in tops:
                for length in range(0 if dots else 1, len(name) + 1):
                    found[file] |= modules.get((*top, *name[:length]), set())
    return found, heavy


def reached(file: Path, graph: Mapping[Path, Iterable[Path]]) -> set[Path]:
    """The file and all that it imports, directly or not."""
    found, left = {file}, [file]
    while left:
        new = set(graph[left.pop()]) - found
        found |= new
        left += new
    return found


def digests(tree: Sequence[Path], graph: Mapping[Path, Iterable[Path]]) -> dict[Path, str]:
    """File -> what its result follows from, as a digest."""
    version = subprocess.run([PROGRAM, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    common = hashlib.sha256(f"{version} {sys.version}".encode())
    for name in EVERYWHERE:
        common.update(Path(name).read_bytes() if Path(name).exists() else b"-")
    contents = {file: f"{file} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in tree}
    return {
        file: hashlib.sha256(
            "\n".join([common.hexdigest(), *sorted(contents[one] for one in reached(file, graph))]).encode()
        ).hexdigest()
        for file in tree
    }


def remembered() -> set[str]:
    try:
        return set(json.loads(KNOWN.read_text()))
    except (OSError, ValueError, TypeError):
        return set()


def parts(unknown: Sequence[Path], graph: Mapping[Path, Iterable[Path]], heavy: set[Path]) -> list[list[Path]]:
    """The files for each process: two processes if there are many files and two processors or more, else one."""
    if len(unknown) <= FEW or (os.cpu_count() or 1) < 2:
        return [list(unknown)]
    using = [file for file in unknown if not heavy.isdisjoint(reached(file, graph))]
    others = [file for file in unknown if file not in set(using)]
    moved = max(0, (len(others) - (WORTH if using else 0)) // 2)  # of neighbours, which import the same
    return [part for part in (using + others[:moved], others[moved:]) if part]


def check(part: Sequence[Path]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *map(str, part)], capture_output=True, text=True, check=False)


def main() -> int:
    """Check what is not known; the exit code is pyright's highest."""
    settings = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["pyright"]
    tree = files(settings["include"])
    graph, heavy = imports(tree)
    keys, known = digests(tree, graph), remembered()
    unknown = [file for file in tree if keys[file] not in known]
    if not unknown:
        print(f"{len(tree)} files, all of them known")
        return 0
    split = parts(unknown, graph, heavy)
    with ThreadPoolExecutor(len(split)) as pool:
        results = list(pool.map(check, split))
    clean = {keys[file] for file in tree if keys[file] in known}  # digests of files as they were are forgotten
    for part, result in zip(split, results, strict=True):
        print(result.stdout, result.stderr, sep="", end="")
        if result.returncode == 0:
            clean |= {keys[file] for file in part}
    KNOWN.parent.mkdir(exist_ok=True)
    new = KNOWN.with_suffix(".new")
    new.write_text(json.dumps(sorted(clean)))
    new.replace(KNOWN)
    print(f"{len(tree)} files, {len(unknown)} of them looked at")
    return max(result.returncode for result in results)


if __name__ == "__main__":
    sys.exit(main())
