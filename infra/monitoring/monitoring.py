"""Logs and metrics to a workspace that exists, alerts and a budget by mail. A stack without the section has nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pulumi
from pulumi_azure_native import consumption, monitor

from infra.batch_account import BatchAccount
from infra.monitoring import alerts
from infra.naming import TYPE_PREFIX
from infra.place import Place
from infra.registry import Registry
from infra.settings.cloud import Budget, MonitoringSettings
from infra.storage import Storage

SHORT_NAME: Final = "batch"
"""Of the action group, at the beginning of each mail; at most 12 characters."""
BUDGET_WARNINGS: Final = {"actual-80": (80, "Actual"), "forecast-100": (100, "Forecasted")}
"""Name -> percent of the amount, of what was spent or of what Azure expects for the month."""


@dataclass(frozen=True, kw_only=True)
class MonitoringArgs:
    """What is watched."""

    place: Place
    settings: MonitoringSettings
    account: BatchAccount
    registry: Registry
    storage: Storage


class Monitoring(pulumi.ComponentResource):
    """Diagnostic settings, an action group, five alerts and perhaps a budget."""

    def __init__(self, name: str, args: MonitoringArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"{TYPE_PREFIX}:Monitoring", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        for what, resource_id in (
            ("account", args.account.id),
            ("registry", args.registry.id),
            # The blob service logs reads and writes of blobs; the account does not.
            ("blobs", pulumi.Output.concat(args.storage.id, "/blobServices/default")),
        ):
            monitor.DiagnosticSetting(
                f"{name}-log-{what}",
                name=args.place.names.resource("log"),
                resource_uri=resource_id,
                workspace_id=args.settings.workspace_id,
                logs=[monitor.DiagnosticsLogSettingsArgs(category_group="allLogs", enabled=True)],
                metrics=[monitor.DiagnosticsMetricSettingsArgs(category="AllMetrics", enabled=True)],
                opts=child,
            )
        people = monitor.ActionGroup(
            f"{name}-people",
            resource_group_name=args.place.group.name,
            location="Global",
            action_group_name=args.place.names.resource("people"),
            group_short_name=SHORT_NAME,
            enabled=True,
            email_receivers=[
                monitor.MicrosoftCommonEmailReceiverArgs(name=email, email_address=email, use_common_alert_schema=True)
                for email in args.settings.emails
            ],
            tags=args.place.tags,
            opts=child,
        )
        for metric in alerts.metric_alerts(args.place.names.stack):
            self._metric_alert(f"{name}-{metric.name}", metric, args, people)
        for query in alerts.query_alerts(args.settings, args.place.names.stack):
            self._query_alert(f"{name}-{query.name}", query, args, people)
        if args.settings.budget is not None:
            self._budget(f"{name}-budget", args.settings.budget, args, people)
        self.register_outputs({})

    def _metric_alert(
        self, name: str, alert: alerts.MetricAlert, args: MonitoringArgs, people: monitor.ActionGroup
    ) -> None:
        monitor.MetricAlert(
            name,
            resource_group_name=args.place.group.name,
            location="global",
            rule_name=args.place.names.resource(alert.name),
            description=alert.description,
            severity=alert.severity,
            enabled=True,
            scopes=[args.account.id],
            evaluation_frequency="PT5M",
            window_size="PT15M",
            criteria=monitor.MetricAlertSingleResourceMultipleMetricCriteriaArgs(
                odata_type="Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria",
                all_of=[
                    monitor.MetricCriteriaArgs(
                        criterion_type="StaticThresholdCriterion",
                        name=alert.name,
                        metric_namespace="Microsoft.Batch/batchAccounts",
                        metric_name=alert.metric,
                        operator=monitor.Operator.GREATER_THAN,
                        threshold=alert.threshold,
                        time_aggregation=monitor.AggregationTypeEnum.MAXIMUM,
                    )
                ],
            ),
            actions=[monitor.MetricAlertActionArgs(action_group_id=people.id)],
            tags=args.place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _query_alert(
        self, name: str, alert: alerts.QueryAlert, args: MonitoringArgs, people: monitor.ActionGroup
    ) -> None:
        monitor.ScheduledQueryRule(
            name,
            resource_group_name=args.place.group.name,
            location=args.place.group.location,
            rule_name=args.place.names.resource(alert.name),
            display_name=args.place.names.resource(alert.name),
            description=alert.description,
            severity=alert.severity,
            enabled=True,
            scopes=[args.settings.workspace_id],
            evaluation_frequency=alert.frequency,
            window_size=alert.window,
            auto_mitigate=True,
            # The tables are there only after the account's first log line.
            skip_query_validation=True,
            criteria=monitor.ScheduledQueryRuleCriteriaArgs(
                all_of=[
                    monitor.ConditionArgs(
                        query=alert.query,
                        time_aggregation=monitor.TimeAggregation.COUNT,
                        operator="GreaterThan",
                        threshold=0,
                        failing_periods=monitor.ConditionFailingPeriodsArgs(
                            number_of_evaluation_periods=1, min_failing_periods_to_alert=1
                        ),
                    )
                ]
            ),
            actions=monitor.ActionsArgs(action_groups=[people.id]),
            tags=args.place.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )

    def _budget(self, name: str, settings: Budget, args: MonitoringArgs, people: monitor.ActionGroup) -> None:
        consumption.Budget(
            name,
            scope=args.place.group.id,
            budget_name=args.place.names.resource("budget"),
            category=consumption.CategoryType.COST,
            amount=settings.monthly_amount,
            time_grain=consumption.TimeGrainType.MONTHLY,
            time_period=consumption.BudgetTimePeriodArgs(start_date=f"{settings.since}T00:00:00Z"),
            notifications={
                warning: consumption.NotificationArgs(
                    enabled=True,
                    operator=consumption.OperatorType.GREATER_THAN,
                    threshold=percent,
                    threshold_type=kind,
                    contact_emails=list(args.settings.emails),
                    contact_groups=[people.id],
                )
                for warning, (percent, kind) in BUDGET_WARNINGS.items()
            },
            opts=pulumi.ResourceOptions(parent=self),
        )


def declare(
    name: str,
    settings: MonitoringSettings | None,
    place: Place,
    account: BatchAccount,
    registry: Registry,
    storage: Storage,
) -> Monitoring | None:
    """What watches, where a stack wants it; else nothing, not even the component."""
    if settings is None:
        return None
    args = MonitoringArgs(place=place, settings=settings, account=account, registry=registry, storage=storage)
    return Monitoring(name, args)
