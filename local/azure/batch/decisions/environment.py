"""The `AZ_BATCH_*` environment of a task and of a start task.

Source: learn.microsoft.com/azure/batch/batch-compute-node-environment-variables; root, user variables and HOME as
seen in printed environments of real Linux nodes. Job-level settings reach every task; the task's own win over them.
"""

from __future__ import annotations

from typing import Any

ROOT = "/mnt/batch/tasks"


def node_variables(account: str, account_url: str, pool_id: str, node_id: str, dedicated: bool) -> dict[str, str]:
    """What every command on the node sees."""
    return {
        "AZ_BATCH_ACCOUNT_NAME": account,
        "AZ_BATCH_ACCOUNT_URL": account_url,
        "AZ_BATCH_POOL_ID": pool_id,
        "AZ_BATCH_NODE_ID": node_id,
        "AZ_BATCH_NODE_IS_DEDICATED": "true" if dedicated else "false",
        "AZ_BATCH_NODE_ROOT_DIR": ROOT,
        "AZ_BATCH_NODE_SHARED_DIR": f"{ROOT}/shared",
        "AZ_BATCH_NODE_STARTUP_DIR": f"{ROOT}/startup",
        "AZ_BATCH_NODE_STARTUP_WORKING_DIR": f"{ROOT}/startup/wd",
        "AZ_BATCH_NODE_MOUNTS_DIR": f"{ROOT}/fsmounts",
    }


def task_variables(directory: str, identity: dict[str, Any]) -> dict[str, str]:
    """What one command sees: its folder, and who it runs as."""
    folder = f"{ROOT}/{directory}"
    user, kind = user_variables(identity)
    return {
        "AZ_BATCH_TASK_DIR": folder,
        "AZ_BATCH_TASK_WORKING_DIR": f"{folder}/wd",
        "AZ_BATCH_TASK_USER": user,
        "AZ_BATCH_TASK_USER_IDENTITY": kind,
        "HOME": f"{folder}/wd",
    }


def preparation_variables(directory: str) -> dict[str, str]:
    """What the tasks of a job with a preparation task see of it; itself does not."""
    folder = f"{ROOT}/{directory}"
    return {"AZ_BATCH_JOB_PREP_DIR": folder, "AZ_BATCH_JOB_PREP_WORKING_DIR": f"{folder}/wd"} if directory else {}


def instance_variables(directory: str, node_ids: list[str], node_id: str) -> dict[str, str]:
    """What the commands of a multi-instance task see of its nodes, the primary first.

    The documentation lists addresses; local nodes are named by their ids, under which they find each other [guess].
    """
    return {
        "AZ_BATCH_HOST_LIST": ",".join(node_ids),
        "AZ_BATCH_NODE_LIST": ";".join(node_ids),
        "AZ_BATCH_MASTER_NODE": f"{node_ids[0]}:6000",
        "AZ_BATCH_IS_CURRENT_NODE_MASTER": "true" if node_id == node_ids[0] else "false",
        "AZ_BATCH_TASK_SHARED_DIR": f"{ROOT}/{directory}",
    }


def user_variables(identity: dict[str, Any]) -> tuple[str, str]:
    """AZ_BATCH_TASK_USER and AZ_BATCH_TASK_USER_IDENTITY (seen: "_azbatch", "PoolNonAdmin"; other forms [guess])."""
    if identity.get("username"):
        return identity["username"], "NamedUser"
    auto = identity.get("autoUser", {})
    scope = "Task" if auto.get("scope") == "task" else "Pool"
    return "_azbatch", f"{scope}{'Admin' if auto.get('elevationLevel') == 'admin' else 'NonAdmin'}"


def settings(items: list[dict[str, str]] | None) -> dict[str, str]:
    """`environmentSettings` as a mapping; a setting without a value is empty."""
    return {item["name"]: item.get("value", "") for item in items or ()}
