"""House facts: imports go one way, every room says what it owns, nothing is silently left out of the tests."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.import_graph import against_the_arrows, first_circle, import_graph, module_name, room_of, syntax_tree

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("infra", "bootstrap", "jobs", "worker", "local", "policy", "tools", "ci")
THIS = Path(__file__).resolve()

# room -> packages it must not import
_PROOFS = {"tests", "testbeds", "benchmarks"}
FORBIDDEN = {
    "infra": {"local", "jobs", "worker", *_PROOFS},
    "bootstrap": {"local", "jobs", "worker", "policy", "ci", *_PROOFS},
    "jobs": {"local", "infra", "worker", *_PROOFS},
    "worker": {"local", "infra", "jobs", *_PROOFS},
    "local": {"infra", "jobs", "worker", *_PROOFS},
    "local/azure": {"pulumi", "pulumi_azure_native"},
    "policy": {"local", "infra", "jobs", "worker", "pulumi_azure_native", *_PROOFS},
    "ci": {"infra", "jobs", "worker", *_PROOFS},
    "tools": {"local", "infra", "jobs", "worker", *_PROOFS},
    "testbeds": {"tests", "benchmarks"},
    "benchmarks": {"tests"},
}

# Packages whose modules import one another by relative names: the worker's is installed in an image without the rest of
# the repository, and `jobs` is a program of its own. Everywhere else imports say the whole name.
RELATIVE = ("worker/docker_worker/", "jobs/")

# Rooms of local/ -> the rooms that each may import, besides itself. A module is in the room with the longest name.
_AZURE = "local.azure"
_BATCH = f"{_AZURE}.batch"
_SQL = f"{_AZURE}.sql"
_CLOUD = {"local.paths", f"{_AZURE}.platform", f"{_AZURE}.control_plane"}
_BATCH_DATA = {f"{_BATCH}.errors", f"{_BATCH}.model"}
_SERVICES = {f"{_AZURE}.{service}" for service in ("identity", "arm", "blobs", "registry", "batch")}
MAY_IMPORT: dict[str, set[str]] = {
    "local.paths": set(),
    "local.errors": set(),
    "local.exits": set(),
    "local.console": set(),
    "local.node.contract": set(),
    "local.node.agent": {"local.node.contract"},
    "local.node": {"local.paths", "local.node.contract", "local.node.agent"},
    f"{_AZURE}.platform": {"local.paths"},
    f"{_AZURE}.control_plane": {"local.paths", f"{_AZURE}.platform"},
    f"{_AZURE}.identity": _CLOUD,
    f"{_AZURE}.arm": {*_CLOUD, f"{_AZURE}.identity"},
    f"{_AZURE}.blobs": _CLOUD,
    f"{_AZURE}.registry": _CLOUD,
    f"{_BATCH}.errors": {f"{_AZURE}.platform"},
    f"{_BATCH}.model": {f"{_AZURE}.platform", "local.node.contract"},
    f"{_BATCH}.autoscale": set(),
    f"{_BATCH}.decisions": {*_CLOUD, *_BATCH_DATA, "local.node.contract"},
    f"{_BATCH}.scheduling": {
        *_CLOUD, *_BATCH_DATA, f"{_BATCH}.autoscale", f"{_BATCH}.decisions", "local.node.contract",
    },
    f"{_BATCH}.account": {
        *_CLOUD, *_BATCH_DATA, f"{_BATCH}.decisions", f"{_BATCH}.scheduling", "local.node.contract",
    },
    f"{_BATCH}.data_plane": {
        *_CLOUD, *_BATCH_DATA, f"{_BATCH}.autoscale", f"{_BATCH}.decisions", f"{_BATCH}.scheduling",
        f"{_BATCH}.account", "local.node.contract",
    },
    f"{_BATCH}.accounts": {*_CLOUD, f"{_BATCH}.account", f"{_BATCH}.data_plane", "local.node.contract"},
    f"{_BATCH}.hooks": {
        *_CLOUD, *_BATCH_DATA, f"{_BATCH}.scheduling", f"{_BATCH}.account", f"{_BATCH}.data_plane",
        f"{_BATCH}.accounts",
    },
    _BATCH: {*_CLOUD, f"{_BATCH}.account", f"{_BATCH}.accounts", f"{_BATCH}.hooks", "local.node.contract"},
    f"{_SQL}.errors": set(),
    f"{_SQL}.faults": {f"{_AZURE}.platform", f"{_SQL}.errors"},
    f"{_SQL}.tds": {f"{_SQL}.errors"},
    f"{_SQL}.statements": {f"{_SQL}.errors"},
    f"{_SQL}.stores": {"local.paths", f"{_SQL}.errors", f"{_SQL}.tds", f"{_SQL}.statements"},
    f"{_SQL}.sessions": {
        *_CLOUD, f"{_SQL}.errors", f"{_SQL}.faults", f"{_SQL}.tds", f"{_SQL}.statements", f"{_SQL}.stores",
    },
    _SQL: {*_CLOUD, f"{_SQL}.faults", f"{_SQL}.tds", f"{_SQL}.stores", f"{_SQL}.sessions"},
    _AZURE: {*_CLOUD, *_SERVICES, "local.node", "local.node.contract"},
    "local.processes": {*_CLOUD, "local.errors", _AZURE, f"{_AZURE}.blobs", f"{_AZURE}.registry"},
    "local.testing": {*_CLOUD, _AZURE, f"{_AZURE}.blobs", f"{_AZURE}.registry", "local.node", "local.node.contract"},
    "local.plugins": set(),
    "local.deployment": {
        "local.paths", "local.errors", "local.console", "local.processes", "local.node", "local.plugins",
        f"{_AZURE}.platform", _SQL, f"{_SQL}.errors",
    },
    "local": {  # the commands of `python -m local`
        "local.paths", "local.errors", "local.exits", "local.console", "local.processes", "local.deployment",
        "local.node", f"{_AZURE}.platform", f"{_SQL}.errors",
    },
}  # fmt: skip

# Rooms and single modules of jobs/ -> what each may import, besides itself.
_BASEMENT = {
    f"jobs.{module}" for module in ("errors", "exits", "clock", "durations", "times", "text", "ids", "signals")
}
_SEEN = {*_BASEMENT, "jobs.service", "jobs.terminal", "jobs.session"}
_FILES = {"jobs.files.document", "jobs.files.model", "jobs.files.checks", "jobs.files.expand"}
_WORK = {"jobs.submission", "jobs.files", "jobs.state", "jobs.plan"}
JOBS_MAY_IMPORT: dict[str, set[str]] = {
    "jobs.exits": set(),
    "jobs.errors": {"jobs.exits"},
    "jobs.signals": {"jobs.exits"},
    "jobs.clock": set(),
    "jobs.durations": set(),
    "jobs.times": set(),
    "jobs.text": set(),
    "jobs.ids": set(),
    "jobs.submission": _BASEMENT,
    "jobs.service": {*_BASEMENT, "jobs.submission"},
    "jobs.terminal": _BASEMENT,
    "jobs.session": {*_BASEMENT, "jobs.service", "jobs.terminal"},
    "jobs.files.document": _BASEMENT,
    "jobs.files.model": {*_BASEMENT, "jobs.files.document"},
    "jobs.files.checks": {*_BASEMENT, "jobs.files.document", "jobs.files.model"},
    "jobs.files.expand": {*_BASEMENT, "jobs.files.document", "jobs.files.model", "jobs.files.checks"},
    "jobs.files": {*_BASEMENT, *_FILES},
    "jobs.state": {*_SEEN, "jobs.files.model", "jobs.submission"},
    "jobs.plan": {*_SEEN, *_FILES, "jobs.files", "jobs.submission", "jobs.state"},
    "jobs.report": {*_SEEN, "jobs.files.checks", "jobs.state", "jobs.plan"},
    "jobs.preflight": {*_BASEMENT, "jobs.service"},
    "jobs.verbs": {*_SEEN, *_FILES, *_WORK, "jobs.report", "jobs.preflight"},
    "jobs.dashboard": {*_SEEN, "jobs.files.checks", "jobs.state", "jobs.report", "jobs.verbs"},
    "jobs.verbs.look.dashboard": {*_SEEN, "jobs.dashboard"},
    "jobs.command": {*_SEEN, "jobs.verbs"},
    "jobs.verbs.help": {*_SEEN, "jobs.preflight", "jobs.verbs", "jobs.command"},
    "jobs": {*_BASEMENT, "jobs.terminal", "jobs.command"},  # `python -m jobs`
}


@cache
def files() -> tuple[Path, ...]:
    """The files that are tracked or would be: what a clone has. Asked of git once: no test makes one."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    return tuple(sorted(Path(name) for name in listed.splitlines() if (ROOT / name).is_file()))


