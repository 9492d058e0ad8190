"""The records of Batch: job, task, pool, node. Plain data with its JSON form for the store; decisions are elsewhere."""

from local.azure.batch.model.job import Job
from local.azure.batch.model.node import Node
from local.azure.batch.model.pool import Pool
from local.azure.batch.model.stamped import Stamped
from local.azure.batch.model.task import Ending, Task

__all__ = ["Ending", "Job", "Node", "Pool", "Stamped", "Task"]
