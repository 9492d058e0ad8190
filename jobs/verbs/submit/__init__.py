"""Verbs that give work to the service: check a job file, submit it, and run failed tasks again."""