def modules(*rooms: str) -> list[Path]:
    """The Python files of these rooms, or all."""
    folders = tuple(f"{room}/" for room in rooms)
    return [file for file in files() if file.suffix == ".py" and (not rooms or file.as_posix().startswith(folders))]


@cache
def import_statements(file: Path) -> tuple[ast.Import | ast.ImportFrom, ...]:
    return tuple(node for node in ast.walk(syntax_tree(ROOT / file)) if isinstance(node, ast.Import | ast.ImportFrom))


def imported(file: Path) -> Iterator[str]:
    for node in import_statements(file):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("room", FORBIDDEN)
def test_imports_go_one_way(room: str) -> None:
    files = modules(room)
    assert files, f"{room} has no modules: this test would prove nothing"
    wrong = {
        f"{file} imports {name}"
        for file in files
        for name in imported(file)
        for package in FORBIDDEN[room]
        if within(name, package)
    }
    assert not wrong


def test_each_room_of_local_imports_only_what_its_row_names() -> None:
    graph = import_graph(ROOT, modules("local"))
    assert against_the_arrows(graph, MAY_IMPORT) == []


def test_every_room_of_the_table_has_modules() -> None:
    rooms = {room_of(module_name(file), MAY_IMPORT) for file in modules("local")}
    assert rooms == set(MAY_IMPORT)


