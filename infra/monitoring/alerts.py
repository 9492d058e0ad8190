"""Five alerts as data: metric or query, threshold, and the text of the mail. No resource is made here.

Two are metrics of the Batch account, three are queries of what the account writes to the workspace (diagnostic
settings in `monitoring.py`). Names of metrics, events and columns:
learn.microsoft.com/azure/batch/batch-diagnostics, /azure/azure-monitor/reference/supported-metrics/microsoft-batch-
batchaccounts-metrics. Columns of `AzureDiagnostics` have their type as a suffix; one that nothing has written yet does
not exist, hence `column_ifexists`. Nobody here has seen these queries run on Azure.
"""

from __future__ import annotations

from dataclasses import dataclass

from infra.naming import jobs_command
from infra.settings.cloud import MonitoringSettings


@dataclass(frozen=True)
class MetricAlert:
    """More than `threshold` of a metric (the greatest value in the window)."""

    name: str
    description: str
    severity: int
    metric: str
    threshold: int


@dataclass(frozen=True)
class QueryAlert:
    """A query of the workspace that gives any row. It sees `window` back, and runs each `frequency` (ISO 8601)."""

    name: str
    description: str
    severity: int
    query: str
    frequency: str
    window: str


def metric_alerts(stack: str) -> tuple[MetricAlert, ...]:
    """Nodes that will take no task until somebody looks: Batch does not repair them by itself."""
    return (
        MetricAlert(
            "start-task-failed",
            f"Nodes whose start task failed take no tasks. `{jobs_command('nodes', stack)}` shows its log.",
            1,
            "StartTaskFailedNodeCount",
            0,
        ),
        MetricAlert(
            "unusable-nodes",
            f"Unusable nodes take no tasks and cost money. `{jobs_command('nodes', stack)}` shows why.",
            1,
            "UnusableNodeCount",
            0,
        ),
    )


def query_alerts(settings: MonitoringSettings, stack: str) -> tuple[QueryAlert, ...]:
    """Alerts on what only the account's log has: there is no metric of it."""
    batch = 'AzureDiagnostics\n| where ResourceProvider == "MICROSOFT.BATCH" and Category == "ServiceLog"'
    return (
        QueryAlert(
            "resize-errors",
            "A pool did not get the nodes that it wants: a quota, or no capacity. "
            f"`{jobs_command('pools', stack)}` shows the error.",
            2,
            f"{batch}\n"
            '| where OperationName == "PoolResizeCompleteEvent"\n'
            '| where column_ifexists("resultCode_s", "Success") != "Success"\n'
            '| project TimeGenerated, pool = column_ifexists("id_s", ""), why = column_ifexists("resultMessage_s", "")',
            "PT15M",
            "PT30M",
        ),
        QueryAlert(
            "task-failure-rate",
            f"At least {settings.task_failure_percent} % of the tasks that ended failed. "
            f"`{jobs_command('report', stack)}` groups them.",
            2,
            f"{batch}\n"
            '| where OperationName in ("TaskCompleteEvent", "TaskFailEvent")\n'
            '| summarize failed = countif(OperationName == "TaskFailEvent"), '
            'ended = dcount(strcat(column_ifexists("jobId_s", ""), "/", column_ifexists("id_s", "")))\n'
            f"| where failed > 0 and ended > 0 and 100.0 * failed / ended >= {settings.task_failure_percent}",
            "PT15M",
            "PT30M",
        ),
        QueryAlert(
            "active-jobs",
            f"About {settings.active_jobs} jobs are active; at the account's quota no job can be made. "
            f"`{jobs_command('list --state active', stack)}` shows them.",
            3,
            # There is no metric of active jobs: what was started less what ended, in the two days that a rule may see.
            "AzureMetrics\n"
            '| where ResourceProvider == "MICROSOFT.BATCH"\n'
            '| where MetricName in ("JobStartEvent", "JobTerminateCompleteEvent", "JobDeleteCompleteEvent")\n'
            '| summarize active = sum(iff(MetricName == "JobStartEvent", Total, -Total))\n'
            f"| where active >= {settings.active_jobs}",
            "PT1H",
            "P2D",
        ),
    )
