"""Who imports whom, read from the syntax trees of a source tree, for `tests/test_structure.py`.

Counted: every import statement, wherever it stands (inside a function, under `TYPE_CHECKING`), absolute or relative.
Not counted: that Python imports the packages around a module, too, before the module itself.
"""

from __future__ import annotations

import ast
import graphlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path


@cache
def syntax_tree(path: Path) -> ast.Module:
    """The file, parsed once a session: no test changes one that it has read."""
    return ast.parse(path.read_text())


def module_name(file: Path) -> str:
    """`local/azure/app.py` as `local.azure.app`; a package by its own name."""
    parts = file.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def import_graph(root: Path, files: Iterable[Path]) -> dict[str, set[str]]:
    """For each module among `files` (relative to `root`) the modules among them that it imports."""
    names = {module_name(file): file for file in files}
    return {name: _imported(root / file, name, names) - {name} for name, file in names.items()}


def first_circle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """One circle, each node importing the next, the first again at the end; empty when there is none."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []


def room_of(module: str, rooms: Iterable[str]) -> str:
    """The longest of `rooms` (dotted prefixes) that holds the module; empty when none does."""
    return max((room for room in rooms if module == room or module.startswith(f"{room}.")), key=len, default="")


def against_the_arrows(graph: Mapping[str, Iterable[str]], may_import: Mapping[str, Iterable[str]]) -> list[str]:
    """Every import from one room into another that its row does not name."""
    return sorted(
        f"{module} imports {other}"
        for module, others in graph.items()
        for other in others
        if (room := room_of(module, may_import)) != (there := room_of(other, may_import))
        and there not in may_import.get(room, ())
    )


def _imported(path: Path, name: str, names: Mapping[str, Path]) -> set[str]:
    imported: set[str] = set()
    for node in ast.walk(syntax_tree(path)):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names if alias.name in names)
        elif isinstance(node, ast.ImportFrom):
            package = _package(name, path, node.level)
            base = ".".join(part for part in (package, node.module) if part)
            whole = {f"{base}.{alias.name}" if f"{base}.{alias.name}" in names else base for alias in node.names}
            imported.update(whole & names.keys())
    return imported


def _package(name: str, path: Path, level: int) -> str:
    """What the dots of a relative import stand for."""
    if not level:
        return ""
    parts = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    return ".".join(parts[: len(parts) - level + 1])
