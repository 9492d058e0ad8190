"""Azure Monitor's resources and budgets: records whose bodies are checked as far as Azure's own refusals are known.

Nothing is sent, measured or counted here: an alert never fires, a setting moves no log. What a program gets wrong shows
as on Azure: a category or metric that the target does not have, a sink, target or action group that does not exist.
Categories and metrics: https://learn.microsoft.com/azure/azure-monitor/reference/supported-logs/logs-index and
.../supported-metrics/metrics-index (read November 2026). Texts are those that users report, else marked GUESS.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from local.azure.arm.errors import BadRequest, Conflict, ResourceNotFound
from local.azure.arm.locks import scope_of
from local.azure.control_plane.cloud import Cloud
from local.azure.control_plane.errors import nearest
from local.azure.control_plane.ids import ACTION_GROUPS, DIAGNOSTIC_SETTINGS
from local.azure.control_plane.resource_types import Document, RecordHooks
from local.azure.control_plane.resources import Resource

_SINKS: Final = (
    "workspaceId", "storageAccountId", "eventHubAuthorizationRuleId", "marketplacePartnerId", "serviceBusRuleId",
)  # fmt: skip
_MOST_SETTINGS: Final = 5


@dataclass(frozen=True)
class Telemetry:
    """What resources of a type can send: log categories, metric categories, and (where known) metrics by name."""

    logs: tuple[str, ...] = ()
    metric_categories: tuple[str, ...] = ("AllMetrics",)
    metrics: frozenset[str] = frozenset()


_BATCH_METRICS: Final = frozenset(
    (
        *(f"{event}Event" for event in (
            "JobDeleteComplete", "JobDeleteStart", "JobDisableComplete", "JobDisableStart", "JobStart",
            "JobTerminateComplete", "JobTerminateStart", "PoolCreate", "PoolDeleteComplete", "PoolDeleteStart",
            "PoolResizeComplete", "PoolResizeStart", "TaskComplete", "TaskFail", "TaskStart",
        )),
        *(f"{state}NodeCount" for state in (
            "Creating", "Idle", "LeavingPool", "Offline", "Preempted", "Rebooting", "Reimaging", "Running", "Starting",
            "StartTaskFailed", "TotalLowPriority", "Total", "Unusable", "WaitingForStartTask",
        )),
        "CoreCount", "LowPriorityCoreCount",
    )
)  # fmt: skip
TELEMETRY: Final[Mapping[str, Telemetry]] = {
    "Microsoft.Batch/batchAccounts": Telemetry(("ServiceLog", "ServiceLogs", "AuditLog"), metrics=_BATCH_METRICS),
    "Microsoft.ContainerRegistry/registries": Telemetry(
        ("ContainerRegistryRepositoryEvents", "ContainerRegistryLoginEvents"),
        metrics=frozenset(
            ("AgentPoolCPUTime", "RunDuration", "StorageUsed", "SuccessfulPullCount", "SuccessfulPushCount",
             "TotalPullCount", "TotalPushCount")
        ),
    ),
    "Microsoft.Storage/storageAccounts": Telemetry(
        (), ("Transaction", "Capacity", "AllMetrics"),
        frozenset(
            ("Availability", "Egress", "Ingress", "SuccessE2ELatency", "SuccessServerLatency", "Transactions",
             "UsedCapacity")
        ),
    ),
    "Microsoft.Storage/storageAccounts/blobServices": Telemetry(
        ("StorageRead", "StorageWrite", "StorageDelete"), ("Transaction", "Capacity", "AllMetrics"),
    ),
    "Microsoft.Network/privateEndpoints": Telemetry(metrics=frozenset(("PEBytesIn", "PEBytesOut"))),
    "Microsoft.OperationalInsights/workspaces": Telemetry(("Audit", "SummaryLogs")),
}  # fmt: skip
_GROUPS: Final = ("allLogs", "audit")


class SettingHooks(RecordHooks):
    """Microsoft.Insights/diagnosticSettings."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """The target sends these categories, the sinks exist, and no other setting sends the same to them."""
        target = self._cloud.resources.get(scope_of(new))
        sends = TELEMETRY.get(target.type) if target is not None else None
        if target is None or sends is None:
            kind = "a subscription or group" if target is None else target.type
            raise BadRequest(f"The resource type of '{scope_of(new)}' ({kind}) does not support diagnostic settings.")
        properties = new.properties
        sinks = [str(properties[name]) for name in _SINKS if properties.get(name)]
        if not sinks:
            raise BadRequest("At least one data sink needs to be specified.")
        for name in ("workspaceId", "storageAccountId"):
            if properties.get(name):
                _require(self._cloud, str(properties[name]))
        self._check_categories(properties, sends)
        siblings = [
            one
            for one in self._cloud.resources.list(DIAGNOSTIC_SETTINGS, scope_of(new))
            if scope_of(one).lower() == scope_of(new).lower() and one.id.lower() != new.id.lower()
        ]
        if len(siblings) >= _MOST_SETTINGS:
            raise Conflict(f"A resource has at most {_MOST_SETTINGS} diagnostic settings.")
        for sibling in siblings:
            self._check_sinks(new, sibling, sends)

    @staticmethod
    def _check_categories(properties: Mapping[str, Any], sends: Telemetry) -> None:
        for log in properties.get("logs") or ():
            category, group = log.get("category"), log.get("categoryGroup")
            if bool(category) == bool(group):
                raise BadRequest("Each log has either a category or a categoryGroup.")
            known = sends.logs if category else (_GROUPS if sends.logs else ())
            if str(category or group).lower() not in {one.lower() for one in known}:
                word = "Category" if category else "Category group"
                raise BadRequest(f"{word} '{category or group}' is not supported.{nearest(category or group, known)}")
        for metric in properties.get("metrics") or ():
            category = str(metric.get("category") or "AllMetrics")
            if category.lower() not in {one.lower() for one in sends.metric_categories}:
                raise BadRequest(f"Metric category '{category}' is not supported.")
        if not properties.get("logs") and not properties.get("metrics"):
            raise BadRequest("At least one log or metric category needs to be specified.")  # GUESS

    @staticmethod
    def _check_sinks(new: Resource, other: Resource, sends: Telemetry) -> None:
        for name in _SINKS:
            sink = new.properties.get(name)
            if not sink or str(sink).lower() != str(other.properties.get(name)).lower():
                continue
            both = sorted(_sent(new.properties, sends) & _sent(other.properties, sends))
            if both:
                raise Conflict(
                    f"Data sink '{sink}' is already used in diagnostic setting '{other.name}' for category "
                    f"'{both[0]}'. Data sinks can't be reused in different settings on the same category for the same "
                    "resource."
                )


def _sent(properties: Mapping[str, Any], sends: Telemetry) -> set[str]:
    """The enabled categories in lower case; a category group stands for all logs that are in it."""
    found: set[str] = set()
    for log in properties.get("logs") or ():
        if log.get("enabled") and log.get("category"):
            found.add(str(log["category"]).lower())
        elif log.get("enabled"):
            found |= {one.lower() for one in sends.logs}
    return found | {
        str(one.get("category") or "AllMetrics").lower() for one in properties.get("metrics") or () if one["enabled"]
    }


_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_SHORT_NAME: Final = 12


class ActionGroupHooks(RecordHooks):
    """Microsoft.Insights/actionGroups."""

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """A short name that fits, receivers that have names of their own and addresses."""
        short = str(new.properties.get("groupShortName", ""))
        if not 1 <= len(short) <= _SHORT_NAME:
            raise BadRequest(
                f"The action group's short name '{short}' has {len(short)} characters; expected 1 to {_SHORT_NAME}."
            )
        names: set[str] = set()
        for kind, receivers in new.properties.items():
            for receiver in receivers if kind.endswith("Receivers") else ():
                name = str(receiver.get("name", "")).lower()
                if not name or name in names:
                    raise BadRequest(f"Receiver names must be unique in an action group and not empty: '{name}'.")
                names.add(name)
        for receiver in new.properties.get("emailReceivers") or ():
            if _EMAIL.fullmatch(str(receiver.get("emailAddress", ""))) is None:
                raise BadRequest(f"The email address '{receiver.get('emailAddress')}' is not valid.")

    def view(self, resource: Resource) -> dict[str, Any]:
        """Every kind of receiver is there; an address gets its mails without confirming (status Enabled)."""
        kinds = (
            "email",
            "sms",
            "webhook",
            "itsm",
            "azureAppPush",
            "automationRunbook",
            "voice",
            "logicApp",
            "azureFunction",
            "armRole",
            "eventHub",
        )
        shown = {f"{kind}Receivers": resource.properties.get(f"{kind}Receivers") or [] for kind in kinds}
        mails = [{"useCommonAlertSchema": False, **one, "status": "Enabled"} for one in shown["emailReceivers"]]
        return {**shown, "emailReceivers": mails}


_FREQUENCIES: Final = ("PT1M", "PT5M", "PT15M", "PT30M", "PT1H")
_WINDOWS: Final = (*_FREQUENCIES, "PT6H", "PT12H", "P1D")


class AlertHooks(RecordHooks):
    """metricAlerts, scheduledQueryRules and activityLogAlerts: targets and groups exist, numbers are in range."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Refuse what would never fire."""
        properties = new.properties
        scopes = [str(one) for one in properties.get("scopes") or ()]
        if not scopes:
            raise BadRequest("The alert rule names no scope; expected at least one resource id in 'scopes'.")
        for scope in scopes:
            _require(self._cloud, scope)
        for group in _groups_of(properties.get("actions")):
            _require(self._cloud, group)
        severity = properties.get("severity")
        if severity is not None and (severity not in range(5)):
            raise BadRequest(f"Severity {severity} is not valid; expected 0 (critical) to 4 (verbose).")
        if new.type.endswith("/metricAlerts"):
            self._check_metrics(properties, scopes)
        elif new.type.endswith("/activityLogAlerts"):
            fields = [str(one.get("field", "")).lower() for one in properties["condition"]["allOf"]]
            if "category" not in fields:
                raise BadRequest("The condition of an activity log alert must name the field 'category'.")
        elif not (properties.get("criteria") or {}).get("allOf"):
            raise BadRequest("The rule has no criteria; expected at least one condition in 'criteria.allOf'.")

    def _check_metrics(self, properties: Mapping[str, Any], scopes: Iterable[str]) -> None:
        frequency, window = str(properties["evaluationFrequency"]), str(properties["windowSize"])
        for name, value, allowed in (
            ("evaluationFrequency", frequency, _FREQUENCIES),
            ("windowSize", window, _WINDOWS),
        ):
            if value not in allowed:
                raise BadRequest(f"The {name} '{value}' is not valid; allowed: {', '.join(allowed)}.")
        if _WINDOWS.index(frequency) > _WINDOWS.index(window):
            raise BadRequest(f"The evaluationFrequency {frequency} is greater than the windowSize {window}.")
        for scope in scopes:
            target = self._cloud.resources.get(scope)
            known = TELEMETRY.get(target.type, Telemetry()).metrics if target is not None else frozenset()
            for criterion in properties["criteria"].get("allOf") or ():
                name = str(criterion.get("metricName"))
                if known and name not in known and not criterion.get("skipMetricValidation"):
                    raise BadRequest(
                        f"Couldn't find a metric named {name}. If the name is correct and the metric is not emitted "
                        f"yet, set skipMetricValidation to true.{nearest(name, known)}"
                    )


