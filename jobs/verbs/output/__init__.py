"""Verbs for what tasks wrote: their logs, their files, and the report of a job."""
