"""The records of Batch: job schedule, job, tasks, pool, node. Plain data with its form for the store; no decisions."""

from local.azure.batch.model.job import Job
from local.azure.batch.model.job_schedule import JobSchedule
from local.azure.batch.model.job_task import JobTask, JobTaskKind
from local.azure.batch.model.node import Node
from local.azure.batch.model.pool import Pool
from local.azure.batch.model.record import Ending, Stamped
from local.azure.batch.model.task import Task

__all__ = ["Ending", "Job", "JobSchedule", "JobTask", "JobTaskKind", "Node", "Pool", "Stamped", "Task"]