def _groups_of(actions: Any) -> list[str]:
    """The action groups' ids, in the three forms that alert rules have."""
    found = actions.get("actionGroups") if isinstance(actions, dict) else actions
    return [str(one["actionGroupId"] if isinstance(one, dict) else one) for one in found or ()]


_MOST_NOTIFICATIONS: Final = 5


class BudgetHooks(RecordHooks):
    """Microsoft.Consumption/budgets: nothing is spent here."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def validate(self, new: Resource, old: Resource | None) -> None:
        """Check the amount, the period (it begins with a month), the thresholds' ranges and who is notified."""
        properties = new.properties
        if not properties["amount"] > 0:
            raise BadRequest(
                f"Invalid budget configuration: the amount is {properties['amount']}, expected more than 0."
            )
        start, end = (_date(properties["timePeriod"].get(name), name) for name in ("startDate", "endDate"))
        if start is None or start.day != 1:
            given = properties["timePeriod"].get("startDate")
            raise BadRequest(f"Invalid budget configuration: Start date {given} should be first day of the month.")
        if end is not None and end <= start:
            raise BadRequest("Invalid budget configuration: End date should be after start date.")
        notifications = properties.get("notifications") or {}
        if len(notifications) > _MOST_NOTIFICATIONS:
            raise BadRequest(
                f"Invalid budget configuration: {len(notifications)} notifications, at most {_MOST_NOTIFICATIONS}."
            )
        for name, one in notifications.items():
            if not 0 <= one["threshold"] <= 1000:
                raise BadRequest(
                    f"Invalid budget configuration: threshold {one['threshold']} of notification '{name}' is not "
                    "between 0 and 1000 percent."
                )
            for group in one.get("contactGroups") or ():
                _require(self._cloud, str(group))
            if not any(one.get(kind) for kind in ("contactEmails", "contactRoles", "contactGroups")):
                raise BadRequest(f"Invalid budget configuration: notification '{name}' has nobody to tell.")

    def view(self, resource: Resource) -> dict[str, Any]:
        """Nothing was spent."""
        return {"currentSpend": {"amount": 0, "unit": "EUR"}}