def test_each_room_of_jobs_imports_only_what_its_row_names() -> None:
    graph = import_graph(ROOT, modules("jobs"))
    assert against_the_arrows(graph, JOBS_MAY_IMPORT) == []
    assert {room_of(module, JOBS_MAY_IMPORT) for module in graph} == set(JOBS_MAY_IMPORT)


def test_no_import_circle_exists_between_modules() -> None:
    graph = import_graph(ROOT, modules(*ROOMS))
    assert sum(map(len, graph.values())) > 500, "the graph is nearly empty: this test would prove nothing"
    assert first_circle(graph) == []


def test_no_import_circle_exists_between_rooms() -> None:
    """The imports obey the tables (above), so it is enough that these have no circle."""
    assert first_circle(MAY_IMPORT) == []
    assert first_circle({room: others - {room} for room, others in JOBS_MAY_IMPORT.items()}) == []


PLANTED_CIRCLES = {
    "absolute": ("from house.b import two", "import house.a"),
    "relative": ("from .b import two", "from . import a"),
    "for types only": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.b import two",
        "from house import a",
    ),
    "in a function": ("def one():\n    from house import b", "from house.a import one"),
}


@pytest.mark.parametrize("circle", PLANTED_CIRCLES)
def test_a_planted_circle_is_found(circle: str, tmp_path: Path) -> None:
    house = tmp_path / "house"
    house.mkdir()
    for name, text in zip(("__init__", "a", "b", "c"), ("", *PLANTED_CIRCLES[circle], "import house.a"), strict=True):
        (house / f"{name}.py").write_text(text + "\n")
    graph = import_graph(tmp_path, [file.relative_to(tmp_path) for file in house.iterdir()])
    assert set(first_circle(graph)) == {"house.a", "house.b"}


