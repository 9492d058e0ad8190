"""Diagnostic settings, action groups, alerts and budgets: made, read, changed, and refused as Azure refuses them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.azure.arm.plain_http import PLACE, Http, provider, settle

WORKSPACE = provider("Microsoft.OperationalInsights/workspaces/logs-1")
REGISTRY = provider("Microsoft.ContainerRegistry/registries/myreg")
BATCH = provider("Microsoft.Batch/batchAccounts/mybatch")
GROUP = provider("Microsoft.Insights/actionGroups/oncall")
BUDGET_TIME = {"startDate": "2026-12-01T00:00:00Z"}


@pytest.fixture
def furnished(http_: Http) -> Http:
    """A cloud with a workspace, a registry, a Batch account and an action group."""
    assert http_("PUT", WORKSPACE, PLACE)[0] == 201
    assert http_("PUT", REGISTRY, {**PLACE, "sku": {"name": "Basic"}})[0] == 201
    settle(http_, http_("PUT", BATCH, PLACE)[1]["location"])
    mail = {"name": "a", "emailAddress": "a@example.org"}
    group = {
        "location": "Global",
        "properties": {"groupShortName": "oncall", "enabled": True, "emailReceivers": [mail]},
    }
    assert http_("PUT", GROUP, group)[0] == 201
    return http_


def full(http_: Http, path: str) -> str:
    return http_.azure.cloud.subscription_scope + path


def setting(http_: Http, *, category: str = "", group: str = "", **more: Any) -> dict[str, Any]:
    log = {"categoryGroup": group} if group else {"category": category}
    return {"properties": {"workspaceId": full(http_, WORKSPACE), "logs": [{**log, "enabled": True}], **more}}


SETTING = "/providers/Microsoft.Insights/diagnosticSettings/toLogs"


def metric(http_: Http) -> dict[str, Any]:
    criterion = {
        "name": "one",
        "metricName": "UnusableNodeCount",
        "operator": "GreaterThan",
        "threshold": 0,
        "timeAggregation": "Total",
        "criterionType": "StaticThresholdCriterion",
    }
    kind = "Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria"
    return {
        "location": "global",
        "properties": {
            "severity": 2,
            "enabled": True,
            "scopes": [full(http_, BATCH)],
            "evaluationFrequency": "PT5M",
            "windowSize": "PT15M",
            "criteria": {"odata.type": kind, "allOf": [criterion]},
            "actions": [{"actionGroupId": full(http_, GROUP)}],
        },
    }


def query_rule(http_: Http) -> dict[str, Any]:
    criterion = {"query": "AzureDiagnostics", "timeAggregation": "Count", "operator": "GreaterThan", "threshold": 0}
    return {
        **PLACE,
        "properties": {
            "scopes": [full(http_, WORKSPACE)],
            "severity": 2,
            "evaluationFrequency": "PT5M",
            "windowSize": "PT5M",
            "criteria": {"allOf": [criterion]},
            "actions": {"actionGroups": [full(http_, GROUP)]},
        },
    }


def activity(http_: Http) -> dict[str, Any]:
    condition = {"allOf": [{"field": "category", "equals": "ServiceHealth"}]}
    return {
        "location": "Global",
        "properties": {
            "scopes": [http_.azure.cloud.subscription_scope],
            "condition": condition,
            "actions": {"actionGroups": [{"actionGroupId": full(http_, GROUP)}]},
        },
    }


def budget(http_: Http) -> dict[str, Any]:
    told = {"enabled": True, "operator": "GreaterThan", "threshold": 80, "contactEmails": ["a@example.org"]}
    properties = {"category": "Cost", "amount": 100, "timeGrain": "Monthly", "timePeriod": BUDGET_TIME}
    return {"properties": {**properties, "notifications": {"eighty": told}}}


MADE = {
    "a setting of the account": (BATCH + SETTING, lambda http_: setting(http_, category="ServiceLog"), 200),
    "a setting of the registry": (REGISTRY + SETTING, lambda http_: setting(http_, group="allLogs"), 200),
    "a metric alert": (provider("Microsoft.Insights/metricAlerts/nodes"), metric, 200),
    "a query rule": (provider("Microsoft.Insights/scheduledQueryRules/starts"), query_rule, 201),
    "an activity log alert": (provider("Microsoft.Insights/activityLogAlerts/health"), activity, 201),
    "a budget": ("/resourceGroups/rg1/providers/Microsoft.Consumption/budgets/month", budget, 201),
    "a budget of all": ("/providers/Microsoft.Consumption/budgets/month", budget, 201),
}


@pytest.mark.parametrize("name", MADE)
def test_it_is_made_read_put_back_and_deleted(furnished: Http, name: str) -> None:
    path, make, created = MADE[name]
    body = make(furnished)
    status, _, made = furnished("PUT", path, body)
    assert status == created, made
    assert furnished("GET", path)[2] == made
    for key, value in body["properties"].items():
        assert made["properties"][key] == value
    again = furnished("PUT", path, made)
    assert (again[0], again[2]) == (200, made)
    collection = path.rpartition("/")[0]
    assert [one["id"] for one in furnished("GET", collection)[2]["value"]] == [made["id"]]
    assert furnished("DELETE", path)[0] == 200
    assert furnished("GET", path)[0] == 404
    assert furnished("DELETE", path)[0] == 204


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The body with one value changed; `path` has list indices, too."""
    body = copy.deepcopy(body)
    place: Any = body["properties"]
    *steps, last = path.split("/")
    for step in steps:
        place = place[int(step)] if step.isdigit() else place[step]
    place[int(last) if last.isdigit() else last] = value
    return body