def _date(given: Any, name: str) -> datetime | None:
    if given is None:
        return None
    try:
        return datetime.fromisoformat(str(given)).replace(tzinfo=None)
    except ValueError:
        raise BadRequest(f"Invalid budget configuration: {name} '{given}' is not a date.") from None


def _require(cloud: Cloud, resource_id: str) -> None:
    """Raise ResourceNotFound unless the resource (or the subscription) exists."""
    if resource_id.rstrip("/").lower() == cloud.subscription_scope.lower() or cloud.resources.get(resource_id):
        return
    raise ResourceNotFound(f"The Resource '{resource_id}' was not found.")


def categories(target: Resource, names: Sequence[str]) -> dict[str, Any] | None:
    """What a resource can send, as diagnostic settings name it."""
    sends = TELEMETRY.get(target.type, Telemetry((), ()))
    kinds = [("Logs", one) for one in sends.logs] + [("Metrics", one) for one in sends.metric_categories]
    kind = "Microsoft.Insights/diagnosticSettingsCategories"
    shown = [
        {
            "id": f"{target.id}/providers/{kind}/{name}",
            "name": name,
            "type": kind.lower(),
            "properties": {"categoryType": word, "categoryGroups": list(_GROUPS) if word == "Logs" else []},
        }
        for word, name in kinds
    ]
    if not names:
        return {"value": shown}
    return next((one for one in shown if str(one["name"]).lower() == names[0].lower()), None)


def register(cloud: Cloud) -> None:
    """Say who does the work of these types."""
    kind = "Microsoft.Insights/diagnosticSettingsCategories"
    cloud.types.publish(Document(kind, f"{kind}/read", of=categories))
    cloud.types.register(DIAGNOSTIC_SETTINGS, SettingHooks(cloud))
    cloud.types.register(ACTION_GROUPS, ActionGroupHooks())
    for name in ("metricAlerts", "scheduledQueryRules", "activityLogAlerts"):
        cloud.types.register(f"Microsoft.Insights/{name}", AlertHooks(cloud))
    cloud.types.register("Microsoft.Consumption/budgets", BudgetHooks(cloud))
    cloud.types.register("Microsoft.OperationalInsights/workspaces", RecordHooks())
