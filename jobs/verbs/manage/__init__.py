"""Verbs that change jobs and schedules that exist: cancel, delete, disable, enable, move to another pool."""
