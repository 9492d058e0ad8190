"""Airflow's Batch hook and operator, as a DAG uses them: executed by the Python that has Airflow, nothing of ours.

Writes one line a step to stdout, and a JSON list of the steps that passed at the end.
"""

from __future__ import annotations

import json
import sys
from typing import Any

IMAGE = {
    "vm_publisher": "microsoft-dsvm", "vm_offer": "ubuntu-hpc", "sku_starts_with": "2204", "vm_sku": "2204",
    "vm_version": "latest", "vm_node_agent_sku_id": "batch.node.ubuntu 22.04",
}  # fmt: skip


def main() -> None:
    """Every method that the hook has, then the operator."""
    from airflow.providers.microsoft.azure.hooks.batch import (  # pyright: ignore[reportMissingImports]
        AzureBatchHook,
    )
    from airflow.providers.microsoft.azure.operators.batch import (  # pyright: ignore[reportMissingImports]
        AzureBatchOperator,
    )

    done: list[str] = []

    def step(name: str, found: Any = None) -> Any:
        print(f"{name}: {found}", flush=True)
        done.append(name)
        return found

    hook = AzureBatchHook()
    step("test_connection", hook.test_connection())
    pool = hook.configure_pool(
        pool_id="airflow", vm_size="standard_d2s_v3", target_dedicated_nodes=1, use_latest_image_and_sku=False,
        **{name: value for name, value in IMAGE.items() if name != "vm_sku"}, vm_sku=IMAGE["vm_sku"],
    )  # fmt: skip
    hook.create_pool(pool)
    step("create_pool")
    hook.create_pool(pool)
    step("create_pool again (PoolExists is taken as made)")
    nodes = hook.wait_for_all_node_state("airflow", {_idle()})
    step("wait_for_all_node_state", [node.id for node in nodes])
    job = hook.configure_job(job_id="airflow-job", pool_id="airflow")
    hook.create_job(job)
    step("create_job")
    hook.create_job(job)
    step("create_job again (JobExists is taken as made)")
    task = hook.configure_task(task_id="one", command_line="/bin/sh -c 'echo one'")
    hook.add_single_task_to_job("airflow-job", task)
    step("add_single_task_to_job")
    failed = hook.wait_for_job_tasks_to_complete("airflow-job", 1)
    step("wait_for_job_tasks_to_complete", failed)
    latest = hook.configure_pool(
        pool_id="latest", vm_size="standard_d2s_v3", target_dedicated_nodes=0, use_latest_image_and_sku=True,
        **{name: value for name, value in IMAGE.items() if name != "vm_sku"},
    )  # fmt: skip
    hook.create_pool(latest)
    step("configure_pool with use_latest_image_and_sku")
    operator = AzureBatchOperator(
        task_id="operator", batch_pool_id="operator", batch_pool_vm_size="standard_d2s_v3", batch_job_id="operator-job",
        batch_task_id="operator-task", batch_task_command_line="/bin/sh -c 'echo operator'", target_dedicated_nodes=1,
        vm_publisher=IMAGE["vm_publisher"], vm_offer=IMAGE["vm_offer"], sku_starts_with=IMAGE["sku_starts_with"],
        vm_sku=IMAGE["vm_sku"], vm_version=IMAGE["vm_version"], vm_node_agent_sku_id=IMAGE["vm_node_agent_sku_id"],
        should_delete_job=True, should_delete_pool=True,
    )  # fmt: skip
    operator.execute({})
    step("AzureBatchOperator.execute, with its clean-up")
    json.dump(done, sys.stdout)


def _idle() -> Any:
    from azure.batch import models

    kind = getattr(models, "ComputeNodeState", None) or models.BatchNodeState
    return kind.idle if hasattr(kind, "idle") else kind.IDLE


if __name__ == "__main__":
    main()
