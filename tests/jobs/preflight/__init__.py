"""Tests of jobs/preflight."""