def test_a_planted_import_against_the_arrows_is_found(tmp_path: Path) -> None:
    for room, text in (("low", "from house.high import door"), ("high", "from house import low")):
        (tmp_path / "house" / room).mkdir(parents=True)
        (tmp_path / "house" / room / "__init__.py").write_text(text + "\n")
    files = [file.relative_to(tmp_path) for file in tmp_path.rglob("*.py")]
    table = {"house.low": set[str](), "house.high": {"house.low"}}
    assert against_the_arrows(import_graph(tmp_path, files), table) == ["house.low imports house.high"]


LONG_CORRIDORS = {"tools/setup": 14}
"""A module for each thing that the set-up brings to a machine, in the order of `steps.py`."""


def test_no_room_has_too_long_a_corridor() -> None:
    """About a dozen modules are one concern; the node's agent is one program of its own."""
    rooms: dict[str, int] = {}
    for file in modules("local", "ci", "tools", "worker", "infra", "policy", "bootstrap", "testbeds"):
        if file.name != "__init__.py" and not file.as_posix().startswith("local/node/agent/"):
            rooms[file.parent.as_posix()] = rooms.get(file.parent.as_posix(), 0) + 1
    assert len(rooms) > 15
    assert {room: count for room, count in rooms.items() if count > 12} == LONG_CORRIDORS


def test_no_room_of_jobs_has_too_long_a_corridor() -> None:
    """At most a dozen modules side by side; on the top floor there are fewer."""
    rooms = Counter(file.parent.as_posix() for file in modules("jobs") if file.name != "__init__.py")
    assert rooms["jobs"] <= 10
    assert {room: count for room, count in rooms.items() if count > 12} == {}


def test_one_module_of_jobs_knows_the_batch_sdk() -> None:
    users = {file.as_posix() for file in modules("jobs") for name in imported(file) if within(name, "azure.batch")}
    assert users == {"jobs/service/client.py"}


def packages() -> list[Path]:
    """The rooms that are packages, each as its folder."""
    packages = [file.parent for file in modules(*ROOMS) if file.name == "__init__.py"]
    assert len(packages) > 40
    return packages


def test_every_room_says_what_it_owns() -> None:
    """Line counts are no rule: the question is what a room owns, and its package answers it in a sentence or more."""
    answers = {room.as_posix(): ast.get_docstring(syntax_tree(ROOT / room / "__init__.py")) for room in packages()}
    assert [room for room, answer in answers.items() if len((answer or "").split()) < 8] == []


def test_every_room_is_on_the_map() -> None:
    """As `folder/` in docs/architecture.md, with the folders above it or below its parent's heading."""
    named = set(re.findall(r"`((?:[\w.-]+/)+)`", (ROOT / "docs/architecture.md").read_text()))
    lost = [room.as_posix() for room in packages() if not {f"{room.as_posix()}/", f"{room.name}/"} & named]
    assert lost == []


def test_imports_are_absolute_outside_of_the_packages_that_travel_alone() -> None:
    def relative(file: Path) -> bool:
        return any(isinstance(node, ast.ImportFrom) and node.level for node in import_statements(file))

    mixed = [file.as_posix() for file in modules() if relative(file) and not file.as_posix().startswith(RELATIVE)]
    assert mixed == []


def test_packages_that_travel_alone_do_not_import_themselves_by_name() -> None:
    for package in RELATIVE:
        name = package.rstrip("/").replace("/", ".")
        files = [file for file in modules() if file.as_posix().startswith(package)]
        assert files
        assert [file.as_posix() for file in files if any(within(one, name) for one in imported(file))] == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [file.as_posix() for file in modules(*ROOMS) if not ast.get_docstring(syntax_tree(ROOT / file))]
    assert silent == []


_JOBS = ("command", "dashboard", "files", "plan", "preflight", "report", "state", "terminal", "verbs")
_LOCAL = ("plugins", "deployment", "processes")
ONE_A_LINE = (
    "infra",
    "bootstrap",
    "worker",
    "tools",
    "policy",
    "testbeds",
    "benchmarks",
    "tests/plugins",
    *(f"jobs/{room}" for room in _JOBS),
    *(f"local/{room}" for room in _LOCAL),
)


