"""The shape every component has, read from the syntax tree, and the rule that rooms import one way."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.naming import TYPE_PREFIX
from tests.import_graph import import_graph
from tests.infra.recording import ROOT

MODULES = sorted((ROOT / "infra").rglob("*.py"))
COMPONENTS = 12


def components() -> Iterator[ast.ClassDef]:
    for module in MODULES:
        for node in ast.parse(module.read_text()).body:
            if isinstance(node, ast.ClassDef) and any("ComponentResource" in ast.unparse(base) for base in node.bases):
                yield node


def constructor(component: ast.ClassDef) -> ast.FunctionDef:
    (found,) = [node for node in component.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"]
    return found


def test_there_are_as_many_components_as_these_tests_think() -> None:
    assert len(list(components())) == COMPONENTS


@pytest.mark.parametrize("component", list(components()), ids=lambda node: node.name)
def test_a_component_registers_its_outputs_once_and_last(component: ast.ClassDef) -> None:
    calls = [
        node
        for node in ast.walk(component)
        if isinstance(node, ast.Call) and "register_outputs" in ast.unparse(node.func)
    ]
    assert len(calls) == 1
    last = constructor(component).body[-1]
    assert isinstance(last, ast.Expr)
    assert last.value is calls[0]


@pytest.mark.parametrize("component", list(components()), ids=lambda node: node.name)
def test_a_component_takes_name_args_opts_and_is_typed_by_its_own_name(component: ast.ClassDef) -> None:
    arguments = constructor(component).args
    assert [argument.arg for argument in arguments.args] == ["self", "name", "args", "opts"]
    assert ast.unparse(arguments.args[2].annotation or ast.Constant("")) == f"{component.name}Args"
    assert "{TYPE_PREFIX}:" + component.name in ast.unparse(constructor(component))
    assert TYPE_PREFIX == "batch-platform"


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_infra_imports_no_other_room(module: Path) -> None:
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert not {name for name in imported if name.split(".")[0] in {"jobs", "worker", "local", "tests", "tools"}}


PLAIN = (
    *sorted((ROOT / "infra" / "settings").glob("*.py")),
    *(
        ROOT / "infra" / f"{name}.py"
        for name in (
            "naming",
            "start_task",
            "sql",
            "settings_reference",
            "access/roles",
            "pools/scaling",
            "pools/generations",
            "monitoring/alerts",
        )
    ),
)


@pytest.mark.parametrize("module", PLAIN, ids=lambda path: path.stem)
def test_modules_of_plain_data_make_no_resource(module: Path) -> None:
    assert "pulumi_azure_native" not in module.read_text()


def test_no_folder_has_more_than_a_dozen_modules() -> None:
    folders = Counter(module.parent for module in MODULES if module.name != "__init__.py")
    assert len(folders) >= 6
    assert {folder.name: count for folder, count in folders.items() if count > 12} == {}


def test_the_settings_are_read_before_all_components_and_import_none() -> None:
    graph = import_graph(ROOT, [module.relative_to(ROOT) for module in MODULES])
    settings = {module: found for module, found in graph.items() if module.startswith("infra.settings.")}
    below = ("infra.settings", "infra.naming", "infra.start_task")
    assert len(settings) >= 8
    assert [(module, name) for module, found in settings.items() for name in found if not name.startswith(below)] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_component_has_at_most_250_lines(module: Path) -> None:
    text = module.read_text()
    assert "ComponentResource):" not in text or len(text.splitlines()) <= 250


def test_role_ids_and_config_are_each_written_or_read_in_one_module() -> None:
    def mentions(text: str) -> set[str]:
        return {module.stem for module in [*MODULES, ROOT / "__main__.py"] if text in module.read_text()}

    assert mentions("ba92f5b4-2d11-453d-a403-e96b0029c9fe") == {"roles"}
    assert mentions("7f951dda-4ed3-4680-a7ca-43fe172d538d") == {"roles"}
    assert mentions("config.get(") == {"config_source"}
