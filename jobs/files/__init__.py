"""Job files: reading YAML with line numbers, checking it, and expanding it into single tasks.

`load.py: load` is the way in, `expand/sources.py: expand` gives the tasks. Knows nothing of Batch: `jobs/plan/` makes
task definitions of what comes out of here.
"""