def test_no_attributes_are_packed_into_one_line_and_only_tables_keep_their_own_layout() -> None:
    """`self._a, self._b = a, b` and `# fmt: skip` on calls save lines and hide names. So far held in these rooms."""

    def is_attribute(node: ast.expr) -> bool:
        return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"

    packed = [
        f"{file}:{node.lineno}"
        for file in modules(*ONE_A_LINE)
        for node in ast.walk(syntax_tree(ROOT / file))
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Tuple)
        and isinstance(node.targets[0], ast.Tuple)
        and all(map(is_attribute, node.targets[0].elts))
    ]
    skipped = [
        f"{file}:{number}"
        for file in modules(*ONE_A_LINE)
        for number, line in enumerate((ROOT / file).read_text().splitlines(), 1)
        if line.endswith("# fmt: skip") and not line.startswith((")", "]", "}"))
    ]
    assert (packed, skipped) == ([], [])


def test_nothing_is_called_utils() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc"}
    assert [file.as_posix() for file in modules() if vague & {part.removesuffix(".py") for part in file.parts}] == []


TEST_MODULE = re.compile(
    r"^\s*(?:from\s+(?:tests\b|\.)\S*\btest_\w+\s+import|import\s+tests\S*\btest_\w+"
    r"|from\s+(?:tests\b|\.)\S*\s+import.*\btest_\w+)",
    re.M,
)
PLANTED_IMPORTS = (
    "from tests.jobs.verbs.test_submit import JOB",
    "from .test_submit import JOB",
    "from . import test_submit",
    "import tests.jobs.verbs.test_submit",
    "    from tests.jobs.verbs.test_submit import JOB",
)


@pytest.mark.parametrize("line", PLANTED_IMPORTS)
def test_a_planted_import_of_tests_is_found(line: str) -> None:
    assert TEST_MODULE.search(f"import os\n{line}\n")


def test_nothing_is_imported_from_a_file_of_tests() -> None:
    """What several of them need stands beside `conftest.py`. Programs in strings are looked at, too."""
    users = [
        file.as_posix()
        for file in modules("tests", "testbeds", "benchmarks")
        if ROOT / file != THIS and TEST_MODULE.search((ROOT / file).read_text())
    ]
    assert users == []


def test_only_another_conftest_imports_a_conftest() -> None:
    """Fixtures are found by pytest; classes and functions stand in a module beside it."""
    users = [
        file.as_posix()
        for file in modules("tests")
        if file.name != "conftest.py" and any("conftest" in name.split(".") for name in imported(file))
    ]
    assert users == ["tests/test_skips.py"]  # which tests it


def test_every_test_function_is_in_a_file_that_pytest_collects() -> None:
    lost = [
        file.as_posix()
        for file in modules("tests")
        if not file.name.startswith("test_")
        and any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
            for node in ast.walk(syntax_tree(ROOT / file))
        )
    ]
    assert lost == []


def test_no_path_of_a_machine_stands_in_the_tree() -> None:
    found = subprocess.run(
        [
            "git",
            "grep",
            "-nIF",
            "--untracked",
            "--exclude-standard",
            f"{ROOT}/",
            "--",
            ".",
            ":!**/node_modules/**",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    assert found == ""


DOCUMENT = re.compile(r"(?<![\w./-])((?:[\w.-]+/)*[\w-]+\.md)\b(?:#([\w-]+))?")
LINK = re.compile(r"\]\((?!https?:)([\w./-]*)(?:#([\w-]+))?\)")
PLACE = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.py): ([\w.]+)`")
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]*)(?=`|: )")
OUTSIDE = re.compile(r"https?://\S+")
# "facts 4.2", "Facts (4.6)", "design 3.1", "facts: pulumi.md": documents that only their writer has
CITATION = re.compile(r"\b(?:facts|design|spike)[,:]? ?[(§]?\d|\bfacts(?:/|: )[\w-]+\.md|\(see (?:facts|design)", re.I)


