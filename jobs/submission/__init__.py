"""Adding a million tasks to a job, each exactly once: from a stream of definitions to a proved count.

`submit_tasks` is the way in. The stream is cut into collections (`chunks`), taken in (`intake`), sent by workers
(`workers`, one `delivery` each) at a rate the service accepts (`pace`), judged task by task (`verdicts`), written down
so that a killed submission can go on (`checkpoint`), and counted against the service before anything is called done
(`proof`). `lane` is what is needed of HTTP. Knows nothing of job files; does not import azure.batch.
"""

from .run import submit_tasks
from .shapes import MOST_WORKERS, Options, Progress, Result

__all__ = ["MOST_WORKERS", "Options", "Progress", "Result", "submit_tasks"]
