"""Job files: reading YAML with line numbers, checking it, and expanding it into single tasks.

`load` is the way in. Knows nothing of Batch: `jobs/tasks.py` turns what comes out of here into task definitions.
"""

from .load import load
from .model import Job, JobFile, Output, Task
from .sources import expand

__all__ = ["Job", "JobFile", "Output", "Task", "expand", "load"]