@cache
def texts() -> dict[Path, str]:
    """What a clone has that people write: code, documents and configuration, but not this file."""
    written = (".py", ".md", ".toml", ".yml", ".yaml", ".sh", ".js", ".in")
    people = [file for file in files() if file.name.endswith(written) or file == Path("Makefile")]
    return {file: (ROOT / file).read_text() for file in people if ROOT / file != THIS}


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", (ROOT / document).read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dangling(file: Path, text: str) -> list[str]:
    """What `file` cites and the repository does not have; a document's name alone is looked up beside it, too."""
    dangling_links = [f"{file}: {match.group()!r}" for match in CITATION.finditer(text)]
    named = DOCUMENT.findall(OUTSIDE.sub("", "\n".join(line for line in text.splitlines() if ".md" in line)))
    if file.suffix == ".md":
        named += [(path or file.name, anchor) for path, anchor in LINK.findall(text)]
    for path, anchor in named:
        beside = [(file.parent / path), Path(path), Path("docs") / path]
        target = next((one for one in beside if (ROOT / one).exists()), None)
        if target is None or (anchor and anchor not in anchors(target)):
            dangling_links.append(f"{file}: {path}{anchor and '#'}{anchor}")
    return dangling_links


def test_every_document_that_is_cited_is_in_the_repository() -> None:
    cited = texts()
    assert len(cited) > 300
    assert [line for file, text in cited.items() for line in dangling(file, text)] == []


_FACTS = "facts"  # so that this file itself cites nothing
NOWHERE = (
    f"as Azure does ({_FACTS} 4.2)",
    "by design 3.1.",
    "Facts (4.6): no shell",
    f"see {_FACTS}/azure-batch-sdk.md 4",
    f"{_FACTS}: pulumi.md 2.3",
    "docs/nowhere.md",
    "docs/azure-facts.md#no-such-heading",
)
SOMEWHERE = ("docs/azure-facts.md#command-lines", "README.md", "facts are known", "designed in 3 days", "hashlib.md5")


@pytest.mark.parametrize("text", NOWHERE)
def test_a_citation_that_leads_nowhere_is_found(text: str) -> None:
    assert dangling(Path("infra/pools/pool.py"), text)


@pytest.mark.parametrize("text", SOMEWHERE)
def test_a_citation_that_leads_somewhere_is_none(text: str) -> None:
    assert dangling(Path("infra/pools/pool.py"), text) == []


def defined(file: Path) -> set[str]:
    """Names that a module defines at its top, and members of its classes as `Class.member`."""
    names: set[str] = set()
    for node in syntax_tree(ROOT / file).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            members = [one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
            names |= {f"{node.name}.{one.name}" for one in members}
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {one.id for one in targets if isinstance(one, ast.Name)}
    return names


GUIDES = ("docs/architecture.md", "CONTRIBUTING.md")


@pytest.mark.parametrize("guide", GUIDES)
def test_the_guides_name_places_that_exist(guide: str) -> None:
    text = (ROOT / guide).read_text()
    places = PLACE.findall(text)
    assert places
    wrong = [place for place in places if not (ROOT / place[0]).is_file() or place[1] not in defined(Path(place[0]))]
    assert wrong == []


@pytest.mark.parametrize("guide", GUIDES)
def test_the_guides_name_files_that_exist(guide: str) -> None:
    """Names in backquotes that begin with one of the repository's own folders; NAME in capitals stands for any."""
    own = {file.parts[0] for file in texts()}
    paths = [path for path in FILE.findall((ROOT / guide).read_text()) if path.split("/")[0] in own]
    paths = [path for path in paths if not re.search(r"\b(?:ROOM|MODULE|NAME)\b|_MODULE\b", path)]
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_map_tells_seven_ways() -> None:
    ways = (ROOT / "docs/architecture.md").read_text().partition("\n## Ways\n")[2].partition("\n## ")[0]
    ways_with_places = [way.splitlines()[0] for way in ways.split("\n### ")[1:] if len(PLACE.findall(way)) >= 3]
    assert len(ways_with_places) == 7
