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
from local.azure.batch.data_plane.routes import ROUTES, find
from local.azure.batch.data_plane.schema import Object, wire_names

BODIES: list[tuple[Object, str]] = [
    (bodies.JOB, "BatchJobCreateOptions"),
    (bodies.JOB_UPDATE, "BatchJobUpdateOptions"),
    (bodies.JOB_DISABLE, "BatchJobDisableOptions"),
    (bodies.JOB_TERMINATE, "BatchJobTerminateOptions"),
    (bodies.JOB_SCHEDULE, "BatchJobScheduleCreateOptions"),
    (bodies.JOB_SCHEDULE_UPDATE, "BatchJobScheduleUpdateOptions"),
    (bodies.TASK, "BatchTaskCreateOptions"),
    (bodies.POOL, "BatchPoolCreateOptions"),
    (bodies.POOL_UPDATE, "BatchPoolUpdateOptions"),
    (bodies.POOL_REPLACE, "BatchPoolReplaceOptions"),
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
    (bodies.NODE_REIMAGE, "BatchNodeReimageOptions"),
    (bodies.NODE_DEALLOCATE, "BatchNodeDeallocateOptions"),
    (bodies.NODE_DISABLE_SCHEDULING, "BatchNodeDisableSchedulingOptions"),
    (bodies.NODE_LOGS, "UploadBatchServiceLogsOptions"),
]


def names_in_source(model: str) -> set[str]:
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
def test_a_body_has_exactly_the_sdks_properties(body: Object, model: str) -> None:
    more = bodies._MORE.get(model, {}).keys()  # what only earlier models had
    assert (set(body.properties) | body.read_only) - more == names_in_source(model) == set(wire_names(model))


def test_every_rule_names_a_property_that_a_model_has() -> None:
    named = [*bodies._RULES, *((model, name) for model, names in bodies._REQUIRED.items() for name in names)]
    assert [(model, name) for model, name in named if name not in wire_names(model)] == []


def test_parts_of_a_body_have_their_types_ranges_and_words() -> None:
    body: dict[str, object] = {
        "id": "j",
        "poolInfo": {"poolId": "p"},
        "priority": "7",
        "jobPreparationTask": {"commandLine": "x", "constraints": {"maxWallClockTime": "PT60M"}},
        "metadata": None,
        "odata.metadata": "ignored",
        "onAllTasksComplete": "TerminateJob",
    }
    checked = bodies.JOB.check(body, "")
    assert checked["priority"] == 7 and checked["onAllTasksComplete"] == "terminatejob" and "metadata" not in checked
    assert checked["jobPreparationTask"]["constraints"]["maxWallClockTime"] == "PT1H"


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
