"""Verbs that show jobs and tasks, or wait for them: once, again and again, or in a browser. They change nothing."""
