"""The shape every component has, read from the syntax tree, and the rule that rooms import one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from infra.naming import TYPE_PREFIX
from tests.infra.recording import ROOT

MODULES = sorted((ROOT / "infra").glob("*.py"))
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
def test_infra_imports_no_other_room(module) -> None:
    imported = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert not {name for name in imported if name.split(".")[0] in {"jobs", "worker", "local", "tests", "tools"}}


@pytest.mark.parametrize(
    "name",
    [
        "settings",
        "pool_settings",
        "cloud_settings",
        "setting_types",
        "settings_problems",
        "config_source",
        "naming",
        "roles",
        "start_task",
        "sql",
        "scaling",
        "generations",
        "alerts",
        "settings_reference",
    ],
)
def test_modules_of_plain_data_make_no_resource(name: str) -> None:
    assert "pulumi_azure_native" not in (ROOT / "infra" / f"{name}.py").read_text()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.stem)
def test_a_component_has_at_most_250_lines(module) -> None:
    text = module.read_text()
    assert "ComponentResource):" not in text or len(text.splitlines()) <= 250


def test_role_ids_and_config_are_each_written_or_read_in_one_module() -> None:
    def mentions(text: str) -> set[str]:
        return {module.stem for module in [*MODULES, ROOT / "__main__.py"] if text in module.read_text()}

    assert mentions("ba92f5b4-2d11-453d-a403-e96b0029c9fe") == {"roles"}
    assert mentions("7f951dda-4ed3-4680-a7ca-43fe172d538d") == {"roles"}
    assert mentions("config.get(") == {"config_source"}
