"""Our request bodies and routes against the SDK's own models and operations: none is forgotten, none is invented."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
from azure.batch._operations import _operations
from azure.batch.models import _models

from local.azure.batch.data_plane import bodies, endpoints
from local.azure.batch.data_plane.coverage import coverage
from local.azure.batch.data_plane.operations import files, jobs, nodes, pools, tasks
from local.azure.batch.data_plane.routes import ROUTES, find
from local.azure.batch.data_plane.schema import ListOf, Object

BODIES: list[tuple[object, str]] = [
    (bodies.JOB, "BatchJobCreateOptions"),
    (bodies.JOB_UPDATE, "BatchJobUpdateOptions"),
    (bodies.JOB_DISABLE, "BatchJobDisableOptions"),
    (bodies.JOB_TERMINATE, "BatchJobTerminateOptions"),
    (bodies.JOB_CONSTRAINTS, "BatchJobConstraints"),
    (bodies.TASK, "BatchTaskCreateOptions"),
    (bodies.TASK_CONSTRAINTS, "BatchTaskConstraints"),
    (bodies.DEPENDENCIES, "BatchTaskDependencies"),
    (bodies.TASK_ID_RANGE, "BatchTaskIdRange"),
    (bodies.EXIT_CONDITIONS, "ExitConditions"),
    (bodies.EXIT_OPTIONS, "ExitOptions"),
    (bodies.EXIT_CODE, "ExitCodeMapping"),
    (bodies.EXIT_CODE_RANGE, "ExitCodeRangeMapping"),
    (bodies.JOB_PREPARATION, "BatchJobPreparationTask"),
    (bodies.JOB_RELEASE, "BatchJobReleaseTask"),
    (bodies.CONTAINER_SETTINGS, "BatchTaskContainerSettings"),
    (bodies.REGISTRY, "ContainerRegistryReference"),
    (bodies.RESOURCE_FILES, "ResourceFile"),
    (bodies.OUTPUT_FILES, "OutputFile"),
    (bodies.USER_IDENTITY, "UserIdentity"),
    (bodies.POOL_INFO, "BatchPoolInfo"),
    (bodies.POOL_RESIZE, "BatchPoolResizeOptions"),
    (bodies.POOL_ENABLE_AUTOSCALE, "BatchPoolEnableAutoScaleOptions"),
    (bodies.POOL_EVALUATE_AUTOSCALE, "BatchPoolEvaluateAutoScaleOptions"),
    (endpoints.ENDPOINTS, "BatchPoolEndpointConfiguration"),
    (endpoints.NAT_POOL, "BatchInboundNatPool"),
    (endpoints.RULE, "NetworkSecurityGroupRule"),
    (bodies.NODES_REMOVE, "BatchNodeRemoveOptions"),
    (bodies.NODE_USER, "BatchNodeUserCreateOptions"),
    (bodies.NODE_USER_UPDATE, "BatchNodeUserReplaceOptions"),
    (bodies.NODE_REBOOT, "BatchNodeRebootOptions"),
    (bodies.NODE_DISABLE_SCHEDULING, "BatchNodeDisableSchedulingOptions"),
]
SHOWN = [
    (jobs.SHOWN, "BatchJob"),
    (jobs.STATUS_SHOWN, "BatchJobPreparationAndReleaseTaskStatus"),
    (tasks.SHOWN, "BatchTask"),
    (pools.SHOWN, "BatchPool"),
    (nodes.SHOWN, "BatchNode"),
    (files.SHOWN, "BatchNodeFile"),
    (pools.COUNTS_SHOWN, "BatchPoolNodeCounts"),
    (pools.IMAGE_SHOWN, "BatchSupportedImage"),
]


def wire_names(model: str) -> set[str]:
    """A model's property names on the wire, read from the SDK's source."""
    tree = ast.parse(Path(str(inspect.getsourcefile(_models))).read_text())
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == model)
    names = set()
    for item in body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.value, ast.Call):
            given = [
                key.value.value
                for key in item.value.keywords
                if key.arg == "name" and isinstance(key.value, ast.Constant)
            ]
            names.add(str(given[0]) if given else ast.unparse(item.target))
    return names


@pytest.mark.parametrize(("body", "model"), BODIES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_body_has_exactly_the_sdks_properties(body: Object | ListOf, model: str) -> None:
    checked = body.kind if isinstance(body, ListOf) else body
    assert isinstance(checked, Object)
    assert set(checked.properties) == wire_names(model)


@pytest.mark.parametrize(("shown", "model"), SHOWN, ids=lambda value: value if isinstance(value, str) else "")
def test_what_can_be_selected_is_what_the_sdk_knows(shown: tuple[str, ...], model: str) -> None:
    assert set(shown) == wire_names(model)


def test_every_operation_of_the_sdk_has_a_row_and_the_other_way_round() -> None:
    source = inspect.getsource(_operations)
    found = set()
    for builder in re.split(r"\ndef build_batch_", source)[1:]:
        path = re.search(r'_url = "([^"]+)"', builder)
        method = re.search(r'method="(\w+)"', builder)
        if path and method:
            found.add((method[1], path[1]))
    assert len(found) > 60
    assert {(route.method, route.path) for route in ROUTES} == found


def test_every_row_finds_itself_and_file_paths_may_have_slashes() -> None:
    for route in ROUTES:
        path = re.sub(r"\{filePath\}", "wd/a/b", route.path)
        path = re.sub(r"\{\w+\}", "x", path)
        found = find(route.method, path)
        assert isinstance(found, tuple) and found[0] is route
    assert find("PATCH", "/jobs") == {"GET", "POST"}


def test_the_coverage_table_names_every_operation() -> None:
    table = coverage()
    assert all(f"`{route.operation}`" in table for route in ROUTES)
    assert "501" in table


def test_the_coverage_table_names_every_property_that_is_refused_and_no_other() -> None:
    table = coverage()
    assert "| `job.jobManagerTask` |  |" in table and "| `job.allowTaskPreemption` | false |" in table
    assert "`task.outputFiles[].destination.container.uploadHeaders`" in table
    assert not any(name in table for name in ("`job.jobPreparationTask", "`task.dependsOn", "`task.exitConditions"))