@pytest.mark.parametrize(
    ("name", "path", "value", "code", "said"),
    [
        ("a setting of the account", "workspaceId", None, "BadRequest", "At least one data sink"),
        ("a setting of the account", "workspaceId", "/nowhere", "ResourceNotFound", "/nowhere"),
        ("a setting of the account", "logs/0/category", "ServiceLogz", "BadRequest", "Did you mean"),
        ("a setting of the account", "logs/0/categoryGroup", "allLogs", "BadRequest", "either a category or"),
        ("a setting of the account", "logs/0", {"category": "AuditLog"}, "InvalidRequestContent", "enabled"),
        ("a setting of the account", "log", [], "InvalidRequestContent", "Did you mean 'logs'"),
        ("a setting of the registry", "logs/0/categoryGroup", "all", "BadRequest", "Category group 'all'"),
        (
            "a metric alert",
            "criteria/allOf/0/metricName",
            "TaskFail",
            "BadRequest",
            "Couldn't find a metric named TaskFail",
        ),
        ("a metric alert", "severity", 5, "BadRequest", "0 (critical) to 4"),
        ("a metric alert", "windowSize", "PT7M", "BadRequest", "windowSize 'PT7M'"),
        ("a metric alert", "windowSize", "PT1M", "BadRequest", "greater than the windowSize"),
        ("a metric alert", "scopes/0", "/nowhere", "ResourceNotFound", "/nowhere"),
        ("a metric alert", "actions/0/actionGroupId", "/nowhere", "ResourceNotFound", "/nowhere"),
        ("a query rule", "scopes", [], "BadRequest", "names no scope"),
        ("a query rule", "criteria", {"allOf": []}, "BadRequest", "no criteria"),
        ("a query rule", "actions", {"actionGroups": ["/nowhere"]}, "ResourceNotFound", "/nowhere"),
        ("an activity log alert", "condition/allOf/0/field", "status", "BadRequest", "'category'"),
        ("a budget", "amount", 0, "BadRequest", "more than 0"),
        ("a budget", "timePeriod/startDate", "2026-12-02T00:00:00Z", "BadRequest", "first day of the month"),
        ("a budget", "timePeriod/startDate", "soon", "BadRequest", "not a date"),
        ("a budget", "timePeriod/endDate", "2026-11-01T00:00:00Z", "BadRequest", "after start date"),
        ("a budget", "notifications/eighty/threshold", 1001, "BadRequest", "1000 percent"),
        ("a budget", "notifications/eighty/contactEmails", [], "BadRequest", "nobody to tell"),
        ("a budget", "amount", "much", "InvalidRequestContent", "must be of type number"),
    ],
)
def test_a_mistake_is_refused_by_what_is_wrong(
    furnished: Http, name: str, path: str, value: Any, code: str, said: str
) -> None:
    where, make, _ = MADE[name]
    status, _, body = furnished("PUT", where, changed(make(furnished), path, value))
    assert 400 <= status < 500
    assert body["error"]["code"] == code
    assert said in body["error"]["message"]
    assert furnished("GET", where)[0] == 404


