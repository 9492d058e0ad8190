"""The Batch pools of a stack: their properties, their generations, and how many nodes each has.

The start task's text is in `infra/start_task.py`, because the settings check a pool's own steps with it.
"""
