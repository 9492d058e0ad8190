"""Adding a million tasks to a job, each exactly once: from a stream of definitions to a proved count.

`submit_tasks` is the way in. Checked tasks are kept in a `spool`, cut into collections (`chunks`, `chunk_source`), sent
by the workers of a `submitter` (one `attempt` each) at a rate the service accepts (`pace`), judged task by task
(`verdicts`), written down so that a killed submission can go on (`checkpoint`), and counted against the service before
anything is called done (`verification`). `transport` is what is needed of HTTP. `job` makes the job around them, or
takes over one that is there, and lets it end. Knows nothing of job files; does not import azure.batch.
"""

from .options import MOST_WORKERS, PATIENCE, Options, Progress, Result
from .run import Stopped, submit_tasks

__all__ = ["MOST_WORKERS", "PATIENCE", "Options", "Progress", "Result", "Stopped", "submit_tasks"]