def test_two_settings_do_not_send_the_same_to_the_same_place(furnished: Http) -> None:
    other = BATCH + SETTING.replace("toLogs", "again")
    assert furnished("PUT", BATCH + SETTING, setting(furnished, category="ServiceLog"))[0] == 200
    status, _, body = furnished("PUT", other, setting(furnished, group="allLogs"))
    assert (status, body["error"]["code"]) == (409, "Conflict")
    assert "already used in diagnostic setting 'toLogs' for category 'servicelog'" in body["error"]["message"]
    assert furnished("PUT", other, setting(furnished, category="AuditLog"))[0] == 200


def test_a_group_has_no_diagnostic_settings(furnished: Http) -> None:
    status, _, body = furnished("PUT", "/resourceGroups/rg1" + SETTING, setting(furnished, category="ServiceLog"))
    assert status == 400
    assert "does not support diagnostic settings" in body["error"]["message"]


@pytest.mark.parametrize(
    ("path", "location", "said"),
    [
        (provider("Microsoft.Insights/metricAlerts/nodes"), "westeurope", "'global'"),
        (GROUP, "westeurope", "'global,swedencentral"),
        (provider("Microsoft.Network/privateDnsZones/a.example"), "westeurope", "'global'"),
    ],
)
def test_what_is_global_is_in_no_region(furnished: Http, path: str, location: str, said: str) -> None:
    body = {"location": location, "properties": metric(furnished)["properties"]}
    if "metricAlerts" not in path:
        body["properties"] = {"groupShortName": "a", "enabled": True} if "actionGroups" in path else {}
    status, _, answer = furnished("PUT", path, body)
    assert (status, answer["error"]["code"]) == (400, "LocationNotAvailableForResourceType")
    assert said in answer["error"]["message"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"groupShortName": "thirteen-long"}, "13 characters"),
        ({"emailReceivers": [{"name": "a", "emailAddress": "nobody"}]}, "'nobody' is not valid"),
        ({"emailReceivers": [{"name": "a", "emailAddress": "a@b.cd"}] * 2}, "must be unique"),
    ],
)
def test_an_action_group_that_reaches_nobody_is_refused(furnished: Http, change: dict[str, Any], said: str) -> None:
    body = {"location": "global", "properties": {"groupShortName": "x", "enabled": True, **change}}
    status, _, answer = furnished("PUT", provider("Microsoft.Insights/actionGroups/other"), body)
    assert status == 400
    assert said in answer["error"]["message"]


def test_tags_of_an_alert_are_patched_without_the_rest(furnished: Http) -> None:
    path, make, _ = MADE["a metric alert"]
    furnished("PUT", path, make(furnished))
    status, _, patched = furnished("PATCH", path, {"tags": {"a": "b"}, "properties": {"enabled": False}})
    assert (status, patched["tags"], patched["properties"]["enabled"]) == (200, {"a": "b"}, False)
    assert patched["properties"]["severity"] == 2
